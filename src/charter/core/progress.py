"""How far the work is: a bar on a terminal, a plain line now and then elsewhere, nothing in tests.

All of it goes to standard error; standard output is for results.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Literal, Protocol

Show = Literal["auto", "silent"]
SECONDS_BETWEEN_LINES = 10.0


class Progress(Protocol):
    """Told about every piece of work that is done."""

    def advance(self, n: int = 1) -> None:
        """`n` more are done."""
        ...


class Silent:
    """Says nothing."""

    def advance(self, n: int = 1) -> None:
        """Nothing."""


class Lines:
    """A plain line at most every ten seconds."""

    def __init__(self, total: int | None, what: str) -> None:
        self._total, self._what, self._done = total, what, 0
        self._start = self._last = time.monotonic()

    def advance(self, n: int = 1) -> None:
        """Count, and write a line when it is time."""
        self._done += n
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            of = "" if self._total is None else f"/{self._total:,}"
            say(f"  {self._what}  {self._done:,}{of}  {now - self._start:.0f} s")


@contextlib.contextmanager
def progress(total: int | None, what: str, show: Show = "auto") -> Iterator[Progress]:
    """Show the progress of `total` pieces of work (None: unknown) under the name `what`."""
    if show == "silent":
        yield Silent()
    elif sys.stderr.isatty():
        with _bar(total, what) as bar:
            yield bar
    else:
        yield Lines(total, what)


@contextlib.contextmanager
def _bar(total: int | None, what: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=total)

        class Bar:
            def advance(self, n: int = 1) -> None:
                bars.advance(task, n)

        yield Bar()


def say(line: str, show: Show = "auto") -> None:
    """One line on standard error."""
    if show != "silent":
        print(line, file=sys.stderr, flush=True)


def summary(name: str, counts: dict[str, float], seconds: float, note: str = "") -> str:
    """`label  1,204 comparisons  12.3 s`: a finished stage in one line, with the first thing it counted."""
    first = next(iter(counts.items()), None)
    counted = "" if first is None else f"{first[1]:,} {first[0].replace('_', ' ')}"
    return f"{name:<18}{counted:<28}{f'{seconds:,.1f} s':>10}{f'  {note}' if note else ''}"
