"""Shards as Ray's tasks. Needs Ray (the extra `ray`)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from charter import ray_adapter
from charter.core.errors import CharterError
from charter.core.records import Chain
from charter.core.tables import read_records
from rows import write_rows

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module", autouse=True)
def two_workers() -> Iterator[None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False, object_store_memory=100 * 2**20)
    yield
    ray.shutdown()


def test_two_workers(project: Path) -> None:
    write_rows(project / "red_team.jsonl", [{"prompt": f"how do i steal {n} cars"} for n in range(12)])
    write_rows(project / "helpful.jsonl", [{"prompt": f"how do i bake {n} cakes"} for n in range(12)])
    out, recipe = project / "run", project / "recipe.yaml"
    with pytest.raises(CharterError, match="there is no stage 'revisions'"):
        ray_adapter.run(recipe, out, 2, until="revisions", show="silent")
    assert ray_adapter.run(recipe, out, 2, overrides=["revise.rounds=1"], until="revise", show="silent") == [
        *("respond", "respond_helpful", "revise"),
    ]
    assert len(read_records(out / "revisions.parquet", Chain)) == 12
