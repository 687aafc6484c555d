"""Conversations that do not fit the model's context are left out and counted, in every stage; none is cut."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from charter.constitution import dump
from charter.core.errors import InputError, TooLong
from charter.core.recipe import LabelConfig, ModelConfig, PairConfig, RespondConfig, ReviseConfig
from charter.core.records import Chain, Comparison, Prompt, user
from charter.core.stage import Artifact, Stage
from charter.core.tables import read_records, write_jsonl
from charter.models.local import TransformersEngine
from charter.models.runner import all_that_can
from charter.prefer.labeller import judge
from charter.prefer.pairing import pairs
from charter.revise.stage import respond, revise
from models import tiny
from revise.test_chain import CONSTITUTION

SHORT = RespondConfig(max_new_tokens=4)


async def up_to_three(n: int) -> int:
    if n > 3:
        raise TooLong(f"{n} is too long", cure="take less")
    return n * n


def test_what_fits_is_kept_in_order_and_the_rest_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    def kept(numbers: list[int]) -> list[int]:
        return list(all_that_can(Stage.detached(tmp_path / "x"), up_to_three, numbers, "numbers", unit="squares"))

    assert kept([3, 9, 1]) == [9, 1]
    assert caplog.messages == ["numbers: 1 of 3 left out as too long (one: 9 is too long)"]
    caplog.clear()
    assert kept([]) == []
    assert not caplog.messages
    with pytest.raises(InputError, match="9 is too long"):
        kept([9, 9])


@pytest.fixture
def model(tmp_path: Path) -> ModelConfig:
    """An untrained model with a context of 128 tokens."""
    return ModelConfig(model_name_or_path=str(tiny.save(tmp_path / "model")))


@pytest.fixture
def prompts(tmp_path: Path) -> Artifact:
    """The second is longer than the context; the third fits, and outgrows it while it is revised."""
    rows = [{"id": str(words), "prompt": " ".join(["lock"] * words)} for words in (3, 200, 120)]
    write_jsonl(tmp_path / "prompts.jsonl", rows)
    return Artifact(tmp_path / "prompts.jsonl", "f")


def test_answers_and_chains(model: ModelConfig, prompts: Artifact, tmp_path: Path) -> None:
    answered = Stage.detached(tmp_path / "responses.parquet")
    respond(answered, SHORT, model, 1, prompts)
    assert [c.prompt.id for c in read_records(answered.out, Chain)] == ["3", "120"]
    assert (answered.counts["chains"], answered.counts["too_long"]) == (2, 1)
    dump(CONSTITUTION, tmp_path / "constitution.yaml")
    law = Artifact(tmp_path / "constitution.yaml", "f")
    stage = Stage.detached(tmp_path / "revisions.parquet")
    config = ReviseConfig(rounds=1, max_new_tokens=4)
    revise(stage, config, model, None, 1, law, Artifact(answered.out, "f"))
    assert [c.prompt.id for c in read_records(stage.out, Chain)] == ["3"]
    assert (stage.counts["chains"], stage.counts["too_long"]) == (1, 1)


def test_pairs(model: ModelConfig, prompts: Artifact, tmp_path: Path) -> None:
    stage = Stage.detached(tmp_path / "pairs.parquet")
    pairs(stage, PairConfig(max_new_tokens=4), model, 1, prompts=prompts, sl=None)
    assert [c.prompt.id for c in read_records(stage.out, Comparison)] == ["3", "120"]
    assert (stage.counts["comparisons"], stage.counts["too_long"]) == (2, 1)


def test_a_verdict_on_what_the_judge_cannot_read_is_invalid(model: ModelConfig) -> None:
    comparison = Comparison("c", Prompt("p", (user("how do i open the lock"),)), "no", "open " * 200)
    preference = asyncio.run(judge(TransformersEngine(model, 1), CONSTITUTION, LabelConfig(), comparison, 0))
    assert preference.p_a is None
    assert [(v.order, v.p_a, v.reason) for v in preference.verdicts] == [
        ("ab", None, "too_long"),
        ("ba", None, "too_long"),
    ]
