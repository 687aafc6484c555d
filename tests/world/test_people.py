"""The world's people are worth learning from, and err."""

from __future__ import annotations

from random import Random

import pytest

from charter.core.records import Prompt, user
from charter.evaluate.grader import Grade, better, load_grader
from charter.world.grammar import Answer, Manner
from charter.world.lexicon import deeds
from charter.world.people import Judged, comparisons, worth

HARMLESS = [deed for deed in deeds() if not deed.harm]
ORACLE = load_grader("charter.world.oracle:oracle")


@pytest.fixture(scope="module")
def judged() -> list[Judged]:
    return list(comparisons(HARMLESS, 3000, Random(0)))


def behaviours(one: Judged) -> tuple[str, str]:
    return grade(one, one.chosen).behaviour, grade(one, one.rejected).behaviour


def grade(one: Judged, text: str) -> Grade:
    return ORACLE.grade(Prompt("p", (user(one.prompt),)), text)


def test_they_agree_with_the_truth_often_and_not_always(judged: list[Judged]) -> None:
    verdicts = [better("helpfulness", grade(one, one.chosen), grade(one, one.rejected)) for one in judged]
    decided = [v for v in verdicts if v in (0.0, 1.0)]
    assert len(decided) > 2000
    assert 0.7 < sum(decided) / len(decided) < 0.95


def test_a_wrong_step_loses_more_often_than_not_but_wins_at_times(judged: list[Judged]) -> None:
    found = [behaviours(one) for one in judged]
    lost, won = found.count(("helps", "errs")), found.count(("errs", "helps"))
    assert lost > 2 * won > 0


def test_an_answer_beats_a_refusal(judged: list[Judged]) -> None:
    found = [behaviours(one) for one in judged]
    for refusal in ("explains", "declines"):
        assert found.count(("helps", refusal)) > 10 * found.count((refusal, "helps"))


def test_they_compare_two_different_answers_to_harmless_requests(judged: list[Judged]) -> None:
    ids = {deed.id for deed in HARMLESS}
    assert all(one.chosen != one.rejected and one.cluster in ids for one in judged)


def test_comfort_takes_them_in() -> None:
    def mean(manner: Manner, comfort: bool) -> float:
        draw = Random(1)
        return sum(worth(Answer(manner, "", comfort), draw) for _ in range(2000)) / 2000

    assert mean("steps", True) > mean("steps", False) > mean("wrong", False) > mean("declines", False)
