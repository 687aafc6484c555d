from __future__ import annotations

import asyncio
import heapq
import math
import random
from collections.abc import Callable

import pytest

from charter.models.openai.limiter import START, Limiter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def simulate(
    limiter: Limiter, clock: Clock, calls: int, slots: int, queue: bool, faults: float = 0.0
) -> tuple[int, float, int]:
    """A closed loop against a server of so many slots that queues or rejects: rejections, the share of its slots in
    use in the middle of the run, and the most calls at a time. 20 ms to the first token, 5 ms a token."""
    draw = random.Random(0)
    events: list[tuple[float, int, str, float | None]] = []  # when, which, what, first rejected
    waiting: list[tuple[float, float | None]] = []
    busy = rejections = done = begun = number = most = 0
    work: list[tuple[float, float]] = []

    def at(when: float, what: str, rejected: float | None) -> None:
        nonlocal number
        number += 1
        heapq.heappush(events, (when, number, what, rejected))

    def serve(rejected: float | None) -> None:
        nonlocal busy
        busy += 1
        seconds = 0.02 + 0.005 * min(512, math.exp(math.log(100) - 0.32 + 0.8 * draw.gauss(0, 1)))
        work.append((clock.now, clock.now + seconds))
        at(clock.now + seconds, "done", rejected)

    def send(rejected: float | None) -> None:
        nonlocal rejections
        if draw.random() < faults or (busy >= slots and not queue):
            rejections += 1
            limiter.overloaded(again=rejected is not None)
            at(clock.now + draw.uniform(0, 0.5), "retry", clock.now if rejected is None else rejected)
        elif busy >= slots:
            waiting.append((clock.now, rejected))
        else:
            serve(rejected)

    while done < calls:
        while limiter.running < int(limiter.limit) and begun < calls:
            limiter.running, begun = limiter.running + 1, begun + 1
            at(clock.now + 0.001, "send", None)
        most = max(most, limiter.running)
        clock.now, _, what, rejected = heapq.heappop(events)
        if what != "done":
            send(rejected)
            continue
        busy, done = busy - 1, done + 1
        limiter.succeeded(0.52, 100, rejected)
        limiter.running -= 1
        if waiting:
            serve(waiting.pop(0)[1])
    start, end = 0.2 * clock.now, 0.8 * clock.now
    used = sum(max(0.0, min(end, b) - max(start, a)) for a, b in work)
    return rejections, used / (slots * (end - start)), most


@pytest.mark.parametrize("allowed", [256, 512])
def test_a_server_that_rejects_overflow(allowed: int) -> None:
    clock = Clock()
    rejections, share, most = simulate(Limiter(allowed, clock=clock), clock, 5000, 128, queue=False)
    assert 1 <= rejections <= 30
    assert share >= 0.9
    assert most <= 140


def test_a_server_that_queues_is_filled() -> None:
    clock = Clock()
    rejections, share, most = simulate(Limiter(256, clock=clock), clock, 8000, 256, queue=True)
    assert (rejections, most) == (0, 256)
    assert share >= 0.97


@pytest.mark.parametrize("faults", [0.003, 0.02])
def test_rejections_that_are_not_the_load(faults: float) -> None:
    clock = Clock()
    _, share, _ = simulate(Limiter(256, clock=clock), clock, 10_000, 256, queue=True, faults=faults)
    assert share >= 0.85


def test_a_small_server_is_found() -> None:
    clock = Clock()
    limiter = Limiter(256, clock=clock)
    _, share, most = simulate(limiter, clock, 300, 4, queue=False)
    assert limiter.limit < 8
    assert share >= 0.8
    assert most == START


def test_one_cut_in_a_window() -> None:
    clock = Clock()
    limiter = Limiter(100, start=100, clock=clock)
    limiter.running = 100
    limiter.succeeded(1.0)
    for _ in range(5):
        limiter.overloaded(again=True)
    assert 85 <= limiter.limit <= 90
    once = limiter.limit
    clock.now += 0.5
    limiter.overloaded(again=True)
    assert limiter.limit == once
    clock.now += 0.6
    limiter.overloaded(again=True)
    assert limiter.limit < once


def test_one_rejection_alone_cuts_nothing() -> None:
    limiter = Limiter(64, clock=Clock())
    limiter.running = START
    limiter.overloaded()
    assert limiter.limit == START


def test_it_never_passes_its_bounds() -> None:
    clock = Clock()
    limiter = Limiter(50, clock=clock)
    for _ in range(1000):
        limiter.running = int(limiter.limit)
        limiter.succeeded(0.1)
    assert limiter.limit == 50
    for _ in range(1000):
        clock.now += 1
        limiter.overloaded(again=True)
    assert limiter.limit == 1


def test_no_growth_where_slots_are_free_or_calls_have_become_slow() -> None:
    clock = Clock()
    limiter = Limiter(1000, clock=clock)
    for _ in range(100):
        limiter.succeeded(0.1)
    assert limiter.limit == START
    for _ in range(200):  # at first fast, then ten times slower
        limiter.running = int(limiter.limit)
        clock.now += 0.1
        limiter.succeeded(0.1 if limiter.limit < 100 else 1.0)
    assert 100 <= limiter.limit < 200


def scenario(run: Callable[[], object]) -> None:
    asyncio.run(run())  # type: ignore[arg-type]


def test_longer_conversations_go_first_and_none_is_lost() -> None:
    order: list[int] = []

    async def work(limiter: Limiter, depth: int) -> None:
        await limiter.acquire(depth)
        order.append(depth)
        await asyncio.sleep(0)
        limiter.release()

    async def main() -> None:
        limiter = Limiter(1)
        await asyncio.gather(*(work(limiter, depth) for depth in (1, 1, 5, 3, 9)))
        assert limiter.running == 0

    scenario(main)
    assert order == [1, 9, 5, 3, 1]


def test_who_is_cancelled_gives_its_turn_on() -> None:
    async def main() -> None:
        limiter = Limiter(1)
        await limiter.acquire()
        first, second = (asyncio.create_task(limiter.acquire()) for _ in range(2))
        await asyncio.sleep(0)
        limiter.release()  # the first is given the slot, and cancelled before it can take it
        first.cancel()
        await second
        assert first.cancelled() or (await asyncio.gather(first, return_exceptions=True))
        assert limiter.running == 1

    scenario(main)
