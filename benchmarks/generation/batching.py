"""Continuous batching: slots that requests hold, the queue before them, and how busy the slots were.

Time is nominal: a request holds its slot from the moment the slot was due to be free (or the request came) until its
own end is due, so that a late timer does not make the server slower than it claims to be."""

from __future__ import annotations

import asyncio
from array import array
from collections import OrderedDict, deque
from typing import Any

import numpy as np

BLOCK = 64  # characters of a prefix block, about 16 tokens


class Full(Exception):
    """No slot is free and the queue is full."""


class _Job:
    """A request in a slot or in the queue."""

    __slots__ = ("done", "ended", "number", "seconds", "timer")

    def __init__(self, seconds: float, done: asyncio.Future[None]) -> None:
        self.seconds, self.done = seconds, done
        self.number: int = -1  # in the order of beginning
        self.timer: asyncio.TimerHandle | None = None
        self.ended = False


class Slots:
    """`count` slots with a first-come queue of at most `queue` (None: any number)."""

    def __init__(self, count: int, queue: int | None) -> None:
        self.count, self.queue = count, queue
        self.busy = self.peak = 0
        self._waiting: deque[_Job] = deque()
        self._loop = asyncio.get_running_loop()
        self._starts, self._ends = array("d"), array("d")

    async def hold(self, seconds: float) -> None:
        """Wait for a slot and hold it. Raises Full. Cancelling it gives the slot, or the place, back."""
        job = _Job(seconds, self._loop.create_future())
        if self.busy < self.count:
            self._begin(self._loop.time(), job)
        elif self.queue is not None and len(self._waiting) >= self.queue:
            raise Full
        else:
            self._waiting.append(job)
        try:
            await job.done
        except asyncio.CancelledError:
            self._abandon(job)
            raise

    def _begin(self, start: float, job: _Job) -> None:
        self.busy += 1
        self.peak = max(self.peak, self.busy)
        job.number = len(self._starts)
        self._starts.append(start)
        self._ends.append(start + job.seconds)
        job.timer = self._loop.call_at(start + job.seconds, self._end, job)

    def _end(self, job: _Job) -> None:
        job.ended = True
        if not job.done.done():
            job.done.set_result(None)
        self._free(self._ends[job.number])

    def _free(self, at: float) -> None:
        self.busy -= 1
        if self._waiting:
            self._begin(at, self._waiting.popleft())

    def _abandon(self, job: _Job) -> None:
        if job.timer is None:
            self._waiting.remove(job)
        elif not job.ended:
            job.timer.cancel()
            self._ends[job.number] = self._loop.time()
            self._free(self._loop.time())

    def measure(self) -> dict[str, Any]:
        """Busy seconds over all slots, and the share of the capacity that was used between the end of the first 20%
        of the requests and the end of the first 80%."""
        now = self._loop.time()
        starts, ends = np.array(self._starts), np.array(self._ends)
        done = np.sort(ends[ends <= now])
        busy = float((np.minimum(ends, now) - starts).sum())
        share = None
        if len(done) >= 10:
            begin, end = done[len(done) // 5], done[len(done) * 4 // 5]
            overlap = np.minimum(ends, end) - np.maximum(starts, begin)
            share = float(overlap.clip(0).sum() / (self.count * (end - begin))) if end > begin else None
        return {"busy_slots": self.busy, "peak_slots": self.peak, "busy_seconds": busy, "capacity_share": share}

    def ends(self) -> list[float]:
        """When every request's end was due, in seconds after the first one began."""
        first = self._starts[0] if self._starts else 0.0
        return [end - first for end in self._ends]


class PrefixCache:
    """The blocks of text whose attention a server keeps, least recently used ones dropped first."""

    def __init__(self, blocks: int) -> None:
        self.capacity = blocks
        self.asked = self.hits = 0
        self._known: OrderedDict[int, None] = OrderedDict()

    def share(self, prompt: str) -> float:
        """The share of the prompt's blocks that are known from its beginning on."""
        keys = _keys(prompt)
        hits = 0
        while hits < len(keys) and keys[hits] in self._known:
            self._known.move_to_end(keys[hits])
            hits += 1
        self.asked += len(keys)
        self.hits += hits
        return hits / max(len(keys), 1)

    def add(self, text: str) -> None:
        """Keep the blocks of a prompt and its answer."""
        for key in _keys(text):
            self._known[key] = None
            self._known.move_to_end(key)
        while len(self._known) > self.capacity:
            self._known.popitem(last=False)


def _keys(text: str) -> list[int]:
    """A key for each whole block, which stands for all the text up to its end."""
    keys, key = [], 0
    for start in range(0, len(text) - BLOCK + 1, BLOCK):
        key = hash((key, text[start : start + BLOCK]))
        keys.append(key)
    return keys
