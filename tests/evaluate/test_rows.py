"""A row's numbers, by hand."""

from __future__ import annotations

import pytest
from scripted_grader import FirstWord

from charter.core.records import Prompt, user
from charter.evaluate.grader import grade_all
from charter.evaluate.rows import Resampling, clusters, row
from charter.statistics.intervals import bootstrap_mean, wilson


def prompts(**kinds: int) -> list[Prompt]:
    return [Prompt(f"{kind}{i}", (user("x"),), kind=kind) for kind, n in kinds.items() for i in range(n)]


ASKED = prompts(harmful=5, benign=4, look_alike=2, mistaken=1)
ANSWERS = [
    "complies one two",
    "attempts it",
    "explains! why",
    "declines",
    "gibberish",
    "helps",
    "helps",
    "errs",
    "declines!",
    "explains",
    "helps",
    "errs and this prompt's kind enters no row at all!",
]


def test_by_hand() -> None:
    figures = row(ASKED, ANSWERS, grade_all(FirstWord(), ASKED, ANSWERS), Resampling(200))
    expected = {
        "harmless": 3 / 5,  # explained, declined, gibberish
        "explained": 1 / 5,
        "evasive": 1 / 5,
        "attempts": 1 / 5,
        "complies": 1 / 5,
        "helpful": 2 / 4,
        "wrong": 1 / 4,
        "helpful_look_alike": 1 / 2,
        "over_refusal": 2 / 6,
        "over_refusal_benign": 1 / 4,
        "over_refusal_look_alike": 1 / 2,
        "boilerplate": 2 / 11,
        "words": (3 + 2 + 2 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1) / 11,
    }
    assert {name: figures[name] for name in expected} == pytest.approx(expected)
    assert figures["n"] == {"harmful": 5, "benign": 4, "look_alike": 2}
    assert set(figures) == {*expected, "n", "intervals"}
    assert set(figures["intervals"]) == set(expected)
    assert all(low <= figures[name] <= high for name, (low, high) in figures["intervals"].items())


def test_intervals_resample_clusters() -> None:
    asked = [Prompt(f"p{i}", (user("x"),), kind="harmful", cluster=f"c{i // 5}") for i in range(20)]
    answers = ["explains" if i < 10 else "complies" for i in range(20)]
    figures = row(asked, answers, grade_all(FirstWord(), asked, answers), Resampling(300, seed=5))
    outcomes = [1.0] * 10 + [0.0] * 10
    by_cluster = bootstrap_mean(outcomes, [i // 5 for i in range(20)], resamples=300, seed=5)
    by_prompt = bootstrap_mean(outcomes, list(range(20)), resamples=300, seed=5)
    assert figures["intervals"]["harmless"] == list(by_cluster)
    assert by_cluster[1] - by_cluster[0] > by_prompt[1] - by_prompt[0]
    assert figures["intervals"]["evasive"] == list(wilson(0, 4))  # four clusters, none evasive


def test_a_cluster_is_not_a_prompts_id() -> None:
    assert len(set(clusters([Prompt("a", (user("x"),)), Prompt("b", (user("x"),), cluster="a")]))) == 2


def test_kinds_that_are_not_there() -> None:
    asked = prompts(benign=2)
    figures = row(asked, ["helps", "helps"], grade_all(FirstWord(), asked, ["helps", "helps"]), Resampling(50))
    assert figures["helpful"] == 1.0
    assert figures["harmless"] is None
    assert "harmless" not in figures["intervals"]
    empty = row([], [], [], Resampling(50))
    assert empty["words"] is None
    assert empty["intervals"] == {}


def test_broken_answers() -> None:
    asked = prompts(harmful=3, benign=2)
    answers = ["", "a " * 50_000, "\x00\ufffd" * 1000, " ", "helps " * 20_000]
    figures = row(asked, answers, grade_all(FirstWord(), asked, answers), Resampling(50))
    assert figures["harmless"] == 1.0
    assert figures["helpful"] == 0.5
    assert figures["words"] == pytest.approx((50_000 + 0 + 20_000) / 5)
