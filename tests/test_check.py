"""The trial before a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tiny_project
from charter import check, cli
from charter.core.config import load_recipe
from charter.core.errors import CallFailed, TooLong
from charter.models.engine import Completion, GenerateRequest
from charter.models.openai.probe import Findings
from charter.models.scripted import ScriptedEngine

HELPFUL = "Take the first left, then ask at the desk."


def trial(project: Path, *overrides: str, prompts: int = 50) -> check.Trial:
    return check.check(load_recipe(project / "recipe.yaml", overrides), prompts)


def said(found: check.Trial, severity: str) -> str:
    return "\n".join(str(f) for f in found.findings if f.severity == severity)


def test_a_model_that_refuses_makes_a_run_pointless(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The project's model says `I would rather not.` to everything."""
    arguments = ["check", str(project / "recipe.yaml")]
    assert cli._guarded([*arguments, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["pointless"]
    assert found["counts"] == {"red_team_prompts": 3, "benign_prompts": 2, "calls": 20, "prompts_given_up": 0}
    for name in ("red_team_refused", "benign_refused", "critiques_refused", "revisions_refused", "judge_refused"):
        assert found["figures"][name] == 1.0
    assert found["figures"]["mass_on_the_options"] == pytest.approx(1.0)
    assert cli._guarded(arguments) == 1
    text = capsys.readouterr().out
    assert "stop: the assistant refuses red-team prompts already: revision has little to do (100 %)" in text
    assert "library:non-evasive" in text
    assert "refusals are told by their words" in text
    assert [path.name for path in project.iterdir() if path.is_dir()] == [], "nothing is kept"


def test_a_model_that_helps(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = (f"models.assistant.reply={HELPFUL}", "models.feedback={engine: scripted, option: 1, reply: (B)}")
    found = trial(project, *overrides)
    assert not found.pointless
    assert found.figures["red_team_refused"] == found.figures["judge_refused"] == 0.0
    assert found.figures["position_bias"] == 1.0
    assert "the judge chooses by position (100 %)" in said(found, "warning")
    assert "revisions leave the answer as it is (100 %)" in said(found, "warning")
    assert cli._guarded(["check", str(project / "recipe.yaml"), *overrides]) == 0
    assert "nothing is in the way of a run" in capsys.readouterr().out


def test_what_can_be_wrong(project: Path) -> None:
    leaky = trial(project, "models.assistant.reply=<think>hm</think> Yes.")
    assert "thinking leaks into answers (100 %)" in said(leaky, "warning")
    empty = trial(project, 'models.assistant.reply=""')
    assert "answers are empty (100 %)" in said(empty, "stop")
    assert empty.pointless
    assert "the judge finds all answers alike" in said(empty, "warning")
    unread = trial(project, f"models.assistant.reply={HELPFUL}", "label.min_mass=1.0", "models.critic.engine=scripted")
    assert not unread.pointless


def test_verdicts_that_cannot_be_read(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge puts a hundredth of its probability on each option."""
    monkeypatch.setattr(check, "open_engine", lambda *_: ScriptedEngine(HELPFUL, lambda _: (0.01, 0.01)))
    found = trial(project, f"models.assistant.reply={HELPFUL}")
    assert found.figures["invalid_verdicts"] == 1.0
    assert "verdicts cannot be read (100 %)" in said(found, "stop")
    assert "little of the judge's probability is on the options (2 %)" in said(found, "warning")


def test_prompts_that_fail(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(ScriptedEngine):
        async def generate(self, request: GenerateRequest) -> Completion:
            if " tea" in request.messages[0].content:
                raise TooLong("too long for it")
            return await super().generate(request)

    monkeypatch.setattr(check, "open_engine", lambda *_: Failing(HELPFUL))
    found = trial(project)
    assert found.counts["prompts_given_up"] == 1
    assert "1 prompts were given up; one: too long for it" in said(found, "warning")

    class Broken(ScriptedEngine):
        async def generate(self, request: GenerateRequest) -> Completion:
            raise CallFailed("the endpoint is down")

    monkeypatch.setattr(check, "open_engine", lambda *_: Broken())
    with pytest.raises(CallFailed):
        trial(project)


def test_what_an_endpoint_does_not_do(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endpoint(ScriptedEngine):
        findings = Findings("m", n=True, usage=True, seed=False)

    monkeypatch.setattr(check, "open_engine", lambda *_: Endpoint(HELPFUL))
    found = trial(project)
    assert "info: m gives no log-probabilities: choices are sampled votes" in said(found, "info")
    assert "info: m ignores seeds" in said(found, "info")


def test_with_a_local_model_and_our_own_prompts(tmp_path: Path) -> None:
    project = tiny_project.make(tmp_path)
    found = trial(project, "prompts.helpful=null", prompts=2)
    assert (found.counts["red_team_prompts"], found.counts["benign_prompts"]) == (2, 2)
    assert found.figures["cut_off"] is not None
    assert 0 < (found.figures["mass_on_the_options"] or 0) < 1


def test_the_sample_is_always_the_same(project: Path) -> None:
    from charter.inputs import prompts_in

    recipe = load_recipe(project / "recipe.yaml")
    prompts = list(prompts_in(recipe.prompts.red_team, "red_team"))
    assert check.sample(prompts, 2) == check.sample(reversed(prompts), 2)
    assert len(check.sample(prompts, 2)) == 2
