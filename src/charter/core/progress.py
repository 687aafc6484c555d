"""How far the work is: a bar on a terminal, a plain line now and then elsewhere, nothing in tests.

All of it goes to standard error; standard output is for results.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

Show = Literal["auto", "silent"]
SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_SAMPLES, SAMPLES = 1.0, 60
"""The rate is that of the last minute."""


class Progress(Protocol):
    """Told about every piece of work that is done."""

    def advance(self, n: int = 1) -> None:
        """`n` more are done."""
        ...


class Work:
    """How much of `total` pieces of work (None: unknown) is done, and how fast."""

    def __init__(self, total: int | None, what: str) -> None:
        self.total, self.what, self.done = total, what, 0
        self.now = self.start = time.monotonic()
        self._samples = deque([(self.start, 0)], maxlen=SAMPLES)

    def advance(self, n: int = 1) -> None:
        """Count."""
        self.done += n
        self.now = time.monotonic()
        if self.now - self._samples[-1][0] >= SECONDS_BETWEEN_SAMPLES:
            self._samples.append((self.now, self.done))

    def rate(self, now: float) -> float | None:
        """Pieces in a second, lately; None where nothing can be said."""
        then, done = self._samples[0]
        return (self.done - done) / (now - then) if now > then else None

    def remaining(self, now: float) -> float | None:
        """Seconds that are left at this rate."""
        rate = self.rate(now)
        return (self.total - self.done) / rate if rate and self.total is not None else None

    def figures(self) -> dict[str, Any]:
        """Plain data."""
        now = time.monotonic()
        figures = {"rate": self.rate(now), "eta": self.remaining(now), "seconds": now - self.start}
        return {"what": self.what, "done": self.done, "total": self.total, **figures}

    def words(self, now: float) -> str:
        """`12.3/s  ETA 1:02:03`; elapsed seconds where the end cannot be told."""
        rate, left = self.rate(now), self.remaining(now)
        ends = f"{now - self.start:.0f} s" if left is None else f"ETA {duration(left)}"
        return ends if rate is None else f"{rate:,.1f}/s  {ends}"


class Silent:
    """Says nothing."""

    def advance(self, n: int = 1) -> None:
        """Nothing."""


class Lines:
    """A plain line at most every ten seconds."""

    def __init__(self, work: Work, more: Callable[[], str]) -> None:
        self._work, self._more, self._last = work, more, work.start

    def advance(self, n: int = 1) -> None:  # noqa: ARG002  the work itself has counted
        """Write a line when it is time."""
        work = self._work
        if work.now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = work.now
            of = "" if work.total is None else f"/{work.total:,}"
            line = f"  {work.what}  {work.done:,}{of}  {work.words(work.now)}  {self._more()}"
            say(line.rstrip())


class _Both:
    """The work that counts, and whoever shows it."""

    def __init__(self, work: Work, shown: Progress) -> None:
        self.work, self.shown = work, shown

    def advance(self, n: int = 1) -> None:
        self.work.advance(n)
        self.shown.advance(n)


def _nothing() -> str:
    return ""


@contextlib.contextmanager
def progress(
    total: int | None,
    what: str,
    show: Show = "auto",
    *,
    begun: Callable[[Work], None] | None = None,
    more: Callable[[], str] = _nothing,
) -> Iterator[Progress]:
    """Show the progress of `total` pieces of work (None: unknown) under the name `what`; `begun` is given its figures
    and `more` adds to every line."""
    work = Work(total, what)
    if begun is not None:
        begun(work)
    if show == "silent":
        yield _Both(work, Silent())
    elif sys.stderr.isatty():
        with _bar(work, more) as bar:
            yield _Both(work, bar)
    else:
        yield _Both(work, Lines(work, more))


@contextlib.contextmanager
def _bar(work: Work, more: Callable[[], str]) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Figures(ProgressColumn):
        def render(self, task: Task) -> Text:  # noqa: ARG002
            return Text(f"{work.words(time.monotonic())}  {more()}".rstrip())

    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), Figures())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(work.what, total=work.total)

        class Bar:
            def advance(self, n: int = 1) -> None:
                bars.advance(task, n)

        yield Bar()


def duration(seconds: float) -> str:
    """`42 s`, `7:05`, `1:02:03`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def say(line: str, show: Show = "auto") -> None:
    """One line on standard error."""
    if show != "silent":
        print(line, file=sys.stderr, flush=True)


def summary(name: str, counts: dict[str, float], seconds: float, note: str = "") -> str:
    """`label  1,204 comparisons  12.3 s`: a finished stage in one line, with the first thing it counted."""
    first = next(iter(counts.items()), None)
    counted = "" if first is None else f"{first[1]:,} {first[0].replace('_', ' ')}"
    return f"{name:<18}{counted:<28}{f'{seconds:,.1f} s':>10}{f'  {note}' if note else ''}"
