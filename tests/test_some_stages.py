"""One stage alone, and failed calls asked again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import scripted_service
from charter import cli
from charter.core.errors import CallFailed
from charter.core.records import Chain
from charter.core.tables import read_records
from charter.models.engine import Completion, GenerateRequest
from charter.models.scripted import ScriptedEngine


def run(project: Path, *more: object) -> int:
    arguments = ["run", project / "recipe.yaml", "models.assistant.journal=true", "--out", project / "run", *more]
    return cli._guarded([str(a) for a in arguments])


def stages(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / "run/manifest.json").read_text())["stages"]
    return found


def test_one_stage_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(project, "--only", "respond_helpful") == 0
    assert list(stages(project)) == ["respond_helpful"]
    assert run(project, "--only", "revise") == 2
    assert "the stage 'revise' needs responses.parquet, which no stage has made yet" in capsys.readouterr().err
    assert run(project, "--only", "respond") == 0
    assert run(project, "--only", "revise") == 0
    alone = stages(project)
    assert run(project, "--until", "revise") == 0
    assert stages(project) == alone
    assert run(project, "--only", "revision") == 2
    assert "there is no stage 'revision'" in capsys.readouterr().err


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> tuple[set[str], list[GenerateRequest]]:
    """First turns of conversations whose calls fail, and what was asked of the scripted model."""
    prompts: set[str] = {"how do i steal tea"}
    asked: list[GenerateRequest] = []
    scripted = ScriptedEngine.generate

    async def generate(self: ScriptedEngine, request: GenerateRequest) -> Completion:
        asked.append(request)
        if request.messages[0].content in prompts:
            raise CallFailed("the endpoint fails")
        self._reply = scripted_service.reply
        return await scripted(self, request)

    monkeypatch.setattr(ScriptedEngine, "generate", generate)
    return prompts, asked


def test_failed_calls_are_asked_again(project: Path, failing: tuple[set[str], list[GenerateRequest]]) -> None:
    prompts, asked = failing
    assert run(project, "--until", "revise") == 0
    before = stages(project)
    assert (before["respond"]["counts"]["failed"], before["respond"]["counts"]["chains"]) == (1, 2)
    assert "failed" not in before["revise"]["counts"]
    assert (project / "run/journal/respond.journal").is_file(), "it is kept for another try"
    asked.clear()
    assert run(project, "--until", "revise") == 0
    assert asked == [], "without --retry-failed a stage with failures is done"

    prompts.clear()
    assert run(project, "--until", "revise", "--retry-failed") == 0
    assert {request.messages[0].content for request in asked} == {"how do i steal tea"}
    assert len(asked) == 1 + 4, "the answer, and two rounds: nothing of the other chains is asked again"
    after = stages(project)
    assert (after["respond"]["counts"]["chains"], after["revise"]["counts"]["chains"]) == (3, 3)
    assert "failed" not in after["respond"]["counts"]
    assert after["revise"]["fingerprint"] != before["revise"]["fingerprint"]
    assert not (project / "run/journal/respond.journal").exists()
    revisions = (project / "run/revisions.parquet").read_bytes()
    (project / "run").rename(project / "retried")
    assert run(project, "--until", "revise") == 0
    assert (project / "run/revisions.parquet").read_bytes() == revisions
    assert stages(project)["revise"]["fingerprint"] == after["revise"]["fingerprint"]
    assert len(read_records(project / "run/revisions.parquet", Chain)) == 3
