"""The key must be nowhere but in the requests' headers."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest

from charter.core.errors import InputError, WorkError
from charter.models.openai import OpenAIEngine
from models.openai.fake_endpoint import ASK, Endpoint, Step, chat, drop, engine_of, error, run

CANARY = "sk-canary-0123456789"
FAULTS: dict[str, Step] = {
    "refused": error(401, f"Incorrect API key provided: {CANARY}"),
    "lost": drop,
    "broken": error(500, f"cannot read the header Bearer {CANARY}"),
    "a bad request": error(400, f"{CANARY} is no project"),
    "no JSON": lambda _: error(200, CANARY),
}


@pytest.fixture(autouse=True)
def canary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", f"  {CANARY}\n")


def everything(error: BaseException) -> str:
    """A traceback with all variables of all frames, and the error itself."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(told.format()) + repr(error) + str(error) + repr(vars(error))


def test_it_is_sent() -> None:
    endpoint = Endpoint()
    assert run(lambda e: e.generate(ASK), endpoint, api_key_env="CANARY_KEY").text == "yes"
    assert endpoint.headers[0]["Authorization"] == f"Bearer {CANARY}"


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_no_error_shows_it(fault: Step, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []

    async def scenario(engine: OpenAIEngine) -> None:
        with pytest.raises(WorkError) as caught:
            await engine.generate(ASK)
        told.append(everything(caught.value) + repr(engine) + repr(vars(engine)) + repr(engine._client.servers))
        told.append(engine.identity + engine.name)

    endpoint = Endpoint(default=fault)
    run(scenario, endpoint, api_key_env="CANARY_KEY", attempts=2)
    assert CANARY in endpoint.headers[0]["Authorization"]
    assert CANARY not in "".join(told).replace("".join(map(repr, endpoint.headers)), "") + caplog.text


def test_nor_does_the_probe(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[Any] = []

    async def scenario(engine: OpenAIEngine) -> None:
        shown.append(await engine.probe())

    run(scenario, Endpoint(default=chat("a b c")), api_key_env="CANARY_KEY", findings=None)
    assert CANARY not in repr(shown) + caplog.text


def test_without_a_key_nothing_is_sent() -> None:
    endpoint = Endpoint()
    run(lambda e: e.generate(ASK), endpoint, api_key_env="NO_SUCH_KEY")
    assert "Authorization" not in endpoint.headers[0]


@pytest.mark.parametrize("text", ["two\nlines", "naïve"])
def test_a_key_that_no_header_could_hold(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", text)
    endpoint = Endpoint()
    endpoint.url = "http://x/v1"
    with pytest.raises(InputError, match="characters that a key cannot hold") as caught:
        engine_of(endpoint, api_key_env="CANARY_KEY")
    assert text not in str(caught.value)
