"""Which rules run: `--select` and `--ignore`, codes or prefixes of codes, and the codes in `lint_ignore`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from charter.constitution.lint.rule import Rule
from charter.constitution.lint.rules import RULES
from charter.core.errors import InputError
from charter.core.validation import did_you_mean

ALL = "ALL"


def lint_codes(select: Sequence[str] = (), ignore: Sequence[str] = ()) -> dict[str, Rule]:
    """The rules that run, by code: those that are on by default, or those selected; without those ignored. Where a rule
    is selected by one code and ignored by another, the longer one decides. Raises InputError for an unknown code."""
    selected = _lengths(select, "select")
    ignored = _lengths(ignore, "ignore")
    on = selected if select else {code: 0 for code, rule in RULES.items() if rule.default}
    return {code: RULES[code] for code in RULES if code in on and on[code] > ignored.get(code, -1)}


def _lengths(codes: Sequence[str], option: str) -> dict[str, int]:
    """The codes that are meant, each with the length of the longest word that names it."""
    found: dict[str, int] = {}
    for written in (part.strip() for code in codes for part in code.split(",")):
        matching = [c for c in RULES if written == ALL or (written and c.startswith(written.upper()))]
        if not matching:
            raise InputError(f"unknown code '{written}'", where=f"--{option}", cure=suggestion(written))
        for code in matching:
            found[code] = max(found.get(code, 0), 0 if written == ALL else len(written))
    return found


def suggestion(code: str, known: Collection[str] = tuple(RULES)) -> str:
    """What was probably meant by an unknown code, or by a rule's name."""
    for rule in RULES.values():
        if rule.name == code.casefold():
            return f"did you mean '{rule.code}'?"
    return did_you_mean(code.upper(), list(known), noun="codes") if code else f"the codes are: {', '.join(known)}"
