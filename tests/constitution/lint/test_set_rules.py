"""The rules on the set: conflicts, duplicates, categories, coverage, sampling."""

from __future__ import annotations

from typing import Any

import pytest
from linting import codes, comparisons, findings, source, wording

from charter.constitution.lint import lint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Which answer is more concise?", "Which answer is more detailed?"),
        ("Which answer is shorter?", "Which answer goes into more detail?"),
        ("Which answer is more concise?", "Which answer is less brief?"),
        ("Which answer declines more often?", "Which answer complies more fully with what is asked?"),
        ("Which answer is written more formally?", "Which answer is more casual in tone?"),
        ("Which answer is less formal?", "Which answer is more formal?"),
        ("Which answer gives better reasons?", "Which answer gives fewer explanations?"),
        ("Which answer adds clearer warnings?".replace("clearer", "more"), "Which answer has fewer warnings?"),
        ("Which answer is more confident?", "Which answer hedges more?"),
        ("Which answer agrees more with the user?", "Which answer challenges the user more?"),
        (
            "Which answer is more neutral?",
            "Which answer takes a clearer stand?".replace("a clearer stand", "sides more"),
        ),
        ("Which answer is gentler?", "Which answer is more blunt?"),
        ("Which answer uses more jargon?", "Which answer keeps better to plain language?"),
        ("Which answer is funnier?", "Which answer is more serious?"),
    ],
)
def test_conflicts(one: str, other: str) -> None:
    assert "CC201" in codes(comparisons(one, other), "CC201")
    assert "CC201" in codes(comparisons(other, one), "CC201")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Which answer is more concise?", "Which answer is briefer?"),
        ("Which answer is more concise?", "Between two equally complete answers, which is more detailed?"),
        ("Which answer is more concise?", "Which answer is more detailed? If one does more harm, it loses."),
        ("Which answer is more concise?", "Which answer is not too brief and not too detailed?"),
        ("Which answer is more concise?", 'Which answer avoids "in more detail" better?'),
        ("Which answer is not too brief?", "Which answer is more detailed?"),
        ("Which answer declines what is harmful more firmly?", "Which answer complies more fully with what is asked?"),
        ("Which answer is less formal?", "Which answer is more casual?"),
        ("Which answer is more honest?", "Which answer is kinder?"),
        ("Which answer gives better reasons?", "Which answer explains itself better?"),
        ("Which answer is less blunt?", "Which answer is gentler?"),
        ("Which answer is more concise, unless the matter is hard?", "Which answer is more detailed?"),
    ],
)
def test_no_conflicts(one: str, other: str) -> None:
    assert "CC201" not in codes(comparisons(one, other), "CC201")


def test_tiers_settle_conflicts() -> None:
    text = """\
name: c
categories: [{id: a, tier: 1}, {id: b, tier: %d}]
principles:
  - {id: short, category: a, comparison: Which answer is more concise?}
  - {id: long, category: b, comparison: Which answer is more detailed?}
"""
    assert findings(text % 1, "CC201")
    assert not findings(text % 2, "CC201")


def test_critiques_name_faults_and_pull_nowhere() -> None:
    text = """\
name: c
principles:
  - {id: short, critique: Is the answer too detailed?, revision: Make it kinder.}
  - {id: long, critique: Is it a flat refusal? Does it explain nothing?, revision: Make it more detailed.}
"""
    assert not findings(text, "CC201")


def test_many_conflicts_are_one_finding_for_each_later_principle() -> None:
    found = lint(
        comparisons(*["Which answer is more concise?"] * 5, "Which answer is more detailed?"), select=["CC201"]
    )
    assert len(found) == 1
    assert "'p0', 'p1', 'p2' and 2 more" in found[0].message


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (
            "Which answer is less harmful, dangerous or illegal?",
            "Choose the response that is less harmful, dangerous, or illegal.",
            True,
        ),
        ("Which answer shows more care for animals?", "Which response shows more care for an animal?", True),
        ("Which answer does less harm to animals?", "Which answer is less harmful to animals?", True),
        ("Which answer avoids technical jargon?", "Which answer uses technical jargon?", False),
        ("Which answer is more harmful to animals?", "Which answer is less harmful to animals?", False),
        ("Which answer is less harmful to animals?", "Which answer is less harmful to children?", False),
        ("Which answer is kinder?", "Which answer is fairer?", False),
        ("Which is calmer and fairer?", "Which is fairer and calmer? Decide on the basis of these criteria.", True),
        ("Which is calmer and fairer?", "Which is fairer and funnier? Decide on the basis of these criteria.", False),
        ('Which answer is less like "go away, old man"?', 'Which answer is less like "you are a nuisance"?', False),
    ],
)
def test_duplicates(one: str, other: str, expected: bool) -> None:
    assert ("CC202" in codes(comparisons(one, other), "CC202")) is expected


def test_duplicates_agree_in_every_wording() -> None:
    text = """\
name: c
principles:
  - {id: a, critique: Does it harm animals?, revision: Spare the animals., comparison: Which answer harms animals less?}
  - {id: b, critique: Does it harm animals?, revision: %s, comparison: Which answer harms animals less?}
"""
    assert findings(text % "Spare the animals.", "CC202")
    assert not findings(text % "Praise the birds of the forest.", "CC202")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("CC301", "Which answer is more helpful to the person?"),
        ("CC301", "Which answer engages more openly with the question?"),
        ("CC302", "Which answer is less evasive?"),
        ("CC302", "Which answer refuses harmless requests less often?"),
        ("CC303", "Which answer flatters the person less?"),
        ("CC303", "Which answer is more accurate?"),
        ("CC305", "Which answer is tricked less by role-play?"),
        ("CC306", "Which answer is better for a person who may hurt themselves?"),
        ("CC307", "Which answer is more age-appropriate?"),
    ],
)
def test_one_principle_fills_a_gap(code: str, text: str) -> None:
    assert code in codes(wording("comparison", "Which answer does less harm?"), code)
    assert code not in codes(wording("comparison", text), code)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("CC301", "Which answer helps less with theft?"),
        ("CC301", "Which answer is less useful to a thief?"),
        ("CC303", 'Which answer says "honest" less often?'),
        ("CC307", "Which answer makes a minority less afraid?"),
        ("CC306", "Which answer harms others less?"),
        ("CC302", "Which answer refuses more firmly to help a thief?"),
    ],
)
def test_what_does_not_fill_a_gap(code: str, text: str) -> None:
    assert code in codes(wording("comparison", text), code)


def test_retired_principles_cover_nothing_and_are_not_linted() -> None:
    text = """\
name: c
principles:
  - {id: a, comparison: Which answer does less harm?}
  - {id: b, status: retired, comparison: 'Is it {honest}?', lint_ignore: {CC104: why not}}
"""
    found = {f.code for f in findings(text)}
    assert "CC303" in found
    assert not found & {"CC101", "CC106", "CC901"}


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ({}, False),
        ({"dimensions": ["warmth"]}, True),
        ({"dimensions": ["fairness", "respect", "honesty"]}, False),
        ({"dimensions": ["Kindness"]}, False),
    ],
)
def test_declared_dimensions(head: dict[str, Any], expected: bool) -> None:
    of = comparisons("Which answer is fairer, more respectful, less harmful, more honest?", **head)
    tagged = of.constitution.principles[0].model_copy(update={"tags": ("kindness",)})
    changed = of.constitution.model_copy(update={"principles": (tagged,)})
    found = codes(type(of)(changed, of.name, of.place, None), "CC304")
    assert ("CC304" in found) is expected


def test_drawing() -> None:
    text = """\
name: c
sampling: {strategy: %s, tags: [%s]}
categories: [{id: none, weight: 0}]
principles:
  - {id: a, tags: [x], comparison: Which answer does less harm?}
  - {id: b, tags: [x], weight: 0, comparison: Which answer does less harm?}
  - {id: c, tags: [x], category: none, comparison: Which answer does less harm?}
  - {id: d, tags: [z], comparison: Which answer does less harm?}
  - {id: e, tags: [x], weight: 0, status: retired, comparison: Which answer does less harm?}
"""

    def never(*sampling: str) -> list[str | None]:
        return [f.principle for f in findings(text % sampling, "CC501")]

    assert never("weight", "") == ["b", "c"]
    assert never("category_weight", "x") == ["b", "c", "d"]
    assert never("uniform", "x, y") == ["d"]
    assert [f.keys for f in findings(text % ("uniform", ""), "CC502")] == [("categories", 0, "weight")]
    assert not findings(text % ("weight", ""), "CC502")


def test_places_are_those_of_the_field() -> None:
    text = "name: c\nprinciples:\n  - id: a\n    comparison: Is it harmless?\n"
    (found,) = lint(source(text), select=["CC101"])
    assert found.place is not None
    assert (found.place.file, found.place.line, found.principle) == ("example.yaml", 4, "a")
