"""A run stops where its budget is used up, keeps what it has, and goes on with a larger one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import scripted_service
from charter import cli
from charter.core.account import AT_FIRST, Account, Opened, Spent
from charter.core.errors import BudgetError, CallFailed
from charter.core.recipe import Budget
from charter.core.records import user
from charter.models.accounted import Accounted
from charter.models.engine import Completion, GenerateRequest
from charter.models.scripted import ScriptedEngine
from charter.models.usage import Usage

ASK = GenerateRequest((user("one two three"),), seed=1)


def guarded(*arguments: object) -> int:
    return cli._guarded([str(a) for a in arguments])


def data(run: Path, name: str = "manifest.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / name).read_text())
    return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[GenerateRequest]:
    """What scripted engines are really asked."""
    requests: list[GenerateRequest] = []
    scripted = ScriptedEngine.generate

    async def generate(self: ScriptedEngine, request: GenerateRequest) -> Completion:
        requests.append(request)
        self._reply = scripted_service.reply
        await asyncio.sleep(0)
        return await scripted(self, request)

    monkeypatch.setattr(ScriptedEngine, "generate", generate)
    return requests


def run(project: Path, *more: object, out: str = "run") -> int:
    settings = ("models.assistant.journal=true", "--until", "revise")
    return guarded("run", project / "recipe.yaml", "--out", project / out, *settings, *more)


def test_it_stops_and_goes_on(project: Path, asked: list[GenerateRequest], capsys: pytest.CaptureFixture[str]) -> None:
    """3 answers, 4 helpful answers, 3 chains of 2 rounds of 2 calls: 19 calls. Each is made once."""
    assert run(project, out="whole") == 0
    assert len(asked) == 19
    asked.clear()
    for limit, made in ((5, 5), (5, 5), (11, 11), (18, 18)):
        assert run(project, f"budget.calls={limit}") == 3
        assert len(asked) == made
        error = capsys.readouterr().err
        assert f"the budget is used up: {limit} calls" in error
        assert f"budget.calls is {limit}" in error
        assert "(budget.calls=N): every call is kept" in error
        assert data(project / "run", "status.json")["spent"]["calls"] == limit
    assert run(project, "budget.calls=19") == 0
    assert len(asked) == len({(r.messages, r.seed) for r in asked}) == 19
    for name in ("responses.parquet", "helpful.parquet", "revisions.parquet"):
        assert (project / "run" / name).read_bytes() == (project / "whole" / name).read_bytes()
    resumed, whole = (data(project / out)["totals"] for out in ("run", "whole"))
    assert {**resumed, "seconds": 0} == {**whole, "seconds": 0}
    assert run(project) == 0, "a budget is not part of a recipe's identity"
    assert len(asked) == 19


@pytest.mark.parametrize("budget", ["budget.tokens=60", "budget.cost=0.06"])
def test_tokens_and_cost(
    project: Path, asked: list[GenerateRequest], capsys: pytest.CaptureFixture[str], budget: str
) -> None:
    prices = ("models.assistant.price_prompt=1000", "models.assistant.price_completion=1000")
    assert run(project, budget, *prices) == 3
    assert "at the recipe's prices were spent, and budget." in capsys.readouterr().err
    spent = data(project / "run", "status.json")["spent"]
    assert spent["cost"] == pytest.approx(spent["tokens"] / 1000)
    assert 60 <= spent["tokens"] < 100
    assert run(project, *prices) == 0
    stages = data(project / "run")["stages"].values()
    assert data(project / "run")["totals"]["cost"] == pytest.approx(sum(s["counts"]["cost"] for s in stages))


def test_without_a_journal_it_says_what_is_lost(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("run", project / "recipe.yaml", "--out", project / "run", "--until", "revise")
    assert guarded(*arguments, "budget.calls=8") == 3
    assert "this one begins anew" in capsys.readouterr().err
    assert [s["state"] for s in data(project / "run")["stages"].values()] == ["done", "done", "failed"]


def test_calls_in_flight_come_home() -> None:
    """Two of five calls fit; they are answered before the others are told that there is no more."""
    answered: list[int] = []

    class Slow(ScriptedEngine):
        async def generate(self, request: GenerateRequest) -> Completion:
            await asyncio.sleep(0.02)
            answered.append(request.seed)
            return await super().generate(request)

    account = Account(Budget(calls=2))
    account.begin()
    engine = Accounted(Slow("so"), account)
    account.engines.append(Opened(engine.usage, Usage(), (0.0, 0.0), lambda: None))

    async def several() -> list[Completion | BaseException]:
        return await asyncio.gather(*(engine.generate(ASK) for _ in range(5)), return_exceptions=True)

    results = asyncio.run(several())
    assert len(answered) == 2
    assert [type(result) for result in results] == [Completion] * 2 + [BudgetError] * 3
    assert account.spent() == Spent(2, 8, 0.0)
    assert account.in_flight == 0


def test_many_calls_wait_for_the_first_to_tell_what_one_takes() -> None:
    """Each takes four tokens: of a thousand calls at once, 64 are made before that is known, and then no more."""

    class Slow(ScriptedEngine):
        async def generate(self, request: GenerateRequest) -> Completion:
            await asyncio.sleep(0.01)
            return await super().generate(request)

    account = Account(Budget(tokens=100))
    account.begin()
    engine = Accounted(Slow("so"), account)
    account.engines.append(Opened(engine.usage, None, (0.0, 0.0), lambda: None))

    async def several() -> list[Completion | BaseException]:
        return await asyncio.gather(*(engine.generate(ASK) for _ in range(1000)), return_exceptions=True)

    results = asyncio.run(several())
    assert sum(isinstance(result, Completion) for result in results) == engine.usage.calls == AT_FIRST


def test_the_account_of_failures_and_replays() -> None:
    class Failing(ScriptedEngine):
        async def generate(self, request: GenerateRequest) -> Completion:
            raise CallFailed("no")

    account = Account(Budget(), before=Spent(1, 10, 0.5))
    engine = Accounted(Failing(), account)
    with pytest.raises(CallFailed):
        asyncio.run(engine.generate(ASK))
    assert account.figures()["failed"] == {"failed": 1}
    usage, replay = Usage(), Usage()
    usage.add(100, 10)
    usage.add(200, 20)
    replay.add(100, 10)
    usage.retry("overload")
    account.engines.append(Opened(usage, replay, (1e6, 2e6), lambda: (3, 8)))
    assert account.spent() == Spent(2, 230, 240.5)
    figures = account.figures()
    assert (figures["calls"], figures["retries"], figures["errors"]) == (2, 1, {"overload": 1})
    assert (figures["in_flight"], figures["slots"]) == (3, 8)
    assert account.line() == "330 tokens  360.00 spent  1 retries  3/8 slots"


def test_a_share_of_a_budget() -> None:
    assert Budget(calls=10, tokens=7, cost=1.0).share(4) == Budget(calls=2, tokens=1, cost=0.25)
    assert not Budget().share(3).limited
