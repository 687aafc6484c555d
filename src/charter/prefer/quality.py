"""What labels are worth, before anything is trained on them: pure functions on preferences.

Shares are None where there is nothing to count. Lee et al. (2023) measure position bias as the share of pairs in
which the same position wins after the answers are exchanged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from charter.core.records import Preference, Verdict


def invalid_rate(preferences: Sequence[Preference]) -> float | None:
    """The share of verdicts that are invalid."""
    return _mean([verdict.p_a is None for verdict in _verdicts(preferences)])


def position_bias(preferences: Sequence[Preference]) -> float | None:
    """The share of (pair, principle), both orders valid, in which the same position wins in both orders."""
    biased = []
    for preference in preferences:
        for ab, ba in _both_orders(preference):
            biased.append(_first_wins(ab) is not None and _first_wins(ab) == _first_wins(ba))
    return _mean(biased)


def first_option_rate(preferences: Sequence[Preference]) -> float | None:
    """The share of valid verdicts, exact ties left out, that favour the answer that was shown first."""
    wins = (_first_wins(verdict) for verdict in _verdicts(preferences))
    return _mean([win for win in wins if win is not None])


def mean_confidence(preferences: Sequence[Preference]) -> float | None:
    """The mean probability of the answer that is preferred, from .5 to 1, over labelled comparisons."""
    return _mean([max(p.p_a, 1.0 - p.p_a) for p in preferences if p.p_a is not None])


def correct_one_order(preferences: Sequence[Preference], gold: Sequence[float | None]) -> list[float]:
    """For each comparison with gold, the share of its single verdicts that are right. `gold` is 1.0 where `a` is
    better, 0.0 where `b` is; comparisons with another value (ties) are left out. An invalid verdict is not right, nor
    is an exact tie. The mean of the list is the accuracy; its items are what an interval resamples."""
    return [
        fmean(_right(verdict.p_a, truth) for verdict in preference.verdicts)
        for preference, truth in _with_gold(preferences, gold)
        if preference.verdicts
    ]


def correct_both_orders(preferences: Sequence[Preference], gold: Sequence[float | None]) -> list[float]:
    """For each comparison with gold, 1.0 where the label (all orders and principles together) is right; else 0.0. A
    comparison without a label is not right."""
    return [_right(preference.p_a, truth) for preference, truth in _with_gold(preferences, gold)]


def accuracy_one_order(preferences: Sequence[Preference], gold: Sequence[float | None]) -> float | None:
    """How often one verdict in one order is right."""
    return _mean(correct_one_order(preferences, gold))


def accuracy_both_orders(preferences: Sequence[Preference], gold: Sequence[float | None]) -> float | None:
    """How often the label is right."""
    return _mean(correct_both_orders(preferences, gold))


def _verdicts(preferences: Sequence[Preference]) -> Iterator[Verdict]:
    return (verdict for preference in preferences for verdict in preference.verdicts)


def _both_orders(preference: Preference) -> Iterator[tuple[Verdict, Verdict]]:
    """The valid pairs of verdicts under one principle, in both orders."""
    ba = {verdict.principle_id: verdict for verdict in preference.verdicts if verdict.order == "ba"}
    for verdict in preference.verdicts:
        other = ba.get(verdict.principle_id)
        if verdict.order == "ab" and other and verdict.p_a is not None and other.p_a is not None:
            yield verdict, other


def _first_wins(verdict: Verdict) -> bool | None:
    """Whether the answer shown first is favoured; None for an invalid verdict or an exact tie."""
    if verdict.p_a is None or verdict.p_a == 0.5:
        return None
    return (verdict.p_a > 0.5) == (verdict.order == "ab")


def _with_gold(preferences: Sequence[Preference], gold: Sequence[float | None]) -> Iterator[tuple[Preference, float]]:
    for preference, truth in zip(preferences, gold, strict=True):
        if truth in (0.0, 1.0) and truth is not None:
            yield preference, truth


def _right(p_a: float | None, truth: float) -> float:
    return float(p_a is not None and p_a != 0.5 and (p_a > 0.5) == (truth == 1.0))


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
