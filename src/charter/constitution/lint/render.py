"""Findings for people, for scripts, for code scanning (SARIF 2.1.0), and as annotations of GitHub's workflows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any
from urllib.parse import quote

from charter.constitution.lint.rule import Finding, Rule, Severity
from charter.constitution.lint.rules import RULES
from charter.constitution.lint.selection import suggestion
from charter.core.errors import InputError

_SARIF = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
_COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}


def explain(code: str) -> str:
    """A rule for people: what it looks for, when it fires, why, and the cure. Raises InputError for an unknown code."""
    rule = RULES.get(code.upper())
    if rule is None:
        raise InputError(f"unknown code '{code}'", cure=suggestion(code))
    parts = {
        "Fires": rule.fires,
        "Leaves alone": rule.spares,
        "Why": rule.why,
        "Cure": rule.cure,
        "Source": rule.source,
    }
    lines = [f"{rule.code} {rule.name} ({rule.severity})", "", *wrap(rule.what, 100)]
    for title, text in parts.items():
        lines += ["", *wrap(f"{title}: {text}", 100)]
    return "\n".join(
        [*lines, "", "It fires on this:", "", rule.example_bad, "and not on this:", "", rule.example_good]
    ).rstrip()


def render(findings: Sequence[Finding], format: str = "text") -> str:  # noqa: A002
    """The findings as `text`, `json`, `sarif` or `github`; without a line break at the end."""
    return FORMATS[format](findings)


def _text(findings: Sequence[Finding]) -> str:
    lines = [f"{_where(f)}: {f.code} {_line(f.message)}\n    cure: {_line(f.cure)}" for f in findings]
    return "\n".join([*lines, summary(findings)])


def summary(findings: Sequence[Finding]) -> str:
    """The last line for people: `Found 3 findings (1 error, 2 warnings).`"""
    if not findings:
        return "All rules passed."
    counts = Counter(f.severity for f in findings)
    parts = [_count(counts[s], s) for s in ("error", "warning", "info") if counts[s]]
    return f"Found {_count(len(findings), 'finding')} ({', '.join(parts)})."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 or noun == "info" else f"{number} {noun}s"


def _where(finding: Finding) -> str:
    return str(finding.place) if finding.place else finding.source


def _line(text: str) -> str:
    return " ".join(text.split())


def _json(findings: Sequence[Finding]) -> str:
    return json.dumps([_row(f) for f in findings], indent=2, ensure_ascii=False)


def _row(finding: Finding) -> dict[str, Any]:
    place = finding.place
    return {
        "code": finding.code,
        "rule": finding.rule,
        "severity": finding.severity,
        "message": finding.message,
        "cure": finding.cure,
        "principle": finding.principle,
        "keys": list(finding.keys),
        "file": place.file if place else finding.source,
        "line": place.line if place else None,
        "column": place.column if place else None,
    }


def _sarif(findings: Sequence[Finding]) -> str:
    from charter import __version__

    codes = list(RULES)
    driver = {
        "name": "charter",
        "semanticVersion": __version__,
        "rules": [_sarif_rule(rule) for rule in RULES.values()],
    }
    results = [_sarif_result(finding, codes.index(finding.code)) for finding in findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": rule.what},
        "fullDescription": {"text": f"{rule.what} {rule.why}"},
        "help": {"text": f"{rule.fires}\n\nCure: {rule.cure}\n\nSource: {rule.source}"},
        "defaultConfiguration": {"level": _LEVELS[rule.severity], "enabled": rule.default},
        "properties": {
            "tags": ["constitution"],
            "problem.severity": "recommendation" if rule.severity == "info" else rule.severity,
        },
    }


def _sarif_result(finding: Finding, index: int) -> dict[str, Any]:
    place = finding.place
    region = {"startLine": place.line, "startColumn": place.column} if place else {"startLine": 1, "startColumn": 1}
    location = {"artifactLocation": {"uri": _uri(place.file if place else finding.source)}, "region": region}
    return {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{_line(finding.message)}. Cure: {_line(finding.cure)}"},
        "locations": [{"physicalLocation": location}],
    }


def _uri(file: str) -> str:
    """Relative to the working directory where the file lies under it, as code scanning expects."""
    path = Path(file)
    if path.is_absolute():
        here = Path.cwd()
        if not path.is_relative_to(here):
            return path.as_uri()
        path = path.relative_to(here)
    return quote(path.as_posix())


def _github(findings: Sequence[Finding]) -> str:
    return "\n".join(_annotation(finding) for finding in findings)


def _annotation(finding: Finding) -> str:
    place = finding.place
    properties = {"file": place.file if place else finding.source}
    if place:
        properties |= {"line": str(place.line), "col": str(place.column)}
    properties["title"] = f"{finding.code} {finding.rule}"
    written = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{_COMMANDS[finding.severity]} {written}::{_data(f'{finding.message}. Cure: {finding.cure}')}"


def _data(text: str) -> str:
    """The percent sign first, since the others bring in more of them."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


FORMATS: dict[str, Callable[[Sequence[Finding]], str]] = {
    "text": _text,
    "json": _json,
    "sarif": _sarif,
    "github": _github,
}
"""Every format by its name."""
