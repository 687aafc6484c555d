"""How well labels of pairs agree with the truth, and with themselves when the answers change places.

A label is the probability `p_a` that answer a is better (N); NaN is an invalid label. Every function but `mean` returns
figures per pair (N), NaN where there is none, so that the caller can average them and resample them.

One rule for all figures: no preference counts one half, and an invalid label is never right. It has no position and no
confidence either, and is counted apart.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def correct(p_a: ArrayLike, gold_a: ArrayLike) -> Floats:
    """1 where the label prefers the answer that is better (gold 1: a, 0: b), 0.5 where it has no preference, 0 where it
    is invalid; NaN where the gold is NaN."""
    gold = np.asarray(gold_a, dtype=np.float64)
    right = 1.0 - np.abs(0.5 * (1.0 + _signs(p_a)) - gold)
    return np.where(np.isnan(right) & ~np.isnan(gold), 0.0, right)


def same_position(p_a_shown_first: ArrayLike, p_a_shown_second: ArrayLike) -> Floats:
    """1 where the same *position* wins after swapping, so that the winner changes (Lee et al., position bias)."""
    first, second = _signs(p_a_shown_first), _signs(p_a_shown_second)
    return np.where(np.isnan(first) | np.isnan(second), np.nan, (first * second < 0).astype(np.float64))


def first_chosen(p_first: ArrayLike) -> Floats:
    """1 where the answer that was shown first is preferred, 0.5 where there is no preference."""
    return np.asarray(0.5 * (1.0 + _signs(p_first)))


def confidence(p_a: ArrayLike) -> Floats:
    """The probability of the answer that is preferred, from 0.5 to 1."""
    p = np.asarray(p_a, dtype=np.float64)
    return np.maximum(p, 1.0 - p)


def mean(figures: ArrayLike) -> float | None:
    """The mean of the figures that are there; None without any."""
    values = np.asarray(figures, dtype=np.float64)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else None


def _signs(p: ArrayLike) -> Floats:
    return np.asarray(np.sign(np.asarray(p, dtype=np.float64) - 0.5))
