"""That the benchmarks run and print what is read from them; not how fast anything is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_benchmarks_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 6
    for row in rows:
        assert row["ours"] > 0
        assert (row["ratio"] is None) == (row["peer"] is None)
        if row["peer"] is not None:
            assert row["ratio"] == pytest.approx(row["ours"] / row["peer"], rel=0.05)
        assert row["name"] in done.stderr
