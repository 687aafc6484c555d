"""Every rule keeps what its page promises: it fires on its bad example and not on its good one."""

from __future__ import annotations

import re

import pytest
from linting import findings, source

from charter.constitution.lint import GROUPS, RULES, lint
from charter.constitution.lint.rule import Rule

EACH = pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.code)


@EACH
def test_the_bad_example_fires(rule: Rule) -> None:
    assert rule.code in {f.code for f in findings(rule.example_bad, "ALL")}


@EACH
def test_the_good_example_does_not(rule: Rule) -> None:
    assert rule.code not in {f.code for f in findings(rule.example_good, "ALL")}


@EACH
def test_a_rule_is_declared_whole(rule: Rule) -> None:
    assert re.fullmatch(r"CC\d{3}", rule.code)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    assert rule.code[:3] in GROUPS
    assert all((rule.what, rule.fires, rule.spares, rule.why, rule.cure, rule.source))
    assert rule.what.endswith(".")
    assert not rule.cure.endswith(".")


@EACH
def test_a_finding_says_where(rule: Rule) -> None:
    for finding in lint(source(rule.example_bad), select=[rule.code]):
        assert finding.code == rule.code
        assert finding.place is not None
        assert finding.place.line >= 1
        assert finding.message
        assert finding.cure


def test_names_differ() -> None:
    assert len({rule.name for rule in RULES.values()}) == len(RULES)
