"""The shards of a run on a Ray cluster: each is a task, which Ray runs again where its machine is lost.

Every machine of the cluster sees the recipe and the run's folder under the same paths (a shared file system). A task is
`charter run RECIPE --shard i/N`: what it has asked is in its shard's journal, so that a task that is run again goes on
where it stopped, on whichever machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from charter import pipeline, shards
from charter.core.config import load_recipe
from charter.core.errors import CharterError, MissingExtra
from charter.core.progress import Show, say
from charter.core.run import Shard

RETRIES = 3
"""How often a task is run again whose machine or process was lost."""


def run(
    recipe: Path,
    out: Path,
    of: int,
    *,
    overrides: Sequence[str] = (),
    until: str | None = None,
    resources: dict[str, Any] | None = None,
    show: Show = "auto",
) -> list[str]:
    """Run all `of` shards as far as shards go (see `pipeline.run`) on the cluster that Ray is connected to, or on this
    machine, and merge them in `out`; returns the stages that were merged. `resources` are Ray's for one task, such as
    {"num_gpus": 1}. Raises the first shard's error, as it would be raised here, once all others are done."""
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it reports to its makers unless told not to
        ray.init(log_to_driver=False, include_dashboard=False)
    task = ray.remote(max_retries=RETRIES, **(resources or {}))(_shard)
    parts = [Shard(number, of) for number in range(1, of + 1)]
    waiting = {
        task.remote(str(recipe.absolute()), str(out.absolute()), shard.number, of, tuple(overrides), until): shard
        for shard in parts
    }
    failed: list[CharterError] = []
    while waiting:
        (ready,), _ = ray.wait(list(waiting), num_returns=1)
        shard, refusal = waiting.pop(ready), ray.get(ready)
        say(f"shard {shard}: {'done' if refusal is None else refusal.what}", show)
        failed += [] if refusal is None else [refusal]
    if failed:
        raise failed[0]
    return shards.merge(out, [shards.folder_of(out, shard) for shard in parts], show=show)


def _shard(
    recipe: str, out: str, number: int, of: int, overrides: tuple[str, ...], until: str | None
) -> CharterError | None:
    """One shard, in a worker. An expected error is returned, as running it again would not help."""
    try:
        loaded = load_recipe(Path(recipe), overrides)
        pipeline.run(loaded, Path(out), until=until, shard=Shard(number, of), show="silent")
    except CharterError as error:
        return CharterError(error.what, where=error.where, cure=error.cure)
    return None
