"""The formats of findings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from linting import comparisons, findings

from charter.constitution.lint import FORMATS, RULES, Finding, lint, render
from charter.core.yaml import Place

TEXT = """\
name: c
principles:
  - id: a
    comparison: Is it <kind>?
"""


@pytest.fixture
def found() -> list[Finding]:
    return findings(TEXT, "CC101", "CC106")


def odd(**changes: Any) -> Finding:
    fields = {
        "code": "CC106",
        "rule": "placeholder",
        "severity": "error",
        "message": "50% off,\nnow: 'x'",
        "cure": "write\rit",
        "principle": None,
        "keys": (),
        "place": Place("a,b: c%.yaml", 3, 7, "text"),
        "source": "a,b: c%.yaml",
    }
    return Finding(**fields | changes)  # type: ignore[arg-type]


def test_text(found: list[Finding]) -> None:
    lines = render(found).splitlines()
    assert lines[0].startswith("example.yaml:4:5: CC101 the comparison names a property")
    assert lines[1].startswith("    cure: ask which answer")
    assert lines[2] == "example.yaml:4:5: CC106 the comparison has a placeholder: '<kind>'"
    assert lines[-1] == "Found 2 findings (1 error, 1 warning)."
    assert render([]) == "All rules passed."
    assert render([odd(place=None)]).startswith("a,b: c%.yaml: CC106 50% off, now: 'x'")


def test_json(found: list[Finding]) -> None:
    row = json.loads(render(found, "json"))[1]
    assert (row["code"], row["line"], row["column"], row["file"]) == ("CC106", 4, 5, "example.yaml")
    assert row["keys"] == ["principles", 0, "comparison"]
    assert json.loads(render([], "json")) == []


def test_sarif(found: list[Finding]) -> None:
    log = json.loads(render(found, "sarif"))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(RULES)
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in rules)
    assert {rule["defaultConfiguration"]["level"] for rule in rules} == {"error", "warning", "note"}
    for result, finding in zip(run["results"], found, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == finding.code
        assert result["level"] in {"error", "warning"}
        assert result["message"]["text"]
        (location,) = result["locations"]
        physical = location["physicalLocation"]
        assert physical["artifactLocation"]["uri"] == "example.yaml"
        assert physical["region"] == {"startLine": 4, "startColumn": 5}


def test_sarif_uris(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)

    def uri(file: str) -> str:
        log = json.loads(render([odd(place=Place(file, 1, 1, ""))], "sarif"))
        return str(log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])

    assert uri("a b/c#.yaml") == "a%20b/c%23.yaml"
    assert uri(str(tmp_path / "in.yaml")) == "in.yaml"
    assert uri("/elsewhere/out.yaml") == "file:///elsewhere/out.yaml"


def test_sarif_without_a_place_points_to_the_file() -> None:
    log = json.loads(render([odd(place=None)], "sarif"))
    location = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "a%2Cb%3A%20c%25.yaml"
    assert location["region"]["startLine"] == 1


def test_github() -> None:
    line = render([odd()], "github")
    where = "file=a%2Cb%3A c%25.yaml,line=3,col=7,title=CC106 placeholder"
    assert line == f"::error {where}::50%25 off,%0Anow: 'x'. Cure: write%0Dit"
    assert render([odd(severity="warning", place=None)], "github").startswith(
        "::warning file=a%2Cb%3A c%25.yaml,title="
    )
    assert render([odd(severity="info")], "github").startswith("::notice ")
    assert render([], "github") == ""


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_renders_every_rule(name: str) -> None:
    found = [f for rule in RULES.values() for f in findings(rule.example_bad, "ALL")]
    assert len({f.code for f in found}) == len(RULES)
    assert render(found, name)
    assert render(lint(comparisons("Is it kind?")), name)
