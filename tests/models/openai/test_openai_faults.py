from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from aiohttp import web

from charter.core.errors import CallFailed, InputError, TooLong, WorkError
from charter.core.recipe import ModelConfig
from charter.core.records import assistant, user
from charter.models import open_engine
from charter.models.engine import ChooseRequest, Completion, GenerateRequest
from charter.models.openai import OpenAIEngine
from charter.models.openai.client import Broken, Refused
from models.openai.fake_endpoint import ASK, KNOWN, Endpoint, Step, chat, drop, error, hang, run, with_logprobs

HTML = web.Response(text="<html>502</html>", content_type="text/html")
PASSING: dict[str, Step] = {
    "429": error(429, "slow down", {"Retry-After": "0"}),
    "500": error(500, "oh"),
    "502 with HTML": web.Response(status=502, text="<html>", content_type="text/html"),
    "503": error(503, "full"),
    "408": web.Response(status=408),
    "a lost connection": drop,
    "200 with HTML": HTML,
    "half a JSON": web.Response(text='{"choices": [{"mess', content_type="application/json"),
    "nothing": web.Response(text=""),
    "200 with an error": {"error": {"message": "the engine died"}},
    "no choices": {"choices": []},
    "no message": {"choices": [{"index": 0}]},
    "choices that are null": {"choices": [None]},
}


async def ask(engine: OpenAIEngine) -> Completion:
    return await engine.generate(ASK)


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_what_may_pass_is_tried_again(fault: Step) -> None:
    endpoint = Endpoint(fault, fault)
    counted: list[int] = []

    async def scenario(engine: OpenAIEngine) -> str:
        completion = await engine.generate(ASK)
        counted.append(engine.usage.retries)
        return completion.text

    assert run(scenario, endpoint) == "yes"
    assert len(endpoint.bodies) == 3
    assert endpoint.bodies[0] == endpoint.bodies[2]
    assert counted == [2]


def test_a_hang_ends_at_the_time_out() -> None:
    endpoint = Endpoint(hang)
    start = time.monotonic()
    assert run(ask, endpoint, timeout=0.2).text == "yes"
    assert time.monotonic() - start < 3
    assert len(endpoint.bodies) == 2


def test_what_the_endpoint_asks_to_wait_is_waited() -> None:
    start = time.monotonic()
    run(ask, Endpoint(error(429, "slow down", {"Retry-After": "0.4"})))
    assert time.monotonic() - start >= 0.4


def test_attempts_are_bounded() -> None:
    endpoint = Endpoint(default=error(500, "out of memory"))
    with pytest.raises(WorkError, match=r"out of memory \(8 attempts\)"):
        run(ask, endpoint)
    assert len(endpoint.bodies) == 8


def test_a_call_that_fails_where_others_do_not_fails_alone() -> None:
    def poisoned(request: web.Request) -> Any:
        return error(500, "a bug") if endpoint.bodies[-1]["messages"][0]["content"] == "poison" else chat()

    async def scenario(engine: OpenAIEngine) -> list[Any]:
        asked = [GenerateRequest((user(text),), 1) for text in ("a", "poison", "b")]
        return [await asyncio.gather(engine.generate(request), return_exceptions=True) for request in asked]

    endpoint = Endpoint(default=poisoned)
    (first,), (failed,), (last,) = run(scenario, endpoint, attempts=3)
    assert (first.text, last.text) == ("yes", "yes")
    assert isinstance(failed, Broken)
    assert isinstance(failed, CallFailed)


def test_an_endpoint_that_does_not_answer() -> None:
    engine = open_engine(ModelConfig(engine="openai", model="m", base_url="http://127.0.0.1:9/v1"))
    start = time.monotonic()
    with pytest.raises(WorkError, match="cannot be reached") as caught:
        asyncio.run(engine.generate(ASK))
    assert time.monotonic() - start < 5
    assert caught.value.where == "http://127.0.0.1:9/v1"
    assert "start the server or correct base_url" in str(caught.value)
    assert not isinstance(caught.value, CallFailed)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_stops_at_once(status: int) -> None:
    endpoint = Endpoint(default=error(status, "Incorrect API key provided"))
    with pytest.raises(WorkError, match="Incorrect API key") as caught:
        run(ask, endpoint, api_key_env="SOME_KEY")
    assert len(endpoint.bodies) == 1
    assert "SOME_KEY is not set" in str(caught.value)
    assert endpoint.url in str(caught.value)
    assert not isinstance(caught.value, CallFailed)


def test_a_wrong_model_is_told_what_there_is() -> None:
    models = {"object": "list", "data": [{"id": "llama"}, {"id": "qwen"}]}
    endpoint = Endpoint(default=error(404, "The model `m` does not exist."), models=models)
    with pytest.raises(WorkError, match="does not exist") as caught:
        run(ask, endpoint, findings=None)
    assert "lists these models: llama, qwen" in str(caught.value)
    assert len(endpoint.bodies) == 1


def test_a_redirect_is_not_followed() -> None:
    moved = web.Response(status=307, headers={"Location": "http://127.0.0.1:9/"})
    with pytest.raises(WorkError, match="answered 307"):
        run(ask, Endpoint(default=moved))


def test_a_context_that_is_too_long() -> None:
    endpoint = Endpoint(error(400, "This model's maximum context length is 512 tokens."))
    with pytest.raises(TooLong, match="512 tokens"):
        run(ask, endpoint)
    assert len(endpoint.bodies) == 1


def test_other_refusals_are_not_tried_again() -> None:
    endpoint = Endpoint(default=error(400, "top_p must be in (0, 1]"))
    with pytest.raises(Refused, match="top_p must be"):
        run(ask, endpoint)
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize(
    "missing", [chat("(A)"), {**chat("(A)"), "choices": [{**chat()["choices"][0], "logprobs": {}}]}]
)
def test_missing_log_probabilities_are_asked_for_again(missing: dict[str, Any]) -> None:
    short = with_logprobs(("(", {"(": 0.9}), ("A", {"A": 0.6}))
    whole = with_logprobs(("(", {"(": 0.9, "x": 0.01}), ("A", {"A": 0.6, "B": 0.3}))
    question = ChooseRequest((user("which"),), ("(A)", "(B)"))
    endpoint = Endpoint(missing, short, whole)
    choice = run(lambda engine: engine.choose(question), endpoint)
    assert len(endpoint.bodies) == 3
    assert choice.mass == pytest.approx(0.81)


def test_a_cut_context_is_too_long() -> None:
    from dataclasses import replace

    cutting = replace(KNOWN, cuts=100)
    endpoint = Endpoint(chat(usage=(60, 1)), default=chat(usage=(100, 1)))
    assert run(ask, Endpoint(chat(usage=(60, 1))), findings=cutting).text == "yes"
    with pytest.raises(TooLong, match="it cut the prompt"):
        run(ask, Endpoint(chat(usage=(100, 1))), findings=cutting)
    long = GenerateRequest((user("word " * 1000),), 1)
    with pytest.raises(TooLong, match="5,000 characters"):
        run(lambda engine: engine.generate(long), endpoint, findings=cutting)


def test_the_next_endpoint_takes_over() -> None:
    down, up = Endpoint(default=drop), Endpoint()
    routes = [str(i) for i in range(12)]

    async def scenario(engine: OpenAIEngine) -> list[str]:
        asked = [GenerateRequest((user("x"),), 1, route=route) for route in routes]
        return [completion.text for completion in await asyncio.gather(*map(engine.generate, asked))]

    assert run(scenario, down, up) == ["yes"] * 12
    assert len(up.bodies) == 12
    assert down.bodies


def test_a_conversation_stays_with_its_endpoint() -> None:
    endpoints = [Endpoint() for _ in range(3)]

    async def scenario(engine: OpenAIEngine) -> None:
        for i in range(30):
            start = (user(f"question {i}"),)
            for seed in range(3):
                await engine.generate(GenerateRequest((*start, *(assistant("and"), user("more")) * seed), seed))

    run(scenario, *endpoints)
    heard = [{body["messages"][0]["content"] for body in endpoint.bodies} for endpoint in endpoints]
    assert all(heard)
    assert sum(map(len, heard)) == 30
    assert sum(len(endpoint.bodies) for endpoint in endpoints) == 90


def test_one_engine_in_one_loop_after_another() -> None:
    endpoint = Endpoint()
    engines: list[OpenAIEngine] = []

    async def once() -> str:
        runner = await endpoint.start()
        if not engines:
            engines.append(OpenAIEngine(ModelConfig(engine="openai", model="m", base_url=endpoint.url)))
            engines[0].findings = KNOWN
        engine = engines[0]
        engine._client.servers[0].url = endpoint.url
        engine._client.servers[0]._addresses.clear()
        try:
            return (await engine.generate(ASK)).text
        finally:
            await engine.aclose()
            await runner.cleanup()

    assert [asyncio.run(once()) for _ in range(3)] == ["yes"] * 3


def test_cancelled_calls_give_their_slots_back() -> None:
    async def scenario(engine: OpenAIEngine) -> int:
        tasks = [asyncio.create_task(engine.generate(ASK)) for _ in range(5)]
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return engine.running

    assert run(scenario, Endpoint(default=hang), max_concurrency=2) == 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model": None}, "needs `model`"),
        ({"base_url": ()}, "needs `base_url`"),
        ({"base_url": "localhost:8000"}, "not the address of an endpoint"),
        ({"base_url": "ftp://x/v1"}, "not the address of an endpoint"),
        ({"base_url": "http://x:99999/v1"}, "not the address of an endpoint"),
        ({"base_url": "https://me:secret@x/v1"}, "holds a user name or a password"),
        ({"extra_body": {"stream": True}}, "may not hold `stream`"),
    ],
)
def test_recipes_that_cannot_be(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        open_engine(ModelConfig(**{"engine": "openai", "model": "m", "base_url": "http://x/v1", **config}))
    assert caught.value.cure
    assert "secret" not in str(caught.value)


def test_no_scores() -> None:
    engine = open_engine(ModelConfig(engine="openai", model="m", base_url="http://x/v1/chat/completions/"))
    with pytest.raises(WorkError, match="no preference scores"):
        asyncio.run(engine.score((user("a"), assistant("b"))))
