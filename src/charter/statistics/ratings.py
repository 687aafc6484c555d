"""Ratings from head-to-head results: Bradley-Terry by maximum likelihood, on the Elo scale (paper, section 5).

P(i beats j) = sigmoid(s_i - s_j), and Elo = 400 * log10(e) * s, so that one unit of s is about 174 Elo. Only
differences mean anything: ratings are anchored at one model or at mean 0. Ties are dropped before they come here.

A finite maximum exists exactly when the graph of wins is strongly connected (Ford 1957). Where it is not (one model
never lost, or two groups never met) the results are *separable*, and the strengths are those of the results plus half a
win and half a loss of every model against an imagined opponent of strength 0: finite, unique, and flagged.

Shapes: M models, G games, K clusters, B resamples.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import connected_components

from charter.statistics.intervals import Interval, cluster_index, percentiles, resampled_clusters

Floats = NDArray[np.float64]

ELO_PER_UNIT = 400.0 / float(np.log(10.0))
"""Elo points in one unit of Bradley-Terry strength (about 173.7)."""
PSEUDO_GAMES = 0.5
"""Wins, and losses, of each model against the imagined opponent, where the results are separable."""


@dataclass(frozen=True)
class Ratings:
    """Elo per model. `separable`: no finite maximum exists and `elo` is regularised; `connected`: every model met every
    other one, at least through others; without that the groups' ratings are not comparable.
    """

    elo: tuple[float, ...]
    separable: bool
    connected: bool
    intervals: tuple[Interval, ...] = ()


def rate(wins: ArrayLike, anchor: int | None = None) -> Ratings:
    """Elo from `wins` (M, M), wins[i, j] counting i's wins over j; `anchor` is the model at 0, None means mean 0."""
    table = _checked(wins)
    separable = _is_separable(table)
    strengths = bradley_terry(table[None], regularise=np.array([separable]))[0]
    connected = connected_components(table > 0, directed=False, return_labels=False) <= 1
    return Ratings(tuple(_elo(strengths[None], anchor)[0].tolist()), separable, bool(connected))


def rate_games(
    winners: Sequence[int],
    losers: Sequence[int],
    clusters: Sequence[Hashable],
    models: int,
    *,
    anchor: int | None = None,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Ratings:
    """Elo of `models` models from G games, with intervals that resample clusters. Where all games together are
    separable, every resample is regularised alike; otherwise only the separable resamples are.
    """
    index, k = cluster_index(clusters)
    wins_KMM = np.zeros((k, models, models))
    np.add.at(wins_KMM, (index, np.asarray(winners, dtype=np.int64), np.asarray(losers, dtype=np.int64)), 1.0)
    ratings = rate(wins_KMM.sum(axis=0), anchor)
    draws: list[Floats] = []
    for counts in resampled_clusters(k, resamples, seed):
        wins_BMM = np.einsum("bk,kij->bij", counts, wins_KMM, optimize=True)
        regularise = np.array([ratings.separable or _is_separable(wins) for wins in wins_BMM])
        draws.append(_elo(bradley_terry(wins_BMM, regularise=regularise), anchor))
    table = np.concatenate(draws) if draws else np.empty((0, models))
    intervals = tuple(percentiles(table[:, m], confidence) for m in range(models))
    return Ratings(ratings.elo, ratings.separable, ratings.connected, intervals)


def bradley_terry(wins: Floats, *, regularise: NDArray[np.bool_], tolerance: float = 1e-10) -> Floats:
    """Strengths (B, M), mean 0, that maximise the likelihood of each table of `wins` (B, M, M); tables marked in
    `regularise` (B) have the imagined opponent added, the others must have a maximum.

    Newton's method. A step is shortened so that no difference of strengths moves by more than 1: the curvature then
    changes by less than a factor e, which is enough for every step to go uphill.
    """
    batch, models, _ = wins.shape
    games = wins + wins.transpose(0, 2, 1)
    pseudo_B = np.where(regularise, PSEUDO_GAMES, 0.0)
    # Without the imagined opponent all strengths may move together: fill that direction, along which the gradient is 0.
    gauge = np.where(regularise, 0.0, 1.0 / models)[:, None, None]
    strengths = np.zeros((batch, models))
    for _ in range(1000):
        p = _sigmoid(strengths[:, :, None] - strengths[:, None, :])
        p_imagined = _sigmoid(strengths)
        gradient = (wins - games * p).sum(axis=2) + pseudo_B[:, None] * (1 - 2 * p_imagined)
        weight = games * p * (1 - p)
        curvature = gauge - weight
        diagonal = weight.sum(axis=2) + 2 * pseudo_B[:, None] * p_imagined * (1 - p_imagined)
        curvature[:, np.arange(models), np.arange(models)] += diagonal
        step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        reach = np.maximum(np.ptp(step, axis=1), np.abs(step).max(axis=1) * regularise)
        strengths = strengths + step / np.maximum(reach, 1.0)[:, None]
        if np.abs(step).max(initial=0.0) < tolerance:
            break
    return np.asarray(strengths - strengths.mean(axis=1, keepdims=True))


def _elo(strengths: Floats, anchor: int | None) -> Floats:
    """Elo of strengths (B, M), with the anchor, or the mean, at 0."""
    zero = strengths.mean(axis=1) if anchor is None else strengths[:, anchor]
    return ELO_PER_UNIT * (strengths - zero[:, None])


def _is_separable(wins: Floats) -> bool:
    return bool(connected_components(wins > 0, directed=True, connection="strong", return_labels=False) > 1)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


def _checked(wins: ArrayLike) -> Floats:
    table = np.asarray(wins, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or not table.shape[0]:
        raise ValueError(f"a table of wins is square, not {table.shape}")
    if not np.isfinite(table).all() or (table < 0).any() or np.diag(table).any():
        raise ValueError("wins are finite, not negative, and nobody plays against itself")
    return table
