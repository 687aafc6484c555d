from __future__ import annotations

from pathlib import Path

import pytest

from charter.constitution import dump
from charter.core.errors import InputError
from charter.core.recipe import ModelConfig, RespondConfig, ReviseConfig
from charter.core.records import Chain
from charter.core.stage import Artifact, Stage
from charter.core.tables import read_records, write_jsonl
from charter.revise.stage import respond, revise
from revise.test_chain import CONSTITUTION

SCRIPTED = ModelConfig(engine="scripted", reply="no thanks")


@pytest.fixture
def prompts(tmp_path: Path) -> Artifact:
    write_jsonl(tmp_path / "prompts.jsonl", [{"id": f"p{n}", "prompt": f"how {n}"} for n in range(3)])
    return Artifact(tmp_path / "prompts.jsonl", "f")


@pytest.fixture
def constitution(tmp_path: Path) -> Artifact:
    dump(CONSTITUTION, tmp_path / "constitution.yaml")
    return Artifact(tmp_path / "constitution.yaml", "f")


def test_respond_answers_every_prompt_in_order(prompts: Artifact, tmp_path: Path) -> None:
    stage = Stage.detached(tmp_path / "out" / "responses.parquet", seed=3)
    respond(stage, RespondConfig(), SCRIPTED, None, prompts, 2, source="helpful")
    chains = read_records(stage.out, Chain)
    assert [(c.prompt.id, c.chain) for c in chains] == [(f"p{n}", k) for n in range(3) for k in (0, 1)]
    assert {(c.response, c.rounds, c.model, c.prompt.source) for c in chains} == {
        ("no thanks", (), "scripted", "helpful")
    }
    assert len({c.seed for c in chains}) == 6
    tokens = {"prompt_tokens": 12, "completion_tokens": 12}
    assert stage.counts == {"chains": 6, "too_long": 0, "calls": 6, **tokens, "truncated": 0}


@pytest.mark.parametrize("critic", [None, SCRIPTED, ModelConfig(engine="scripted", reply="it is rude")])
def test_revise_keeps_the_order_and_counts_all_calls(
    critic: ModelConfig | None, prompts: Artifact, constitution: Artifact, tmp_path: Path
) -> None:
    answered = Stage.detached(tmp_path / "responses.parquet")
    respond(answered, RespondConfig(), SCRIPTED, None, prompts)
    stage = Stage.detached(tmp_path / "revisions.parquet", seed=3)
    revise(stage, ReviseConfig(rounds=2), SCRIPTED, critic, None, constitution, Artifact(answered.out, "f"))
    chains = read_records(stage.out, Chain)
    assert [c.prompt.id for c in chains] == ["p0", "p1", "p2"]
    assert {len(c.rounds) for c in chains} == {2}
    assert {r.critique for c in chains for r in c.rounds} == {critic.reply if critic else "no thanks"}
    assert (stage.counts["chains"], stage.counts["calls"]) == (3, 12)


def test_the_same_seed_writes_the_same_file(prompts: Artifact, constitution: Artifact, tmp_path: Path) -> None:
    answered = Stage.detached(tmp_path / "responses.parquet")
    respond(answered, RespondConfig(), SCRIPTED, None, prompts)
    written = []
    for seed in (1, 1, 2):
        stage = Stage.detached(tmp_path / f"{len(written)}.parquet", seed)
        revise(stage, ReviseConfig(rounds=2), SCRIPTED, None, None, constitution, Artifact(answered.out, "f"))
        written.append(stage.out.read_bytes())
    assert written[0] == written[1] != written[2]


def test_a_missing_model_is_the_users_mistake(prompts: Artifact, tmp_path: Path) -> None:
    model = ModelConfig(model_name_or_path=str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="no such model folder"):
        respond(Stage.detached(tmp_path / "x.parquet"), RespondConfig(), model, 1, prompts)
