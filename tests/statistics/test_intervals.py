"""Intervals against scipy, against formulas, and against what they promise: coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from charter.statistics import intervals


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (3, 10), (10, 10), (1, 1), (250, 300)])
def test_wilson_is_scipys(successes: int, n: int) -> None:
    expected = binomtest(successes, n).proportion_ci(method="wilson")
    assert intervals.wilson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_by_hand() -> None:
    # 0 of n: (0, z^2 / (n + z^2)) with z = 1.959964
    assert intervals.wilson(0, 10) == pytest.approx((0.0, 3.8414588 / 13.8414588), abs=1e-6)
    assert all(math.isnan(x) for x in intervals.wilson(0, 0))
    with pytest.raises(ValueError, match="11 successes"):
        intervals.wilson(11, 10)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share(case: tuple[int, int]) -> None:
    low, high = intervals.wilson(*case)
    assert 0 <= low <= case[0] / case[1] + 1e-12
    assert case[0] / case[1] - 1e-12 <= high <= 1


def test_the_same_seed_draws_the_same_interval() -> None:
    values, clusters = [0, 1, 1, 0, 1, 1], list("aabbcd")
    first = intervals.bootstrap_mean(values, clusters, seed=1)
    assert first == intervals.bootstrap_mean(values, clusters, seed=1)
    assert first == intervals.bootstrap(lambda w: w @ np.array(values) / w.sum(axis=1), clusters, seed=1)
    many = list(range(60))
    assert intervals.bootstrap_mean(np.sin(many), many, seed=1) != intervals.bootstrap_mean(np.sin(many), many, seed=2)


def test_two_clusters_by_hand() -> None:
    # resamples: {a, a} -> 0, {a, b} -> 1/2, {b, b} -> 1, each tail with probability 1/4
    assert intervals.bootstrap_mean([0, 0, 1, 1], ["a", "a", "b", "b"]) == (0.0, 1.0)
    assert intervals.bootstrap_mean([0, 0, 1, 1], ["a", "a", "b", "b"], confidence=0.3) == (0.5, 0.5)


def test_the_width_is_the_standard_error_of_cluster_means() -> None:
    rng = np.random.default_rng(0)
    means = rng.normal(size=400)
    values, clusters = np.repeat(means, 5), np.repeat(np.arange(400), 5)
    low, high = intervals.bootstrap_mean(values, clusters.tolist(), resamples=4000)
    assert high - low == pytest.approx(2 * 1.96 * means.std() / np.sqrt(400), rel=0.06)
    naive_low, naive_high = intervals.bootstrap_mean(values, list(range(2000)), resamples=4000)
    assert high - low == pytest.approx((naive_high - naive_low) * np.sqrt(5), rel=0.08)


def test_coverage_with_clusters() -> None:
    rng = np.random.default_rng(7)
    labels = np.repeat(np.arange(60), 4).tolist()
    covered = 0
    for trial in range(200):
        shares = rng.beta(2, 2, size=60)
        outcomes = (rng.random((60, 4)) < shares[:, None]).astype(float).reshape(-1)
        low, high = intervals.bootstrap_mean(outcomes, labels, resamples=400, seed=trial)
        covered += low <= 0.5 <= high
    assert 178 <= covered <= 200  # 95% of 200 is 190, standard deviation 3


def test_a_difference_pairs_the_clusters_it_shares() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(size=200)
    labels = list(range(200))
    paired = intervals.bootstrap_difference(base + 0.5, labels, base, labels)
    assert paired == pytest.approx((0.5, 0.5))
    low, high = intervals.bootstrap_difference(base + 0.5, labels, base, list(range(200, 400)))
    assert low < 0.5 < high
    assert high - low == pytest.approx(2 * 1.96 * base.std() * np.sqrt(2 / 200), rel=0.12)


def test_missing_values_are_left_out() -> None:
    values, labels = [1.0, float("nan"), 0.0, 1.0, float("nan")], [0, 1, 2, 3, 3]
    low, high = intervals.bootstrap_mean(values, labels)
    assert 0 <= low < high <= 1
    assert all(math.isnan(x) for x in intervals.bootstrap_mean([float("nan")], [0]))
    assert all(math.isnan(x) for x in intervals.bootstrap_mean([], []))
    assert all(math.isnan(x) for x in intervals.bootstrap(lambda w: w.sum(axis=1), []))
    with pytest.raises(ValueError, match="2 values for 1"):
        intervals.bootstrap_mean([1, 2], ["a"])


def test_blocks_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    values, labels = np.arange(50.0), list(range(50))
    whole = intervals.bootstrap_mean(values, labels, resamples=300)
    monkeypatch.setattr(intervals, "CELLS_AT_ONCE", 1000)
    assert intervals.bootstrap_mean(values, labels, resamples=300) == whole
    by_weights = intervals.bootstrap(lambda w: w @ values / w.sum(axis=1), labels, resamples=300)
    assert by_weights == pytest.approx(whole, abs=1e-12)


def test_a_share_without_variation_is_not_certain() -> None:
    labels = [i // 2 for i in range(40)]
    assert intervals.bootstrap_mean([1] * 40, labels) == (1.0, 1.0)
    assert intervals.share_interval([1] * 40, labels) == intervals.wilson(20, 20)
    assert intervals.share_interval([0] * 40, labels) == intervals.wilson(0, 20)
    mixed = [1, 0] * 20
    assert intervals.share_interval(mixed, labels, seed=4) == intervals.bootstrap_mean(mixed, labels, seed=4)
    assert all(math.isnan(x) for x in intervals.share_interval([], []))
