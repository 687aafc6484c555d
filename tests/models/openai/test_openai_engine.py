from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import Any

import pytest

from charter.core.errors import WorkError
from charter.core.records import Conversation, Message, assistant, user
from charter.models.engine import Choice, ChooseRequest, Completion, GenerateRequest
from charter.models.openai import OpenAIEngine, options
from models.openai.fake_endpoint import ASK, KNOWN, Endpoint, chat, error, run, with_logprobs

QUESTION = ChooseRequest((user("which"),), ("(A)", "(B)"))
TALK: Conversation = (Message("system", "be brief"), user("hello"), assistant("hi"), user("and?"))


async def ask(engine: OpenAIEngine) -> Completion:
    return await engine.generate(ASK)


async def choose(engine: OpenAIEngine) -> Choice:
    return await engine.choose(QUESTION)


def text(said: str, logprobs: Any = None) -> dict[str, Any]:
    choice = {"text": said, "finish_reason": "stop", "logprobs": logprobs}
    return {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}


def test_what_is_sent() -> None:
    endpoint = Endpoint()
    request = GenerateRequest(TALK, 2**64 + 5, 99, 0.7, stop=("END",))
    config: dict[str, Any] = {"system_prompt": "be kind", "thinking": False, "thinking_tokens": 50}
    run(lambda e: e.generate(request), endpoint, extra_body={"top_p": 0.9}, **config)
    assert endpoint.paths == ["/v1/chat/completions"]
    assert endpoint.bodies == [
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "be kind\n\nbe brief"},
                {"role": "user", "content": "hello"},
                {"role": "assistant", "content": "hi"},
                {"role": "user", "content": "and?"},
            ],
            "max_tokens": 99,
            "temperature": 0.7,
            "seed": 5,
            "stop": ["END"],
            "top_p": 0.9,
            "chat_template_kwargs": {"enable_thinking": False},
        }
    ]


@pytest.mark.parametrize(
    ("form", "prompt", "stop"),
    [
        (
            "transcript",
            "be brief\n\nHuman: hello\n\nAssistant: hi\n\nHuman: and?\n\nAssistant:",
            ["\n\nHuman:", "\n\nAssistant:"],
        ),
        ("completions", "be brief\n\nhello\n\nhi\n\nand?", None),
    ],
)
def test_text_for_base_models(form: str, prompt: str, stop: list[str] | None) -> None:
    endpoint = Endpoint(text(" Well.\n\nHuman: no"))
    completion = run(lambda e: e.generate(GenerateRequest(TALK, 1)), endpoint, format=form)
    assert endpoint.paths == ["/v1/completions"]
    assert endpoint.bodies[0]["prompt"] == prompt
    assert endpoint.bodies[0].get("stop") == stop
    assert completion.text == ("Well." if stop else "Well.\n\nHuman: no")  # cut where the endpoint has not


def test_usage_is_counted() -> None:
    cached = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}
    endpoint = Endpoint(chat("a", "length", cached), chat("b", usage=None))

    async def scenario(engine: OpenAIEngine) -> tuple[Completion, Completion, dict[str, int]]:
        return await ask(engine), await ask(engine), engine.usage.to_dict()

    first, second, usage = run(scenario, endpoint)
    assert first == Completion("a", True, 7, 3, None, "length")
    assert second == Completion("b", False, 0, 0, None, "stop")
    tokens = {"prompt_tokens": 7, "completion_tokens": 3, "cached_tokens": 4}
    assert usage == {"calls": 2, **tokens, "truncated": 1}


@pytest.mark.parametrize(
    ("answer", "said", "thought"),
    [
        (chat("yes", reasoning_content="hm"), "yes", "hm"),
        (chat("yes", reasoning="hm"), "yes", "hm"),
        (chat("<think>\nhm\n</think>\n\nyes"), "yes", "hm"),
        (chat("[THINK]hm[/THINK]yes"), "yes", "hm"),
        (chat("hm</think>yes"), "yes", "hm"),  # the prompt had opened it
        (chat("<think>hm, on and on", "length"), "", "hm, on and on"),
        (chat(None, "length", reasoning_content="hm"), "", "hm"),
        (chat("write <think> like this"), "write <think> like this", None),
        (chat([{"type": "text", "text": "ye"}, {"type": "text", "text": "s"}]), "yes", None),  # type: ignore[arg-type]
        (chat(None, refusal="I cannot."), "I cannot.", None),
        (chat("", "content_filter"), "", None),
    ],
)
def test_thinking_is_kept_apart(answer: dict[str, Any], said: str, thought: str | None) -> None:
    completion = run(ask, Endpoint(answer))
    assert (completion.text, completion.thinking) == (said, thought)
    assert completion.finish == answer["choices"][0]["finish_reason"]


def test_thinking_has_a_budget_of_its_own() -> None:
    endpoint = Endpoint()
    run(ask, endpoint, thinking=True, thinking_tokens=1000)
    assert endpoint.bodies[0]["max_tokens"] == 1512
    assert endpoint.bodies[0]["chat_template_kwargs"] == {"enable_thinking": True}


@pytest.mark.parametrize(
    ("message", "gone", "come"),
    [
        (
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
            "max_tokens",
            "max_completion_tokens",
        ),
        ("Unknown field: seed", "seed", None),
        ("Unsupported value: 'temperature' does not support 0.7", "temperature", None),
    ],
)
def test_what_an_endpoint_refuses_is_learned(message: str, gone: str, come: str | None) -> None:
    endpoint = Endpoint(error(400, message))

    async def scenario(engine: OpenAIEngine) -> None:
        await ask(engine)
        await ask(engine)

    run(scenario, endpoint)
    assert gone in endpoint.bodies[0]
    assert [gone in body for body in endpoint.bodies[1:]] == [False, False]
    assert come is None or endpoint.bodies[2][come] == 512


def test_a_template_without_a_system_role() -> None:
    endpoint = Endpoint(error(400, "System role not supported"))
    run(ask, endpoint, system_prompt="be kind")
    assert endpoint.bodies[1]["messages"] == [{"role": "user", "content": "be kind\n\nwhere to"}]


def test_half_a_surrogate_pair_is_sent() -> None:
    endpoint = Endpoint()
    run(lambda e: e.generate(GenerateRequest((user("a\ud800b"),), 1)), endpoint)
    assert endpoint.bodies[0]["messages"][0]["content"] == "a\ud800b"


# choices -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("positions", "a", "b"),
    [
        ([("(A", {"(A": 0.6, "(B": 0.3})], 0.6, 0.3),
        ([("(", {"(": 0.9, "(A": 0.05}), ("A", {"A": 0.5, "B": 0.4})], 0.05 + 0.45, 0.36),
        ([("\n", {"\n": 0.8}), ("(", {"(": 0.5}), ("B", {"A": 0.25, "B": 0.75})], 0.1, 0.3),
        ([("(", {"(": 1.0}), ("A)", {"A)": 0.5, "B)": 0.2, "As": 0.3})], 0.5, 0.2),
        ([("Sure", {"Sure": 0.7, "(A": 0.2, "(B": 0.1}), ("A", {"A": 1.0})], 0.2, 0.1),
        ([("A", {"A": 0.9, "(A": 0.06, "(B": 0.02})], 0.06, 0.02),
    ],
)
def test_options_are_found_among_the_first_tokens(positions: Any, a: float, b: float) -> None:
    endpoint = Endpoint(with_logprobs(*positions))
    choice = run(choose, endpoint, findings=replace(KNOWN, logprobs=1))
    assert [math.exp(x) for x in choice.logprobs] == pytest.approx([a, b])
    assert choice.mass == pytest.approx(a + b)
    assert not choice.sampled
    body = endpoint.bodies[0]
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"], body["temperature"]) == (True, 1, 3, 0.0)


def test_an_option_that_is_not_shown_is_bounded() -> None:
    shown = {"(A": 0.9, "x": 0.08}
    choice = run(choose, Endpoint(with_logprobs(("(A", shown))), findings=replace(KNOWN, logprobs=2))
    assert [math.exp(x) for x in choice.logprobs] == pytest.approx([0.9, 0.02])
    assert choice.mass == pytest.approx(0.9)


def test_none_is_shown() -> None:
    choice = run(choose, Endpoint(with_logprobs(("I", {"I": 0.99}))), findings=replace(KNOWN, logprobs=1))
    assert choice.mass == 0
    assert all(map(math.isfinite, choice.logprobs))


def test_a_begun_turn_is_continued() -> None:
    endpoint = Endpoint(with_logprobs(("A", {"A": 0.7, "B": 0.2})))
    choice = run(choose, endpoint, findings=replace(KNOWN, logprobs=2, prefill=True))
    assert [math.exp(x) for x in choice.logprobs] == pytest.approx([0.7, 0.2])
    body = endpoint.bodies[0]
    assert body["messages"][-1] == {"role": "assistant", "content": "("}
    assert (body["continue_final_message"], body["add_generation_prompt"], body["max_tokens"]) == (True, False, 1)


def test_the_thought_is_passed_over() -> None:
    tokens: Any = [("<think>", {}), ("(A", {"(A": 1.0}), ("</think>", {}), ("(B", {"(A": 0.2, "(B": 0.8})]
    endpoint = Endpoint(with_logprobs(*tokens))
    choice = run(choose, endpoint, findings=replace(KNOWN, logprobs=2), thinking_tokens=100)
    assert [math.exp(x) for x in choice.logprobs] == pytest.approx([0.2, 0.8])
    assert endpoint.bodies[0]["max_tokens"] == 103


@pytest.mark.parametrize("shape", ["lists", "content"])
def test_choices_by_text(shape: str) -> None:
    tops = {"A": math.log(0.6), "B": math.log(0.3)}
    lists = {"tokens": ["A"], "token_logprobs": [tops["A"]], "top_logprobs": [tops]}
    content = with_logprobs(("A", {"A": 0.6, "B": 0.3}))["choices"][0]["logprobs"]
    endpoint = Endpoint(text("A", lists if shape == "lists" else content))
    choice = run(choose, endpoint, format="transcript", findings=replace(KNOWN, logprobs=2))
    assert [math.exp(x) for x in choice.logprobs] == pytest.approx([0.6, 0.3])
    assert endpoint.bodies[0]["prompt"] == "\n\nHuman: which\n\nAssistant: ("
    assert endpoint.bodies[0]["logprobs"] == 2


def test_choices_by_echo() -> None:
    def echo(letter: str, probability: float) -> dict[str, Any]:
        tokens = ["\n\nHuman: which", "\n\nAssistant:", " (", letter, ")", " because"]
        return text("", {"tokens": tokens, "token_logprobs": [None, -5, -3, math.log(probability), math.log(0.5), -9]})

    def answer(_: Any) -> dict[str, Any]:
        return echo("A", 0.6) if endpoint.bodies[-1]["prompt"].endswith("(A)") else echo("B", 0.2)

    endpoint = Endpoint(default=answer)
    choice = run(choose, endpoint, format="transcript", findings=replace(KNOWN, logprobs=0, echo=True))
    assert [math.exp(x) for x in choice.logprobs] == pytest.approx([0.3, 0.1])


@pytest.mark.parametrize("several", [True, False])
def test_votes_where_there_are_no_log_probabilities(several: bool) -> None:
    said = ["(A)", "(A) since", " (B)", "A", "neither"]
    one = [chat(word) for word in said]
    many = {**one[0], "choices": [answer["choices"][0] for answer in one]}
    endpoint = Endpoint(*([many] if several else one))
    choice = run(choose, endpoint, findings=replace(KNOWN, logprobs=0, n=several), votes=5)
    assert (choice.sampled, choice.votes) == (True, 5)
    assert choice.mass == pytest.approx(0.8)
    assert [math.exp(x) for x in choice.logprobs] == pytest.approx([0.8 * 3.5 / 5, 0.8 * 1.5 / 5])
    assert len(endpoint.bodies) == (1 if several else 5)
    assert len({body["seed"] for body in endpoint.bodies}) == len(endpoint.bodies)


@pytest.mark.parametrize("same", [("(A)", "(A)"), ("A", "AB"), (" yes", "yes"), ("yes", "")])
def test_options_that_cannot_be_told_apart(same: tuple[str, str]) -> None:
    endpoint = Endpoint()
    with pytest.raises(WorkError, match="cannot be told apart"):
        run(lambda e: e.choose(ChooseRequest((user("which"),), same)), endpoint)
    assert endpoint.bodies == []


def test_words_as_options() -> None:
    assert options.fits("No", "No")
    assert options.fits("No.", "No")
    assert not options.fits("Now", "No")
    assert options.shared(("(A)", "(B)")) == "("
    assert options.shared(("Yes", "No")) == ""


def test_the_limits_are_kept_and_shown() -> None:
    most: list[int] = []
    running = 0

    async def slow(_: Any) -> dict[str, Any]:
        nonlocal running
        running += 1
        most.append(running)
        await asyncio.sleep(0.005)
        running -= 1
        return chat()

    async def scenario(engine: OpenAIEngine) -> tuple[int, int]:
        await asyncio.gather(*(ask(engine) for _ in range(40)))
        return engine.concurrency, engine.running

    assert run(scenario, Endpoint(default=slow), max_concurrency=7) == (7, 0)
    assert max(most) == 7
