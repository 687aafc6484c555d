from __future__ import annotations

from typing import Literal

import pytest

from charter.core.records import Comparison, Preference, Prompt, Verdict, user
from charter.prefer import quality
from charter.prefer.labeller import combine

ORDERS: tuple[Literal["ab", "ba"], ...] = ("ab", "ba")
PAIR = Comparison("p/0", Prompt("p", (user("how?"),)), "x", "y")


def preference(*orders: tuple[float | None, float | None]) -> Preference:
    """One (p_a asked as ab, p_a asked as ba) for each principle."""
    verdicts = tuple(
        Verdict(f"q{n}", "h", "ab" if k == 0 else "ba", p_a)
        for n, pair in enumerate(orders)
        for k, p_a in enumerate(pair)
    )
    return Preference(PAIR, combine(verdicts), verdicts)


RIGHT = preference((0.9, 0.8))  # a, whatever the order
FIRST = preference((0.7, 0.4))  # the first; on average a little a
SECOND = preference((0.4, 0.7))  # the second
BROKEN = preference((0.9, None))
MIXED = preference((0.9, 0.8), (0.7, 0.4))


def test_position_bias_is_the_share_of_pairs_and_principles_where_a_position_wins() -> None:
    assert quality.position_bias([RIGHT, FIRST, SECOND]) == pytest.approx(2 / 3)
    assert quality.position_bias([MIXED]) == 0.5
    assert quality.position_bias([RIGHT, BROKEN]) == 0.0, "a pair with an invalid order is not counted"
    assert quality.position_bias([BROKEN]) is None
    assert quality.position_bias([preference((0.5, 0.5)), FIRST]) == 0.5, "no position wins an exact tie"


def test_first_option_rate_is_over_verdicts() -> None:
    assert quality.first_option_rate([RIGHT]) == 0.5
    assert quality.first_option_rate([FIRST]) == 1.0
    assert quality.first_option_rate([SECOND]) == 0.0
    assert quality.first_option_rate([BROKEN, preference((0.5, 0.9))]) == pytest.approx(0.5)
    assert quality.first_option_rate([]) is None


def test_invalid_rate_and_confidence() -> None:
    assert quality.invalid_rate([RIGHT, BROKEN]) == 0.25
    assert quality.invalid_rate([]) is None
    assert quality.mean_confidence([RIGHT, RIGHT.swap(), BROKEN]) == pytest.approx(0.85)


def test_accuracy_against_gold() -> None:
    labels, gold = [RIGHT, FIRST, SECOND, BROKEN], [1.0, 1.0, 0.0, 1.0]
    assert quality.correct_one_order(labels, gold) == [1.0, 0.5, 0.5, 0.5]
    assert quality.correct_both_orders(labels, gold) == [1.0, 1.0, 0.0, 0.0], "invalid is not right"
    assert quality.accuracy_one_order(labels, gold) == pytest.approx(0.625)
    assert quality.accuracy_both_orders(labels, gold) == pytest.approx(0.5)


def test_ties_in_the_gold_are_left_out_and_ties_of_the_judge_are_not_right() -> None:
    assert quality.accuracy_both_orders([RIGHT, FIRST, SECOND], [0.0, 0.5, None]) == 0.0
    assert quality.accuracy_both_orders([preference((0.8, 0.2))], [1.0]) == 0.0
    assert quality.accuracy_both_orders([RIGHT], [0.5]) is None
    with pytest.raises(ValueError, match="zip"):
        quality.accuracy_one_order([RIGHT], [])


def test_figures_do_not_depend_on_which_answer_is_called_a() -> None:
    labels, gold = [RIGHT, FIRST, SECOND, MIXED], [1.0, 0.0, 0.0, 1.0]
    swapped, other = [p.swap() for p in labels], [1.0 - g for g in gold]
    assert quality.position_bias(swapped) == quality.position_bias(labels)
    assert quality.first_option_rate(swapped) == quality.first_option_rate(labels)
    assert quality.accuracy_one_order(swapped, other) == quality.accuracy_one_order(labels, gold)
    assert quality.accuracy_both_orders(swapped, other) == quality.accuracy_both_orders(labels, gold)
