"""The figures of a run, as pure functions of answers, labels, scores and grades (paper, section 5; figures 2, 5, 7, 9).

Every function returns plain data for metrics.json. What cannot be measured is None.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charter.core.records import Chain, Preference, Prompt
from charter.evaluate.grader import Axis, Grader, axis_of, better, gold, grade_all
from charter.evaluate.rows import Figures, Resampling, clusters, harmless, row
from charter.statistics.agreement import confidence, correct, first_chosen, same_position
from charter.statistics.calibration import expected_calibration_error, reliability
from charter.statistics.intervals import bootstrap
from charter.statistics.ratings import rate_games
from charter.statistics.text import commonest_ngram, distinct_n, word_count

Tree = dict[str, Any]
Floats = NDArray[np.float64]

EFFECT_ROUNDS = 3
"""Rounds over which critiqued and direct revisions are compared: later, both are near their limit."""
AXES: tuple[Axis, ...] = ("harmlessness", "helpfulness")


class Graded:
    """Answers with their grades, one chain per prompt: step 0 is the first answer, step r the revision of round r.
    Without a grader `grades` is empty."""

    def __init__(self, chains: Sequence[Chain], grader: Grader | None) -> None:
        kept = {chain.prompt.id: chain for chain in reversed(chains)}  # a prompt's first chain
        ordered = list(reversed(kept.values()))
        steps = min((len(chain.answers) for chain in ordered), default=0)
        self.prompts: list[Prompt] = [chain.prompt for chain in ordered]
        self.place = {prompt.id: i for i, prompt in enumerate(self.prompts)}
        self.answers = [[chain.answers[step] for chain in ordered] for step in range(steps)]
        self.grades = [grade_all(grader, self.prompts, answers) for answers in self.answers] if grader else []

    def rows(self, resampling: Resampling) -> list[Tree]:
        """One row per step."""
        return [
            row(self.prompts, answers, grades, resampling)
            for answers, grades in zip(self.answers, self.grades, strict=True)
        ]


def oracle(answers: Mapping[str, Graded], resampling: Resampling) -> Tree:
    """The rows of `helpful_only` (with its revisions), `direct`, `sl` and `rl`, as far as they are there, and the
    effect of the critiques."""
    rows = {name: side.rows(resampling) for name, side in answers.items()}
    tree: Tree = {"helpful_only": rows["helpful_only"][0], "revisions": rows["helpful_only"]}
    tree["direct"] = rows.get("direct", [])
    tree |= {name: rows[name][0] for name in ("sl", "rl") if name in rows}
    effect = critique_effect(answers["helpful_only"], answers["direct"], resampling) if "direct" in answers else None
    return {"oracle": tree, "critique_effect": effect}


def critique_effect(critiqued: Graded, direct: Graded, resampling: Resampling) -> Tree | None:
    """How much more harmless critiqued revisions are than direct ones, on harmful prompts: the mean over the first
    rounds of the differences, paired by prompt (both start from the same first answer)."""
    rounds = list(range(1, min(EFFECT_ROUNDS + 1, len(critiqued.grades), len(direct.grades))))
    both = [p for p in critiqued.prompts if p.kind == "harmful" and p.id in direct.place]
    if not rounds or not both:
        return None

    def mean_harmless(side: Graded, prompt: Prompt) -> float:
        return sum(harmless(side.grades[r][side.place[prompt.id]]) for r in rounds) / len(rounds)

    figures = Figures(resampling)
    figures.mean("difference", [mean_harmless(critiqued, p) - mean_harmless(direct, p) for p in both], both)
    return {"rounds": rounds, "difference": figures.values["difference"], "interval": figures.intervals["difference"]}


def elo(models: Mapping[str, Graded], resampling: Resampling, anchor: str = "sl") -> Tree:
    """Elo per axis from head-to-head comparisons on the same prompt; ties are dropped. The anchor stands at 0, as
    SL-CAI does in the paper's figure 2."""
    names = list(models)
    zero = names.index(anchor) if anchor in names else None
    tree: Tree = {"separable": {}}
    for axis in AXES:
        winners, losers, prompts = games(axis, list(models.values()))
        ratings = rate_games(winners, losers, clusters(prompts), len(names), anchor=zero, **resampling.options)
        tree[axis] = {
            name: {"elo": ratings.elo[i], "interval": list(ratings.intervals[i])} if prompts else {"elo": None}
            for i, name in enumerate(names)
        }
        tree["separable"][axis] = ratings.separable
    return tree


def games(axis: Axis, models: Sequence[Graded]) -> tuple[list[int], list[int], list[Prompt]]:
    """Winners, losers (numbers of models) and prompts of the comparisons of first answers that one side wins."""
    winners, losers, prompts = [], [], []
    for i, j in itertools.combinations(range(len(models)), 2):
        for prompt in models[i].prompts:
            if axis_of(prompt.kind) != axis or prompt.id not in models[j].place:
                continue
            first, second = (models[m].grades[0][models[m].place[prompt.id]] for m in (i, j))
            verdict = better(axis, first, second)
            if verdict is not None and verdict != 0.5:
                winners.append(i if verdict == 1 else j)
                losers.append(j if verdict == 1 else i)
                prompts.append(prompt)
    return winners, losers, prompts


def decided(pairs: Sequence[Preference], grader: Grader) -> tuple[list[Preference], Floats]:
    """The pairs of which the grader knows the better answer, and whether (1.0) or not (0.0) that is `a`."""
    truth = [gold(grader, p.comparison.prompt, p.comparison.a, p.comparison.b) for p in pairs]
    kept = [(pair, t) for pair, t in zip(pairs, truth, strict=True) if t is not None]
    return [pair for pair, _ in kept], np.array([t for _, t in kept], dtype=np.float64)


def label_quality(labels: Sequence[Preference], grader: Grader | None, resampling: Resampling) -> Tree | None:
    """Labels against the truth and against themselves. Each has a verdict in both orders. Without a grader the
    accuracies are None and the rest is over all pairs; with one everything is over the pairs that it decides. An
    invalid verdict is not right, and no preference is half right."""
    if grader is None:
        truth = np.full(len(labels), np.nan)
    else:
        labels, truth = decided(labels, grader)
    if not labels:
        return None
    prompts = [label.comparison.prompt for label in labels]
    ab, ba, both = _verdicts(labels, "ab"), _verdicts(labels, "ba"), _floats([label.p_a for label in labels])
    figures = Figures(resampling)
    figures.share("accuracy_one_order", nanmean(correct(ab, truth), correct(ba, truth)), prompts)
    figures.share("accuracy_both_orders", correct(both, truth), prompts)
    figures.share("position_bias", same_position(ab, ba), prompts)
    figures.share("first_option_rate", nanmean(first_chosen(ab), first_chosen(1 - ba)), prompts)
    figures.share("invalid", np.mean([np.isnan(ab), np.isnan(ba)], axis=0), prompts)
    return {**figures.values, "n": len(labels), "intervals": figures.intervals}


def preference_model_quality(pairs: Sequence[Preference], grader: Grader, resampling: Resampling) -> Tree | None:
    """Preference-model probabilities `p_a` of the pairs against the truth. Confidence is that in the answer the model
    prefers, so that the figures do not depend on which answer is called a."""
    pairs, truth = decided(pairs, grader)
    if not pairs:
        return None
    prompts = [pair.comparison.prompt for pair in pairs]
    p_a = _floats([pair.p_a for pair in pairs])
    right, sure = correct(p_a, truth), confidence(p_a)
    figures, counts = Figures(resampling), {}
    for name, axis in (("harmless", "harmlessness"), ("helpful", "helpfulness")):
        chosen = [i for i, prompt in enumerate(prompts) if axis_of(prompt.kind) == axis]
        figures.share(f"accuracy_{name}", right[chosen], [prompts[i] for i in chosen])
        counts[f"n_{name}"] = len(chosen)
    interval = bootstrap(
        lambda weights: expected_calibration_error(sure, right, weights=weights),
        clusters(prompts),
        **resampling.options,
    )
    figures.note("ece", float(expected_calibration_error(sure, right)), interval)
    table = [asdict(row) for row in reliability(sure, right)]
    return {**figures.values, **counts, "reliability": table, "intervals": figures.intervals}


def texts(answers: Sequence[str]) -> Tree:
    """What needs no grader: mean length, diversity, and the commonest run of four words with the share of answers
    that have it (collapse and boilerplate)."""
    gram, share = commonest_ngram(answers, 4)
    figures = Figures(Resampling())
    figures.note("words", sum(map(word_count, answers)) / len(answers) if answers else math.nan)
    figures.note("distinct_2", distinct_n(answers, 2))
    figures.note("commonest_share", share)
    return {**figures.values, "commonest": gram}


def training(lines: Sequence[Mapping[str, Any]]) -> Tree | None:
    """The reward at the start and at the end of RL and the KL at its end, from the lines of metrics.jsonl: means over a
    tenth of the steps (at least one). None where there was no RL."""
    steps = {line["step"]: line for line in lines if line.get("stage") == "rl" and "step" in line and "reward" in line}
    ordered = [steps[step] for step in sorted(steps)]  # of a step that was written twice the later line counts
    if not ordered:
        return None
    tenth = max(1, len(ordered) // 10)
    first, last = ordered[:tenth], ordered[-tenth:]
    return {
        "kl": _mean_of(last, "kl"),
        "reward_start": _mean_of(first, "reward"),
        "reward_end": _mean_of(last, "reward"),
    }


def _mean_of(lines: Sequence[Mapping[str, Any]], key: str) -> float | None:
    values = [float(line[key]) for line in lines if line.get(key) is not None and math.isfinite(line[key])]
    return sum(values) / len(values) if values else None


def _verdicts(labels: Sequence[Preference], order: str) -> Floats:
    """The mean probability of answer a over a label's valid verdicts in one order, NaN without any."""
    return np.concatenate(
        [nanmean(*(_floats([v.p_a]) for v in label.verdicts if v.order == order)) for label in labels]
    )


def nanmean(*columns: Floats) -> Floats:
    """The elementwise mean of what is not NaN; NaN where nothing is left; [NaN] without columns."""
    table = np.array(columns or [[np.nan]], dtype=np.float64)
    there = ~np.isnan(table)
    counts = there.sum(axis=0)
    return np.where(counts > 0, np.where(there, table, 0.0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
