"""The principle gap: leave out the principle about some harms, and see which harms the trained models still do.

    python gap.py [--seeds 0 1 2] [--rl] [--quick] [--out work] [--results FOLDER]

For every seed a miniature world is made whose model is taught to criticise and to judge under the principles of
constitution.yaml. The supervised stage (with --rl the whole method) is run there under constitution.yaml, and once more
under without_bodies.yaml with what has not changed reused. The linter says beforehand, from the text alone, which harms
no principle is about. Harmlessness is then measured harm by harm, by the world's oracle.

Fine-tuning takes the last revision of each chain, which all principles have looked at in some round: what the paper
leaves to chance would blur the picture.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from charter import pipeline
from charter.constitution import load
from charter.constitution.lint import Taxonomy, coverage
from charter.core.config import load_recipe
from charter.core.records import Chain
from charter.core.tables import read_records
from charter.evaluate.rows import harmless
from charter.statistics.intervals import bootstrap_difference, bootstrap_mean
from charter.world import build
from charter.world.lexicon import HARMS
from charter.world.oracle import deed_of, oracle

HERE = Path(__file__).parent
WHOLE, WITHOUT = HERE / "constitution.yaml", HERE / "without_bodies.yaml"
OVERRIDES = ("sl.train_on=last_round", "sl.num_train_epochs=6")
MODELS = {"sl": "SL-CAI", "rl": "RL-CAI"}
Answers = dict[str, list[tuple[str, float]]]
"""For every harm, (cluster, harmless) of each answer."""


def main() -> None:
    """Run, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rl", action="store_true", help="the whole method, not the supervised stage alone")
    parser.add_argument("--quick", action="store_true", help="a small world: to see that it works, not how well")
    parser.add_argument("--out", type=Path, default=Path("work"))
    parser.add_argument("--results", type=Path, help="also write principle-gap.json there")
    options = parser.parse_args()
    found = {seed: measure(seed, options.quick, options.rl, options.out / f"seed{seed}") for seed in options.seeds}
    table = list(rows(found))
    text = markdown(table, options.seeds)
    print(text)
    if options.results:
        (options.results / "principle-gap.json").write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


def measure(seed: int, quick: bool, rl: bool, out: Path) -> dict[tuple[str, str], Answers]:
    """Both runs of one seed: (constitution, model) -> the answers by harm."""
    world = build.world(seed=seed, quick=quick, constitution=WHOLE)
    recipes = {
        name: load_recipe(world / "recipe.yaml", [f"seed={seed}", f"constitution={path}", *OVERRIDES])
        for name, path in (("whole", WHOLE), ("without", WITHOUT))
    }
    whole = pipeline.run(recipes["whole"], out / "whole", supervised_only=not rl)
    without = pipeline.run(recipes["without"], out / "without", reuse=whole, supervised_only=not rl)
    return {
        (name, model): by_harm(run / "evaluation" / f"{model}.parquet")
        for name, run in (("whole", whole), ("without", without))
        for model in MODELS
        if (run / "evaluation" / f"{model}.parquet").is_file()
    }


def by_harm(path: Path) -> Answers:
    """What the answers to harmful held-out requests do, by the harm that the request asks for."""
    answers: Answers = {name: [] for name in HARMS}
    for chain in read_records(path, Chain):
        deed = deed_of(chain.prompt.text)
        if deed is not None and deed.harm is not None and chain.prompt.kind == "harmful":
            grade = oracle.grade(chain.prompt, chain.response)
            answers[deed.harm.name].append((deed.id, harmless(grade)))
    return answers


def rows(found: dict[int, dict[tuple[str, str], Answers]]) -> Iterator[dict[str, Any]]:
    """One row per harm, over all seeds; clusters are deeds of one seed."""
    taxonomy = Taxonomy.load(HERE / "harms.yaml")
    covered = {hazard.id: list(hazard.principles) for hazard in coverage(load(WITHOUT), taxonomy).hazards}
    models = dict.fromkeys(model for answers in found.values() for _, model in answers)
    for harm in HARMS:
        row: dict[str, Any] = {"harm": harm, "covered": covered[harm]}
        for model in models:
            sides = [
                [(f"{seed} {deed}", value) for seed in found for deed, value in found[seed][name, model][harm]]
                for name in ("whole", "without")
            ]
            row[model] = compare(*sides)
        yield row


def compare(before: Sequence[tuple[str, float]], after: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """Shares of harmless answers with the whole constitution and without the principle; the same requests."""
    clusters = [cluster for cluster, _ in before]
    one, other = ([value for _, value in side] for side in (before, after))
    return {
        "n": len(one),
        "whole": [sum(one) / len(one), *bootstrap_mean(one, clusters)],
        "without": [sum(other) / len(other), *bootstrap_mean(other, clusters)],
        "difference": [
            sum(other) / len(one) - sum(one) / len(one),
            *bootstrap_difference(other, clusters, one, clusters),
        ],
    }


def markdown(table: Sequence[dict[str, Any]], seeds: Sequence[int]) -> str:
    """The table, as docs/results/principle-gap.md has it."""
    models = [model for model in MODELS if model in table[0]]
    titles = "".join(f" {MODELS[m]}: whole → without | difference in points |" for m in models)
    lines = [
        f"| harm | principles left, by the coverage report | n |{titles}",
        "|---|---|---:|" + "---:|---:|" * len(models),
    ]
    for row in table:
        cells = [row["harm"], ", ".join(row["covered"]) or "**none**", str(row[models[0]]["n"])]
        for model in models:
            change, low, high = (100 * x for x in row[model]["difference"])
            cells.append(f"{row[model]['whole'][0]:.3f} → {row[model]['without'][0]:.3f}")
            cells.append(f"{change:+.1f} [{low:+.1f}, {high:+.1f}]")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([f"Seeds {', '.join(map(str, seeds))}.", "", *lines]) + "\n"


if __name__ == "__main__":
    main()
