"""The scripts for many machines, as far as one machine can run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from charter.core.records import Chain
from charter.core.tables import read_records
from rows import write_rows

SCALE = Path(__file__).parents[1] / "examples" / "scale"


@pytest.fixture
def environment(project: Path, tmp_path: Path) -> dict[str, str]:
    """As a Slurm job sees it, with `charter` on the PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    charter = programs / "charter"
    charter.write_text(f'#!/bin/bash\nexec {sys.executable} -m charter "$@"\n')
    charter.chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    here = {"RECIPE": str(project / "recipe.yaml"), "OUT": str(project / "run"), "CHARTER_EXAMPLES": str(SCALE)}
    return {**os.environ, **here, "PATH": path, "SLURM_ARRAY_TASK_COUNT": "2"}


def script(name: str, *arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", str(SCALE / name), *arguments], env=env, capture_output=True, text=True, check=False)


def test_slurm_array_and_merge(project: Path, environment: dict[str, str]) -> None:
    write_rows(project / "red_team.jsonl", [{"prompt": f"how do i steal {n} cars"} for n in range(8)])
    write_rows(project / "helpful.jsonl", [{"prompt": f"how do i bake {n} cakes"} for n in range(8)])
    for task in ("1", "2"):
        done = script("slurm.sh", "--until", "revise", env={**environment, "SLURM_ARRAY_TASK_ID": task})
        assert done.returncode == 0, done.stderr
        if task == "1":
            assert script("merge.sh", "2", env=environment).returncode == 2
    merged = script("merge.sh", "2", env=environment)
    assert merged.returncode == 0, merged.stderr
    assert len(read_records(project / "run/revisions.parquet", Chain)) == 8


def test_a_server_that_ends_is_said(environment: dict[str, str], tmp_path: Path) -> None:
    """The server is started where one is named; here it is a program that fails."""
    vllm = tmp_path / "bin" / "vllm"
    vllm.write_text("#!/bin/bash\necho no GPU >&2\nexit 1\n")
    vllm.chmod(0o755)
    sleep = tmp_path / "bin" / "sleep"
    sleep.write_text("#!/bin/bash\nexec /bin/sleep 0.1\n")
    sleep.chmod(0o755)
    done = script("shard.sh", "1", "2", env={**environment, "SERVE": "owner/model"})
    assert done.returncode == 1
    assert "the server has ended" in done.stderr
    assert "no GPU" in Path(f"{environment['OUT']}-server-1.log").read_text()


def test_the_skypilot_file(tmp_path: Path) -> None:
    """Its shell is sound, and it calls what is there."""
    task = yaml.safe_load((SCALE / "sky.yaml").read_text())
    assert task["num_nodes"] > 1
    run = tmp_path / "run.sh"
    run.write_text(task["run"])
    assert subprocess.run(["bash", "-n", str(run)], check=False).returncode == 0
    assert 'bash shard.sh "$number" "$of"' in task["run"]
