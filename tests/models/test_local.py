from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
import torch

from charter.core.errors import InputError, WorkError
from charter.core.recipe import ModelConfig
from charter.core.records import assistant, user
from charter.models import open_engine
from charter.models.chat import encode_answer, encode_chat
from charter.models.engine import ChooseRequest, GenerateRequest
from charter.models.loading import load_causal_lm, load_reward_model, load_tokenizer
from charter.models.local import TransformersEngine
from models.tiny import PAD

TEXTS = ("how do i bake the cake", "open lock", "the key is: good", "no", "yes yes yes yes yes yes bad")


def engine(folder: Path, batch_size: int = 256) -> TransformersEngine:
    made = open_engine(ModelConfig(model_name_or_path=str(folder), batch_size=batch_size, device="cpu"), threads=1)
    assert isinstance(made, TransformersEngine)
    return made


def gather(*calls: Awaitable[Any]) -> list[Any]:
    async def main() -> list[Any]:
        return await asyncio.gather(*calls)

    return asyncio.run(main())


def ask(text: str, seed: int = 0, temperature: float = 1.0, limit: int = 12) -> GenerateRequest:
    return GenerateRequest((user(text),), seed, limit, temperature)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that were run."""
    sizes: list[int] = []
    run = TransformersEngine._run

    def counting(self: TransformersEngine, batch: Any) -> list[Any]:
        sizes.append(len(batch))
        return run(self, batch)

    monkeypatch.setattr(TransformersEngine, "_run", counting)
    return sizes


def test_calls_that_wait_together_are_one_batch_and_each_gets_its_own(folder: Path, batches: list[int]) -> None:
    requests = [ask(text, seed) for seed, text in enumerate(TEXTS)]
    one = engine(folder)
    together = gather(*map(one.generate, requests))
    assert batches == [5]
    alone = [gather(engine(folder).generate(request))[0] for request in requests]
    assert together == alone
    assert len({completion.text for completion in together}) > 1


def test_chains_of_calls_stay_in_step(folder: Path, batches: list[int]) -> None:
    one = engine(folder)

    async def chain(text: str) -> str:
        for seed in range(3):
            text = (await one.generate(ask(text or "no", seed))).text
        return text

    gather(*map(chain, TEXTS))
    assert batches == [5, 5, 5]


def test_batches_have_a_limit_and_none_is_dropped(folder: Path, batches: list[int]) -> None:
    one = engine(folder, batch_size=2)
    completions = gather(*(one.generate(ask(text)) for text in TEXTS))
    assert batches == [2, 2, 1]
    assert completions == gather(*(engine(folder).generate(ask(text)) for text in TEXTS))


def test_settings_and_kinds_of_calls_may_be_mixed(folder: Path) -> None:
    one = engine(folder)
    greedy, short, choice = gather(
        one.generate(ask(TEXTS[0], temperature=0)),
        one.generate(ask(TEXTS[0], temperature=0, limit=2)),
        one.choose(ChooseRequest((user("yes"),), ("(A)", "(B)"))),
    )
    assert greedy.text.startswith(short.text)
    assert short.truncated
    assert short.completion_tokens == 2
    assert len(choice.logprobs) == 2


def test_a_text_ends_before_the_first_stop_string(folder: Path) -> None:
    answers = gather(*(engine(folder).generate(ask(TEXTS[0], seed)) for seed in range(9)))
    seed, whole = max(enumerate(answers), key=lambda pair: len(pair[1].text.split()))
    late, early = whole.text.split()[2:0:-1]
    request = GenerateRequest((user(TEXTS[0]),), seed, 12, 1.0, stop=("never", late, early))
    cut = gather(engine(folder).generate(request))[0]
    assert cut.text == whole.text[: min(whole.text.find(late), whole.text.find(early))].strip()
    assert len(cut.text) < len(whole.text)
    assert not cut.truncated


def test_usage_is_counted(folder: Path) -> None:
    one, tokenizer = engine(folder), load_tokenizer(folder)
    completions = gather(*(one.generate(ask(text)) for text in TEXTS))
    prompts = [len(encode_chat(tokenizer, (user(text),), add_generation_prompt=True)) for text in TEXTS]
    assert [completion.prompt_tokens for completion in completions] == prompts
    assert one.usage.to_dict() == {
        "calls": 5,
        "prompt_tokens": sum(prompts),
        "completion_tokens": sum(completion.completion_tokens for completion in completions),
        "truncated": sum(completion.truncated for completion in completions),
    }


@pytest.mark.parametrize("options", [("(A)", "(B)"), ("( A )", "( B )")])
def test_a_choice_reads_the_logprobs_of_the_option_tokens(options: tuple[str, str], folder: Path) -> None:
    one, model, tokenizer = engine(folder), load_causal_lm(folder, device="cpu"), load_tokenizer(folder)
    choices = gather(*(one.choose(ChooseRequest((user(text),), options)) for text in TEXTS))
    for text, choice in zip(TEXTS, choices, strict=True):
        ids = [[*a, *b[:-1]] for a, b in (encode_answer(tokenizer, (user(text),), option) for option in options)]
        position = next(i for i, (x, y) in enumerate(zip(*ids, strict=True)) if x != y)
        with torch.no_grad():
            expected = (
                model(torch.tensor([ids[0][:position]])).logits[0, -1].log_softmax(-1)[[x[position] for x in ids]]
            )
        assert choice.logprobs == pytest.approx(expected.tolist(), abs=1e-4)
        assert choice.mass == pytest.approx(sum(map(math.exp, choice.logprobs)))
        assert 0 < choice.mass <= 1


def test_a_score_is_read_at_the_end_token(reward_folder: Path) -> None:
    model, tokenizer = load_reward_model(reward_folder, device="cpu"), load_tokenizer(reward_folder)
    one = engine(reward_folder)
    conversations = [(user(text), assistant(answer)) for text in TEXTS for answer in ("the key", "bad")]
    scores = gather(*map(one.score, conversations))
    for (question, answer), score in zip(conversations, scores, strict=True):
        prompt_ids, answer_ids = encode_answer(tokenizer, (question,), answer.content)
        with torch.no_grad():
            expected = model(torch.tensor([prompt_ids + answer_ids])).logits[0, 0]
        assert score == pytest.approx(expected.item(), abs=1e-4)
    assert len({round(score, 4) for score in scores}) == len(scores)


def test_a_model_does_what_it_is_for(folder: Path, reward_folder: Path) -> None:
    with pytest.raises(InputError, match="gives no scores"):
        gather(engine(folder).score((user("yes"), assistant("no"))))
    with pytest.raises(InputError, match="cannot answer"):
        gather(engine(reward_folder).generate(ask("yes")))
    with pytest.raises(InputError, match="model_name_or_path"):
        open_engine(ModelConfig())


def test_errors_reach_every_caller_and_the_engine_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = engine(folder)

    def fail(*_: object, **__: object) -> None:
        raise WorkError("out of memory")

    async def main() -> list[Any]:
        with monkeypatch.context() as patch:
            patch.setattr("charter.models.local.sample", fail)
            failed = await asyncio.gather(*(one.generate(ask(text)) for text in TEXTS), return_exceptions=True)
        return [*failed, await one.generate(ask("yes"))]

    *failed, last = asyncio.run(main())
    assert [str(error) for error in failed] == ["out of memory"] * 5
    assert last.prompt_tokens == 3


def test_a_conversation_that_does_not_fit(folder: Path) -> None:
    one = engine(folder)
    with pytest.raises(InputError, match="context of 128") as error:
        gather(one.generate(ask("yes " * 130)))
    assert error.value.cure
    assert PAD == 0
