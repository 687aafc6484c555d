"""Prompts of other formats in a run: they become one file of rows, which all stages read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from charter import pipeline
from charter.core.config import load_recipe
from charter.core.errors import InputError
from charter.core.records import Chain
from charter.core.tables import read_records


def answered(project: Path, *overrides: str) -> tuple[list[str], dict[str, int]]:
    """The prompts that the stage `respond` saw, and what the manifest says about the file."""
    recipe = load_recipe(project / "recipe.yaml", overrides)
    pipeline.run(recipe, project / "run", until="respond")
    inputs = json.loads((project / "run/manifest.json").read_text())["inputs"]["prompts.red_team"]
    return [chain.prompt.text for chain in read_records(project / "run/responses.parquet", Chain)], inputs


def test_a_table_with_a_limit(project: Path) -> None:
    (project / "goals.csv").write_text('goal,id\nopen it,a\n"a very, very long goal",b\nshut it,c\nopen it,d\n')
    overrides = ("path=goals.csv", "column=goal", "max_chars=10")
    prompts, counts = answered(project, *(f"prompts.red_team.{text}" for text in overrides))
    assert prompts == ["open it", "shut it"]
    assert counts == {"rows": 4, "taken": 2, "duplicates": 1, "odd": 0, "set_aside": 1}
    rows = [json.loads(line) for line in (project / "run/prompts/red_team.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["a", "c"]


def test_a_data_set(project: Path) -> None:
    pytest.importorskip("datasets")
    folder = project / "data"
    folder.mkdir()
    (folder / "test.jsonl").write_text('{"prompt": "open it"}\n{"prompt": "shut it"}\n')
    prompts, counts = answered(project, f"prompts.red_team.path='hub:{folder}:test'", "prompts.red_team.limit=1")
    assert prompts == ["open it"]
    assert counts["taken"] == 1


def test_a_fault_is_told_before_anything_is_run(project: Path) -> None:
    (project / "goals.csv").write_text("prompt\nopen it\na,b\n")
    with pytest.raises(InputError, match="the row has 2 cells") as caught:
        answered(project, "prompts.red_team.path=goals.csv")
    assert str(caught.value.where).endswith("goals.csv:3")
    assert not (project / "run").exists()
