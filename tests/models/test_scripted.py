from __future__ import annotations

import asyncio
import math
import subprocess
import sys

import pytest

from charter.core.errors import InputError, MissingExtra
from charter.core.recipe import ModelConfig
from charter.core.records import assistant, user
from charter.models import open_engine
from charter.models.engine import ChooseRequest, GenerateRequest
from charter.models.scripted import ScriptedEngine
from charter.models.usage import total_usage

QUESTION = ChooseRequest((user("which one"),), ("(A)", "(B)"))


def test_a_recipe_describes_it() -> None:
    engine = open_engine(ModelConfig(engine="scripted", reply="I will not.", option=1))
    completion = asyncio.run(engine.generate(GenerateRequest((user("one two three"),), 0)))
    assert (completion.text, completion.prompt_tokens, completion.completion_tokens) == ("I will not.", 3, 3)
    choice = asyncio.run(engine.choose(QUESTION))
    assert choice.logprobs == (-math.inf, 0.0)
    assert choice.mass == 1.0
    assert engine.usage.to_dict() == {"calls": 2, "prompt_tokens": 5, "completion_tokens": 3, "truncated": 0}


def test_without_an_option_all_are_alike() -> None:
    choice = asyncio.run(open_engine(ModelConfig(engine="scripted")).choose(QUESTION))
    assert choice.logprobs == pytest.approx([math.log(0.5)] * 2)


def test_functions_answer() -> None:
    engine = ScriptedEngine(lambda r: r.messages[-1].content.upper(), lambda _: (0.2, 0.1), lambda m: len(m))
    assert asyncio.run(engine.generate(GenerateRequest((user("no"),), 0))).text == "NO"
    choice = asyncio.run(engine.choose(QUESTION))
    assert choice.mass == pytest.approx(0.3)
    assert asyncio.run(engine.score((user("a"), assistant("b")))) == 2


def test_an_option_that_is_not_there() -> None:
    engine = open_engine(ModelConfig(engine="scripted", option=2))
    with pytest.raises(InputError, match="option 2"):
        asyncio.run(engine.choose(QUESTION))


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match="'torch'") as error:
        open_engine(ModelConfig(model_name_or_path="anything"))
    assert error.value.cure == "pip install 'charter[train]'"


def test_torch_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, charter.models, charter.models.chat, charter.models.scripted, charter.revise, charter.prefer;"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_usage_is_summed_once_for_each_engine() -> None:
    one, other = ScriptedEngine(), ScriptedEngine()
    one.usage.add(5, 7, truncated=True)
    other.usage.add(1)
    total = total_usage(one, other, one)
    assert total == {"calls": 2, "prompt_tokens": 6, "completion_tokens": 7, "truncated": 1}
