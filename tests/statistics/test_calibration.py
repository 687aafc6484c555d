"""Calibration by hand and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from charter.statistics.calibration import Bin, brier, expected_calibration_error, reliability


def test_by_hand() -> None:
    p, y = [0.1, 0.05, 0.95, 0.85], [0, 1, 1, 1]
    # bins: [0, .1] {.1, .05} mean .075, outcome .5;  (.8, .9] {.85} outcome 1;  (.9, 1] {.95} outcome 1
    assert expected_calibration_error(p, y) == pytest.approx((2 * 0.425 + 0.15 + 0.05) / 4)
    table = reliability(p, y)
    assert [b.n for b in table] == [2, 1, 1]
    assert (table[0].confidence, table[0].accuracy) == pytest.approx((0.075, 0.5))
    assert table[2] == Bin(0.95, 1.0, 1)
    assert brier(p, y) == pytest.approx((0.01 + 0.9025 + 0.0025 + 0.0225) / 4)


def test_edges_belong_below() -> None:
    assert [b.n for b in reliability([0.0, 0.1, 0.5, 0.50001, 1.0], [0, 0, 0, 0, 0])] == [2, 1, 1, 1]


@pytest.mark.parametrize("bins", [1, 5, 10, 17])
def test_reliability_is_scikit_learns(bins: int) -> None:
    rng = np.random.default_rng(bins)
    p = rng.random(500)
    y = (rng.random(500) < p**2).astype(int)
    accuracy, confidence = calibration_curve(y, p, n_bins=bins)
    table = reliability(p, y, bins)
    assert np.allclose([b.accuracy for b in table], accuracy)
    assert np.allclose([b.confidence for b in table], confidence)
    weights = np.array([b.n for b in table]) / 500
    assert expected_calibration_error(p, y, bins) == pytest.approx(float(weights @ np.abs(accuracy - confidence)))
    assert brier(p, y) == pytest.approx(brier_score_loss(y, p))


def test_perfect_and_worst() -> None:
    assert expected_calibration_error([0.0, 1.0], [0, 1]) == 0.0
    assert expected_calibration_error([0.0, 1.0], [1, 0]) == 1.0
    assert math.isnan(expected_calibration_error([], []))
    assert math.isnan(brier([], []))
    assert reliability([], []) == []


def test_weights_are_repetitions() -> None:
    rng = np.random.default_rng(0)
    p, y = rng.random(30), rng.integers(0, 2, 30)
    weights = rng.integers(0, 3, (4, 30))
    figures = expected_calibration_error(p, y, weights=weights)
    for row, figure in zip(weights, np.asarray(figures), strict=True):
        assert figure == pytest.approx(expected_calibration_error(np.repeat(p, row), np.repeat(y, row)))
    assert np.isnan(expected_calibration_error(p, y, weights=np.zeros((1, 30)))).all()


def test_what_is_no_probability() -> None:
    with pytest.raises(ValueError, match="lie in"):
        brier([1.2], [1])
    with pytest.raises(ValueError, match="lie in"):
        brier([float("nan")], [1])
    with pytest.raises(ValueError, match="2 probabilities for 1"):
        brier([0.1, 0.2], [1])
