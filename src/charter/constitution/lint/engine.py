"""Running the rules over a constitution, and what `lint_ignore` accepts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from charter.constitution.lint.rule import Finding, Hit, Rule
from charter.constitution.lint.rules import RULES
from charter.constitution.lint.rules.ignores import UNUSED
from charter.constitution.lint.selection import lint_codes, suggestion
from charter.constitution.lint.subject import Subject
from charter.constitution.lint.taxonomy import Taxonomy
from charter.core.errors import InputError
from charter.core.yaml import Keys

if TYPE_CHECKING:
    from charter.constitution.load import Source

Used = set[tuple[str | None, str]]
"""The ignores that ignored something: the principle's id (None for the constitution) and the code."""


def lint(
    source: Source, *, select: Sequence[str] = (), ignore: Sequence[str] = (), taxonomy: Taxonomy | None = None
) -> list[Finding]:
    """What the rules find in a constitution, in the order of the file. `select` and `ignore` take codes or prefixes
    (`CC1`) or `ALL`. Raises InputError for unknown codes, there or in `lint_ignore`."""
    rules = lint_codes(select, ignore)
    _refuse_unknown(source)
    subject = Subject(source.constitution, taxonomy or Taxonomy.load())
    used: Used = set()
    hits = [
        (rule, hit) for rule in rules.values() for hit in rule.check(subject) if not _ignored(subject, rule, hit, used)
    ]
    if UNUSED.code in rules and UNUSED.code not in source.constitution.lint_ignore:
        hits += [(UNUSED, hit) for hit in _unused(subject, rules, used)]
    findings = [_finding(source, rule, hit) for rule, hit in hits]
    return sorted(findings, key=_order)


def _ignored(subject: Subject, rule: Rule, hit: Hit, used: Used) -> bool:
    """Is it accepted where it stands, or for the whole?"""
    owners: list[str | None] = [p for p in hit.principles if rule.code in subject.ignores.get(p, ())]
    if rule.code in subject.constitution.lint_ignore:
        owners.append(None)
    used.update((owner, rule.code) for owner in owners)
    return bool(owners)


def _unused(subject: Subject, rules: dict[str, Rule], used: Used) -> Iterator[Hit]:
    for code in subject.constitution.lint_ignore:
        if code in rules and (None, code) not in used and code != UNUSED.code:
            yield Hit(("lint_ignore", code), f"{code} ({RULES[code].name}) does not fire here")
    for member in subject.members:
        accepted = member.principle.lint_ignore
        for code in accepted:
            missing = code in rules and (member.principle.id, code) not in used and UNUSED.code not in accepted
            if missing and code != UNUSED.code:
                message = f"{code} ({RULES[code].name}) does not fire on '{member.principle.id}'"
                yield Hit((*member.keys, "lint_ignore", code), message, (member.principle.id,))


def _refuse_unknown(source: Source) -> None:
    constitution = source.constitution
    places: list[tuple[Keys, str]] = [(("lint_ignore", code), code) for code in constitution.lint_ignore]
    for index, principle in enumerate(constitution.principles):
        places += [(("principles", index, "lint_ignore", code), code) for code in principle.lint_ignore]
    for keys, code in places:
        if code not in RULES:
            where = source.place(keys) or source.name
            raise InputError(f"unknown code '{code}' in `lint_ignore`", where=where, cure=suggestion(code))


def _finding(source: Source, rule: Rule, hit: Hit) -> Finding:
    principle = hit.principles[0] if hit.principles else None
    place = source.place(hit.keys) if hit.keys else None
    cure = hit.cure or rule.cure
    return Finding(rule.code, rule.name, rule.severity, hit.message, cure, principle, hit.keys, place, source.name)


def _order(finding: Finding) -> tuple[str, int, int, str, str]:
    place = finding.place
    at = (place.file, place.line, place.column) if place else (finding.source, 0, 0)
    return (*at, finding.code, finding.message)
