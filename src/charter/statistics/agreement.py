"""How well labels of pairs agree with the truth, and with themselves when the answers change places.

A label is the probability `p_a` that answer a is better (N); NaN is an invalid label. Every function returns figures
per pair (N), NaN where there is none, so that the caller can average them and resample them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def correct(p_a: ArrayLike, gold_a: ArrayLike) -> Floats:
    """1 where the label prefers the answer that is better (gold 1: a, 0: b), 0.5 where it has no preference."""
    p, gold = np.asarray(p_a, dtype=np.float64), np.asarray(gold_a, dtype=np.float64)
    choice = np.where(np.isnan(p), np.nan, 0.5 * (1.0 + np.sign(p - 0.5)))
    return np.asarray(1.0 - np.abs(choice - gold))


def same_position(p_a_shown_first: ArrayLike, p_a_shown_second: ArrayLike) -> Floats:
    """1 where the same *position* wins after swapping, so that the winner changes (Lee et al., position bias)."""
    first, second = _signs(p_a_shown_first), _signs(p_a_shown_second)
    return np.where(np.isnan(first) | np.isnan(second), np.nan, (first * second < 0).astype(np.float64))


def first_chosen(p_first: ArrayLike) -> Floats:
    """1 where the answer that was shown first is preferred, 0.5 where there is no preference."""
    return np.asarray(0.5 * (1.0 + _signs(p_first)))


def _signs(p: ArrayLike) -> Floats:
    return np.asarray(np.sign(np.asarray(p, dtype=np.float64) - 0.5))
