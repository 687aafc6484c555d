"""The stage `label`: which answer is better under a principle, by multiple choice (section 4.1 of the paper).

The label is soft: the probabilities of (A) and (B), normalised. The paper asks in one order; here both are asked and
averaged, because models favour a position (Lee et al. 2023), and averaging takes the favour out. Several principles
may be asked and averaged too, which the paper found to make preference models more robust.

A verdict that cannot be read is invalid, with its reason; it is never a tie and never a default. Where one order is
invalid, the principle is left out altogether: the order that is left would carry the position's favour, which is what
the other order is there to cancel."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Literal

from charter import constitution as constitutions
from charter.constitution import Constitution, Principle, draw
from charter.core.errors import TooLong
from charter.core.recipe import LabelConfig, ModelConfig
from charter.core.records import Comparison, Preference, Prompt, Verdict, user
from charter.core.seeds import derive
from charter.core.stage import Artifact, Stage
from charter.core.tables import count_records, iterate_records, write_records
from charter.models import open_engine
from charter.models.engine import Choice, ChooseRequest, Engine
from charter.models.runner import all_that_can
from charter.prefer.templates import OPTIONS, judge_message
from charter.statistics.agreement import confidence, first_chosen, mean, same_position

VERSION = 2

Order = Literal["ab", "ba"]
_NO_TEXTS = Comparison("", Prompt("", ()), "", "")


def label(
    stage: Stage,
    config: LabelConfig,
    feedback: ModelConfig,
    threads: int | None,
    constitution: Artifact,
    comparisons: Artifact,
) -> None:
    """Label every comparison with the feedback model. Writes a Preference for each, in order, those without a valid
    verdict too, and counts what is known of the labels' quality without gold."""
    engine = open_engine(feedback, threads, stage)
    principles = constitutions.load(constitution.path)
    todo = iterate_records(comparisons.path, Comparison)
    earlier = {p.comparison.id: p for p in stage.earlier_records(Preference)}

    async def work(comparison: Comparison) -> Preference:
        return await judge(engine, principles, config, comparison, stage.seed, earlier.get(comparison.id))

    light: list[Preference] = []  # without the texts, which need not fit in memory
    known = 0

    def noted(preferences: Iterator[Preference]) -> Iterator[Preference]:
        nonlocal known
        for preference in preferences:
            light.append(replace(preference, comparison=_NO_TEXTS))
            if before := earlier.get(preference.comparison.id):
                known += taken_over(preference, before)
            yield preference

    total = count_records(comparisons.path)
    labelled = all_that_can(stage, work, todo, "labels", engine, unit="comparisons", total=total)
    write_records(stage.out, noted(labelled))
    stage.count(**figures(light))
    if earlier:
        stage.count(taken_over=known)


async def judge(
    engine: Engine,
    constitution: Constitution,
    config: LabelConfig,
    comparison: Comparison,
    run_seed: int,
    earlier: Preference | None = None,
) -> Preference:
    """Label one comparison under `config.principles` drawn principles. `p_a` is None where no verdict is valid. Of an
    `earlier` label of the same comparison, made with the same settings, the verdicts whose principle and its wording
    are still the same are taken over."""
    known = _verdicts_of(earlier, comparison)

    async def verdict(principle: Principle, order: Order) -> Verdict:
        done = known.get((principle.id, principle.hash, order))
        return done or await _verdict(engine, config, comparison, principle, order)

    asked = questions(constitution, config, comparison.id, run_seed)
    verdicts = await asyncio.gather(*(verdict(*question) for question in asked))
    tiers = constitution.tiers if config.combine == "tiers" else None
    return Preference(
        comparison,
        _finish(combine(verdicts, tiers, config.tie_margin), config),
        tuple(verdicts),
        constitution_hash=constitution.hash,
        model=engine.name,
    )


def combine(
    verdicts: Sequence[Verdict], tiers: Mapping[str, int] | None = None, tie_margin: float = 0.0
) -> float | None:
    """The mean over the orders of each principle, then over the principles whose verdicts are all valid. With `tiers`
    (of the principles, by id) a tier decides only where every tier above it abstains, having no valid principle, or
    ties, its mean lying within `tie_margin` of one half; where all of them tie, the highest one stands."""
    by_principle: dict[str, list[float | None]] = {}
    for verdict in verdicts:
        by_principle.setdefault(verdict.principle_id, []).append(verdict.p_a)
    by_tier: dict[int, list[float]] = {}
    for principle, probabilities in by_principle.items():
        valid = [p for p in probabilities if p is not None]
        if len(valid) == len(probabilities):
            by_tier.setdefault(tiers[principle] if tiers else 1, []).append(fmean(valid))
    means = [fmean(by_tier[tier]) for tier in sorted(by_tier)]
    return next((p for p in means if abs(p - 0.5) > tie_margin), means[0] if means else None)


def questions(
    constitution: Constitution, config: LabelConfig, comparison_id: str, run_seed: int
) -> list[tuple[Principle, Order]]:
    """What is asked about a comparison: the drawn principles, each in its orders."""
    principles = _draw(constitution, config.principles, (run_seed, comparison_id))
    return [
        (principle, order)
        for k, principle in enumerate(principles)
        for order in _orders(config, derive(run_seed, comparison_id, k, "order"))
    ]


def taken_over(preference: Preference, earlier: Preference) -> int:
    """How many of a label's verdicts stand in an earlier one already."""
    known = _verdicts_of(earlier, preference.comparison)
    return sum((v.principle_id, v.principle_hash, v.order) in known for v in preference.verdicts)


def _verdicts_of(earlier: Preference | None, comparison: Comparison) -> dict[tuple[str, str, Order], Verdict]:
    if earlier is None or earlier.comparison != comparison:
        return {}
    return {(v.principle_id, v.principle_hash, v.order): v for v in earlier.verdicts}


def read_choice(choice: Choice, min_mass: float) -> tuple[float | None, str | None]:
    """The probability of the first option among the options, or None and the reason why it cannot be read."""
    best = max(choice.logprobs)
    if not math.isfinite(choice.mass) or not math.isfinite(best) or any(math.isnan(x) for x in choice.logprobs):
        return None, "not_finite"
    if choice.mass < min_mass:
        return None, "low_mass"
    weights = [math.exp(x - best) for x in choice.logprobs]
    return weights[0] / sum(weights), None


async def _verdict(
    engine: Engine, config: LabelConfig, comparison: Comparison, principle: Principle, order: Order
) -> Verdict:
    """Ask in one order. `shown` is the comparison as the judge sees it; its verdict is swapped back with it."""
    shown = comparison if order == "ab" else comparison.swap()
    assert principle.comparison is not None, "only principles with a comparison are drawn"
    message = judge_message(shown.prompt.messages, principle.comparison, shown.a, shown.b)
    try:
        choice = await engine.choose(ChooseRequest((user(message),), OPTIONS))
    except TooLong:
        return Verdict(principle.id, principle.hash, order, None, None, "too_long")
    p_first, reason = read_choice(choice, config.min_mass)
    mass = choice.mass if math.isfinite(choice.mass) else None
    verdict = Verdict(principle.id, principle.hash, "ab", p_first, mass, reason)
    return verdict if order == "ab" else verdict.swap()


def _draw(constitution: Constitution, count: int, key: tuple[int, str]) -> list[Principle]:
    """Up to `count` different principles."""
    drawn: dict[str, Principle] = {}
    for k in range(count):
        principle = draw(constitution, "comparison", (*key, k), exclude=drawn.keys())
        if principle.id in drawn:  # all have been drawn
            break
        drawn[principle.id] = principle
    return list(drawn.values())


def _orders(config: LabelConfig, seed: int) -> tuple[Order, ...]:
    if config.orders == "both":
        return ("ab", "ba")
    return ("ba",) if seed % 2 else ("ab",)


def _finish(p_a: float | None, config: LabelConfig) -> float | None:
    """Round where labels are hard (an exact tie stays one: there is no side to round it to), exchange where they are
    flipped."""
    if p_a is None:
        return None
    if not config.soft and p_a != 0.5:
        p_a = float(p_a > 0.5)
    return 1.0 - p_a if config.flip else p_a


def figures(preferences: Sequence[Preference]) -> dict[str, float]:
    """What is known of labels without the truth: how many verdicts are invalid and why, and as far as they can be told
    the shares in which a position wins twice (Lee et al. 2023) and in which the first option wins, and the mean
    confidence."""
    verdicts = [verdict for preference in preferences for verdict in preference.verdicts]
    reasons = Counter(verdict.reason for verdict in verdicts if verdict.p_a is None)
    ab, ba = _in_both_orders(preferences)
    shares = {
        "position_bias": mean(same_position(ab, ba)),
        "first_option_rate": mean(first_chosen([*ab, *(1.0 - p_a for p_a in ba)])),
        "mean_confidence": mean(confidence([_number(preference.p_a) for preference in preferences])),
    }
    return {
        "verdicts": len(verdicts),
        "invalid": reasons.total(),
        **{f"invalid_{reason}": count for reason, count in sorted(reasons.items(), key=str)},
        "unlabelled": sum(preference.p_a is None for preference in preferences),
        **{name: share for name, share in shares.items() if share is not None},
    }


def _in_both_orders(preferences: Sequence[Preference]) -> tuple[list[float], list[float]]:
    """`p_a` of every pair under every principle as 'ab' and as 'ba', NaN where it is invalid or was not asked."""
    found: dict[tuple[int, str], dict[Order, float]] = {}
    for number, preference in enumerate(preferences):
        for verdict in preference.verdicts:
            found.setdefault((number, verdict.principle_id), {})[verdict.order] = _number(verdict.p_a)
    return [orders.get("ab", math.nan) for orders in found.values()], [
        orders.get("ba", math.nan) for orders in found.values()
    ]


def _number(p_a: float | None) -> float:
    return math.nan if p_a is None else p_a
