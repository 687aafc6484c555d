"""Bradley-Terry against choix and against numbers worked out by hand."""

from __future__ import annotations

import math

import choix
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from charter.statistics.ratings import ELO_PER_UNIT, PSEUDO_GAMES, bradley_terry, rate, rate_games


def connected_wins(seed: int, models: int) -> np.ndarray:
    """Random results with a cycle through all models, so that a finite maximum exists."""
    rng = np.random.default_rng(seed)
    wins = rng.poisson(rng.choice([0.3, 2.0, 30.0]), size=(models, models)).astype(float)
    wins[np.arange(models), (np.arange(models) + 1) % models] += 1
    np.fill_diagonal(wins, 0)
    return wins


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 9))
def test_agrees_with_choix(seed: int, models: int) -> None:
    wins = connected_wins(seed, models)
    expected = choix.ilsr_pairwise_dense(wins, max_iter=10_000, tol=1e-12)
    expected -= expected.mean()
    ratings = rate(wins)
    assert not ratings.separable
    assert ratings.connected
    assert np.allclose(np.array(ratings.elo) / ELO_PER_UNIT, expected, atol=1e-6, rtol=0)


def test_two_models_by_hand() -> None:
    ratings = rate([[0, 10], [1, 0]], anchor=1)  # odds 10 : 1 are 400 Elo
    assert ratings.elo == pytest.approx((400.0, 0.0), abs=1e-6)
    assert pytest.approx(173.7178, abs=1e-4) == ELO_PER_UNIT
    assert rate([[0, 10], [1, 0]]).elo == pytest.approx((200.0, -200.0), abs=1e-6)
    assert rate([[0, 10**9], [1, 0]], anchor=1).elo[0] == pytest.approx(3600, abs=1e-4)


def test_one_model_that_never_lost() -> None:
    ratings = rate([[0, 5], [0, 0]])
    assert ratings.separable
    assert ratings.connected
    # by symmetry the strengths are +-s, with 5 / (1 + e^{2s}) = tanh(s / 2) / 2
    s = ratings.elo[0] / ELO_PER_UNIT
    assert 5 / (1 + math.exp(2 * s)) == pytest.approx(PSEUDO_GAMES * math.tanh(s / 2), abs=1e-8)
    assert ratings.elo[1] == pytest.approx(-ratings.elo[0])
    assert rate([[0, 50], [0, 0]]).elo[0] > ratings.elo[0]


def test_the_regularised_maximum_is_scipys() -> None:
    wins = np.array([[0, 7, 3, 0], [2, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=float)

    def loss(s: np.ndarray) -> float:
        difference = s[:, None] - s[None, :]
        imagined = PSEUDO_GAMES * (np.logaddexp(0, s) + np.logaddexp(0, -s)).sum()
        return float((wins * np.logaddexp(0, -difference)).sum() + imagined)

    expected = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-9}).x
    ratings = rate(wins, anchor=0)
    assert ratings.separable
    assert not ratings.connected
    assert np.allclose(np.array(ratings.elo), ELO_PER_UNIT * (expected - expected[0]), atol=1e-3)


def test_groups_that_never_met() -> None:
    wins = np.zeros((4, 4))
    wins[0, 1], wins[1, 0], wins[2, 3], wins[3, 2] = 3, 1, 1, 3
    ratings = rate(wins)
    assert ratings.separable
    assert not ratings.connected
    assert ratings.elo[0] == pytest.approx(ratings.elo[3], abs=1e-6)
    assert ratings.elo[0] > 0
    nothing = rate(np.zeros((3, 3)))
    assert nothing.elo == pytest.approx((0, 0, 0))
    assert nothing.separable
    assert not nothing.connected
    assert rate([[0]]).elo == (0.0,)
    assert not rate([[0]]).separable


def test_a_batch_is_its_tables() -> None:
    tables = np.stack([connected_wins(seed, 4) for seed in range(20)])
    together = bradley_terry(tables, regularise=np.zeros(20, dtype=bool))
    for table, row in zip(tables, together, strict=True):
        assert np.allclose(bradley_terry(table[None], regularise=np.array([False]))[0], row, atol=1e-9)


def games(seed: int, truth: np.ndarray, n: int) -> tuple[list[int], list[int]]:
    """Winners and losers of n games between random pairs of models of known strengths."""
    rng = np.random.default_rng(seed)
    pairs = [rng.choice(len(truth), size=2, replace=False).tolist() for _ in range(n)]
    won = [rng.random() < 1 / (1 + math.exp(truth[j] - truth[i])) for i, j in pairs]
    winners = [i if w else j for w, (i, j) in zip(won, pairs, strict=True)]
    losers = [j if w else i for w, (i, j) in zip(won, pairs, strict=True)]
    return winners, losers


def test_games_are_counted() -> None:
    winners, losers = games(0, np.array([0.0, 0.8, 1.6]), 600)
    wins = np.zeros((3, 3))
    np.add.at(wins, (winners, losers), 1)
    ratings = rate_games(winners, losers, list(range(600)), 3, anchor=0, resamples=200)
    assert ratings.elo == pytest.approx(rate(wins, anchor=0).elo)
    assert ratings.intervals[0] == (0.0, 0.0)
    assert all(low < elo < high for elo, (low, high) in zip(ratings.elo[1:], ratings.intervals[1:], strict=True))
    assert ratings == rate_games(winners, losers, list(range(600)), 3, anchor=0, resamples=200)
    fewer = rate_games(winners, losers, [i // 60 for i in range(600)], 3, anchor=0, resamples=200)
    assert fewer.elo == pytest.approx(ratings.elo)
    assert fewer.intervals != ratings.intervals


def test_intervals_cover_the_truth() -> None:
    truth = np.array([0.0, 0.8, 1.6])
    covered = 0
    for seed in range(40):
        winners, losers = games(seed, truth, 300)
        low, high = rate_games(winners, losers, list(range(300)), 3, anchor=0, resamples=200).intervals[2]
        covered += low < 1.6 * ELO_PER_UNIT < high
    assert covered >= 34  # 38 expected, standard deviation 1.4


def test_the_interval_has_the_width_of_the_likelihood() -> None:
    n, share = 400, 0.7
    wins = int(n * share)
    ratings = rate_games([0] * wins + [1] * (n - wins), [1] * wins + [0] * (n - wins), list(range(n)), 2, anchor=1)
    low, high = ratings.intervals[0]
    assert high - low == pytest.approx(2 * 1.96 * ELO_PER_UNIT / math.sqrt(n * share * (1 - share)), rel=0.1)


def test_separable_games_stay_finite() -> None:
    ratings = rate_games([0] * 30, [1] * 30, list(range(30)), 2, resamples=100)
    assert ratings.separable
    assert all(map(math.isfinite, (*ratings.elo, *ratings.intervals[0])))
    rare = rate_games([0] * 30 + [1], [1] * 30 + [0], list(range(31)), 2, resamples=200)
    assert not rare.separable
    assert all(map(math.isfinite, (*rare.elo, *rare.intervals[0])))
    empty = rate_games([], [], [], 2)
    assert empty.elo == (0.0, 0.0)
    assert not empty.connected
    assert math.isnan(empty.intervals[0][0])


@pytest.mark.parametrize("wins", [[[0, 1]], [[1]], [[0, -1], [0, 0]], [[0, math.nan], [0, 0]], []])
def test_what_is_not_a_table_of_wins(wins: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="wins"):
        rate(wins)
