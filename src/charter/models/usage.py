"""What the engines count, how many calls are kept in flight, and what is done about conversations that are too long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, TypeVar

from charter.core.errors import TooLong
from charter.core.stage import Stage
from charter.models.engine import Engine

IN_FLIGHT = 4096  # tasks at a time: enough to fill batches with calls of like length, few enough for any memory

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class Usage:
    """Calls, tokens, and completions that ran into their limit."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    truncated: int = 0

    def add(self, prompt_tokens: int, completion_tokens: int = 0, truncated: bool = False) -> None:
        """Count one call."""
        self.calls += 1
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        self.truncated += truncated

    def to_dict(self) -> dict[str, int]:
        """Numbers by name, as a stage counts them."""
        return asdict(self)


class Metered(Engine, Protocol):
    """An engine that counts what it did."""

    usage: Usage


def total_usage(*engines: Metered) -> dict[str, int]:
    """The sum over engines, each counted once."""
    total = Usage()
    for engine in {id(engine): engine for engine in engines}.values():
        for name, value in engine.usage.to_dict().items():
            setattr(total, name, getattr(total, name) + value)
    return total.to_dict()


async def for_each(
    function: Callable[[Item], Awaitable[Result]], items: Sequence[Item], done: Callable[[], object]
) -> list[Result]:
    """`function` of every item, at most IN_FLIGHT at a time, in the order of the items; `done()` after each. An item
    is taken to its end before a new one begins. The first error ends it."""
    results: dict[int, Result] = {}
    queue = iter(enumerate(items))

    async def worker() -> None:
        for i, item in queue:
            results[i] = await function(item)
            done()

    await asyncio.gather(*(worker() for _ in range(min(IN_FLIGHT, len(items)))))
    return [results[i] for i in range(len(items))]


def all_that_fit(
    stage: Stage, function: Callable[[Item], Awaitable[Result]], items: Sequence[Item], what: str
) -> list[Result]:
    """`function` of every item, in the order of the items, with progress. Items that raise TooLong are left out, and
    one line says so; the caller counts them. Raises the first TooLong where none fits."""
    refusals: list[TooLong] = []

    async def attempt(item: Item) -> list[Result]:
        try:
            return [await function(item)]
        except TooLong as error:
            refusals.append(error)
            return []

    with stage.progress(len(items), what) as bar:
        results = asyncio.run(for_each(attempt, items, bar.advance))
    if refusals:
        if len(refusals) == len(items):
            raise refusals[0]
        stage.warn(f"{what}: {len(refusals):,} of {len(items):,} left out as too long (one: {refusals[0].what})")
    return [result for group in results for result in group]
