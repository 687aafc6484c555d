"""Agreement of labels, by hand."""

from __future__ import annotations

import numpy as np

from charter.statistics.agreement import confidence, correct, first_chosen, mean, same_position

NAN = float("nan")


def test_correct() -> None:
    assert np.array_equal(correct([0.9, 0.1, 0.5, 0.6], [1, 1, 1, 0]), [1, 0, 0.5, 0])


def test_an_invalid_label_is_not_right_and_without_gold_nothing_is_known() -> None:
    assert np.array_equal(correct([NAN, NAN, 0.9, NAN], [1, 0, NAN, NAN]), [0, 0, NAN, NAN], equal_nan=True)


def test_correct_is_symmetric() -> None:
    p, gold = np.array([0.9, 0.2, 0.5, 0.51]), np.array([1.0, 1.0, 0.0, 0.0])
    assert np.array_equal(correct(p, gold), correct(1 - p, 1 - gold))


def test_same_position() -> None:
    shown_first, shown_second = [0.8, 0.8, 0.2, 0.5, NAN, 0.1], [0.2, 0.7, 0.9, 0.1, 0.2, 0.2]
    # first wins twice; a wins twice; second wins twice; no winner; invalid; b wins twice
    assert np.array_equal(same_position(shown_first, shown_second), [1, 0, 1, 0, NAN, 0], equal_nan=True)


def test_first_chosen() -> None:
    assert np.array_equal(first_chosen([0.9, 0.1, 0.5, NAN]), [1, 0, 0.5, NAN], equal_nan=True)


def test_confidence_and_mean() -> None:
    assert np.allclose(confidence([0.9, 0.2, 0.5, NAN]), [0.9, 0.8, 0.5, NAN], equal_nan=True)
    assert mean(confidence([0.75, 0.5, NAN])) == 0.625
    assert mean([NAN]) is None
    assert mean([]) is None
