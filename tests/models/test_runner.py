"""Many chains at once: order, bounds, laziness, and what happens when one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from charter.core.errors import CallFailed, WorkError
from charter.core.stage import Stage
from charter.models.runner import AHEAD, all_that_can, in_order
from charter.models.scripted import ScriptedEngine


def test_results_keep_the_order_and_work_is_bounded() -> None:
    running, most = 0, 0

    async def work(n: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(10 - n):
            await asyncio.sleep(0)
        running -= 1
        return n * n

    assert list(in_order(work, range(10), 3)) == [n * n for n in range(10)]
    assert most == 3
    assert list(in_order(work, [], 3)) == []


def test_an_item_is_taken_to_its_end_before_another_is_begun() -> None:
    begun: list[int] = []
    ended: list[int] = []

    async def work(n: int) -> int:
        begun.append(n)
        assert len(begun) - len(ended) <= 2
        for _ in range(5):
            await asyncio.sleep(0)
        ended.append(n)
        return n

    assert list(in_order(work, range(20), 2)) == list(range(20))


def test_items_are_taken_lazily_and_results_handed_out_early() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for n in range(1000):
            taken.append(n)
            yield n

    async def work(n: int) -> int:
        await asyncio.sleep(0)
        return n

    results = in_order(work, items(), 4)
    assert next(results) == 0
    assert len(taken) < 50
    assert list(results) == list(range(1, 1000))


def test_a_slow_item_holds_the_others_back_before_memory_fills() -> None:
    done: list[int] = []
    release = asyncio.Event()

    async def work(n: int) -> int:
        if n == 0:
            await release.wait()
        await asyncio.sleep(0)
        done.append(n)
        if n == 4 * AHEAD:
            release.set()
        return n

    assert list(in_order(work, range(200), 4)) == list(range(200))
    assert max(done[: done.index(0)]) <= 4 * AHEAD + 4


def test_the_first_error_ends_it_and_engines_are_closed() -> None:
    cancelled: list[int] = []
    closed: list[str] = []

    class Engine(ScriptedEngine):
        async def aclose(self) -> None:
            closed.append(self.name)

    async def work(n: int) -> int:
        if n == 3:
            raise WorkError("three")
        try:
            await asyncio.sleep(0 if n < 3 else 60)
        except asyncio.CancelledError:
            cancelled.append(n)
            raise
        return n

    engine = Engine(name="one")
    with pytest.raises(WorkError, match="three"):
        list(in_order(work, range(100), 10, (engine, engine, Engine(name="other"))))
    assert cancelled
    assert closed == ["one", "other"]


def test_who_stops_asking_leaves_nothing_running() -> None:
    open_items: set[int] = set()

    async def work(n: int) -> int:
        open_items.add(n)
        try:
            await asyncio.sleep(0 if n == 0 else 60)
        finally:
            open_items.discard(n)
        return n

    results = in_order(work, range(10), 5)
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]
    assert not open_items


def test_failed_items_are_left_out_and_counted(tmp_path: Path) -> None:
    async def work(n: int) -> int:
        if n % 5 == 0:
            raise CallFailed("no luck")
        return n

    stage = Stage.detached(tmp_path / "x")
    assert list(all_that_can(stage, work, range(12), "numbers", unit="numbers")) == [1, 2, 3, 4, 6, 7, 8, 9, 11]
    assert (stage.counts["numbers"], stage.counts["failed"], stage.counts["too_long"]) == (9, 3, 0)
    with pytest.raises(CallFailed, match="no luck"):
        list(all_that_can(stage, work, [0, 5], "numbers", unit="numbers"))


def test_an_error_between_two_batches_is_raised() -> None:
    """All results so far have been handed out when the work fails."""

    async def work(number: int) -> int:
        if number == 2:
            await asyncio.sleep(0)
            raise WorkError("broken")
        return number

    taken = []
    with pytest.raises(WorkError, match="broken"):
        taken.extend(in_order(work, range(3), 3))
    assert taken == [0, 1]
