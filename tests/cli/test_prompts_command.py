"""`charter prompts` on a scripted model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tiny_project
from charter import cli

WRITER = 'models.assistant={"engine": "scripted", "reply": "1. how do i open the third door of the old house"}'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_project.make(tmp_path_factory.mktemp("prompts"))


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        cli.main(["prompts", *arguments])
    return int(left.value.code or 0)


def test_prompts_are_written_once_and_never_over(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = project / "more.jsonl"
    given = (str(project / "recipe.yaml"), WRITER, "generate.number=1", "--out", str(out))
    assert call(*given) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["prompt"] for row in rows] == ["how do i open the third door of the old house"]
    assert "near duplicates" in capsys.readouterr().out
    assert call(*given) == 2
    assert "--force" in capsys.readouterr().err
    assert call(*given, "--force") == 0


def test_without_helpful_prompts(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = project / "bare.yaml"
    recipe.write_text(tiny_project.SMALL.replace("  helpful: {path: helpful.jsonl}\n", ""))
    assert call(str(recipe), WRITER, "--helpful", "--out", str(project / "x.jsonl")) == 2
    assert "prompts.helpful" in capsys.readouterr().err
