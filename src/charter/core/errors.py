"""Every error Charter raises on purpose.

    CharterError
      InputError        2   what the user gave is wrong: a file, a key, a value, a folder
        TooLong         2   a conversation does not fit a model's context: stages leave it out and count it
      WorkError         1   the work failed: state is kept, the message says how to go on
        CallFailed      1   one call to a model failed for good: the others may go on
        MissingExtra    1   an optional part of Charter is not installed
      BudgetError       3   a limit the user set was reached

The numbers are the exit codes of the command line. An interruption (Ctrl-C) exits with 130. A message says what is
wrong, where (file, line, field), and the cure; expected errors print without a traceback.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

SHOWN = 100
"""How much of a long line a message shows, in columns."""

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\ufeff]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a file. Lines and columns count from 1, columns in characters."""

    file: str
    line: int
    column: int
    text: str
    """The whole line."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def show(self) -> str:
        """The numbered line with a caret under the column; a long line is cut around it."""
        start = max(0, min(self.column - 1 - SHOWN // 2, len(self.text) - SHOWN))
        line = _visible(self.text[start : start + SHOWN]).replace("\t", " ")
        before = ("..." if start else "") + line[: self.column - 1 - start]
        after = line[self.column - 1 - start :] + ("..." if start + SHOWN < len(self.text) else "")
        number = f"{self.line:5}"
        return f"{number} | {before}{after}".rstrip() + f"\n{' ' * len(number)} | {' ' * _columns(before)}^"


def _columns(text: str) -> int:
    """How wide a terminal shows it."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _visible(text: str) -> str:
    """Nothing that could steer a terminal."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


class CharterError(Exception):
    """The root: `what` went wrong, `where`, and the `cure`; `exit_code` is what the command line returns.

    Where `where` is a `Place`, the message shows the line with a caret; `shown` replaces that, or adds a text to show
    to any other `where`."""

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: Place | str | Path | None = None,
        cure: str | None = None,
        shown: str | None = None,
    ) -> None:
        self.what, self.where, self.cure = what, None if where is None else str(where), cure
        self.place = where if isinstance(where, Place) else None
        self.shown = self.place.show() if shown is None and self.place and self.place.text else shown
        super().__init__(what)

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        shown = f"\n{self.shown}" if self.shown else ""
        cure = f"\n  cure: {self.cure}" if self.cure else ""
        return _visible(f"{where}{self.what}{shown}{cure}")


class InputError(CharterError):
    """What the user gave is wrong."""

    exit_code = 2


class TooLong(InputError):
    """A conversation does not fit the model's context. Nothing is ever cut to fit."""


class WorkError(CharterError):
    """The work failed. What was finished is kept."""


class CallFailed(WorkError):
    """One call to a model failed for good, its retries included. It says nothing about other calls."""


class MissingExtra(WorkError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package '{package}', which is not installed", cure=f"pip install 'charter[{extra}]'"
        )


class BudgetError(CharterError):
    """A limit that the user set was reached. State is kept."""

    exit_code = 3
