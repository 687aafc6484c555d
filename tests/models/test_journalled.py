"""Calls that were made before an interruption are not made again, and count all the same."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from pathlib import Path

import pytest

from charter.core.errors import TooLong
from charter.core.journal import Journal
from charter.core.records import user
from charter.models.engine import Choice, ChooseRequest, Completion, GenerateRequest
from charter.models.journalled import Journalled
from charter.models.scripted import ScriptedEngine

ASK = GenerateRequest((user("how?"),), seed=1)
CHOOSE = ChooseRequest((user("which?"),), ("(A)", "(B)"))


def test_calls_are_made_once(tmp_path: Path) -> None:
    for attempt in range(2):
        asked: list[GenerateRequest] = []

        def reply(request: GenerateRequest, asked: list[GenerateRequest] = asked) -> str:
            asked.append(request)
            return f"so, {len(asked)}"

        engine = ScriptedEngine(reply, lambda _: (1.0, 0.0))
        with Journal(tmp_path / "j", "recipe") as journal:
            kept = Journalled(engine, journal, "model")
            assert asyncio.run(kept.generate(ASK)).text == "so, 1"
            assert asyncio.run(kept.choose(CHOOSE)) == Choice((0.0, -math.inf), 1.0, 1)
            assert (len(asked), kept.replayed) == ((1, 0), (0, 2))[attempt]
            assert kept.usage.to_dict() == {"calls": 2, "prompt_tokens": 2, "completion_tokens": 2, "truncated": 0}
            assert asyncio.run(kept.generate(replace(ASK, route="elsewhere"))).text == ("so, 2", "so, 1")[attempt]


@pytest.mark.parametrize(
    "other",
    [
        replace(ASK, seed=2),
        replace(ASK, temperature=0.5),
        replace(ASK, max_new_tokens=3),
        replace(ASK, stop=("x",)),
        replace(ASK, messages=(user("how"),)),
    ],
)
def test_another_call_is_another(tmp_path: Path, other: GenerateRequest) -> None:
    with Journal(tmp_path / "j", "recipe") as journal:
        asyncio.run(Journalled(ScriptedEngine("one"), journal, "model").generate(ASK))
    with Journal(tmp_path / "j", "recipe") as journal:
        assert asyncio.run(Journalled(ScriptedEngine("two"), journal, "model").generate(other)).text == "two"
        assert asyncio.run(Journalled(ScriptedEngine("two"), journal, "else").generate(ASK)).text == "two"


def test_a_refusal_is_remembered(tmp_path: Path) -> None:
    class Short(ScriptedEngine):
        async def generate(self, request: GenerateRequest) -> Completion:
            raise TooLong("9 tokens do not fit", cure="shorten it")

    for engine in (Short(), ScriptedEngine("never asked")):
        with Journal(tmp_path / "j", "recipe") as journal, pytest.raises(TooLong, match="9 tokens") as caught:
            asyncio.run(Journalled(engine, journal, "model").generate(ASK))
        assert caught.value.cure == "shorten it"


def test_thinking_is_kept(tmp_path: Path) -> None:
    class Thinker(ScriptedEngine):
        async def generate(self, request: GenerateRequest) -> Completion:
            return Completion("yes", False, 1, 9, thinking="hm", finish="stop")

    for engine in (Thinker(), ScriptedEngine("never asked")):
        with Journal(tmp_path / "j", "recipe") as journal:
            said = asyncio.run(Journalled(engine, journal, "model").generate(ASK))
            assert (said.text, said.thinking, said.finish) == ("yes", "hm", "stop")
