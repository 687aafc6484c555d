"""Every error Charter raises on purpose.

    CharterError
      InputError        2   what the user gave is wrong: a file, a key, a value, a folder
        TooLong         2   a conversation does not fit a model's context: stages leave it out and count it
      WorkError         1   the work failed: state is kept, the message says how to go on
        MissingExtra    1   an optional part of Charter is not installed
      BudgetError       3   a limit the user set was reached

The numbers are the exit codes of the command line. An interruption (Ctrl-C) exits with 130. A message says what is
wrong, where (file, line, field), and the cure; expected errors print without a traceback.
"""

from __future__ import annotations

from pathlib import Path


class CharterError(Exception):
    """The root: `what` went wrong, `where`, and the `cure`; `exit_code` is what the command line returns."""

    exit_code = 1

    def __init__(self, what: str, *, where: str | Path | None = None, cure: str | None = None) -> None:
        self.what, self.where, self.cure = what, None if where is None else str(where), cure
        super().__init__(what)

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        cure = f"\n  cure: {self.cure}" if self.cure else ""
        return f"{where}{self.what}{cure}"


class InputError(CharterError):
    """What the user gave is wrong."""

    exit_code = 2


class TooLong(InputError):
    """A conversation does not fit the model's context. Nothing is ever cut to fit."""


class WorkError(CharterError):
    """The work failed. What was finished is kept."""


class MissingExtra(WorkError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs the package '{package}', which is not installed", cure=f"pip install 'charter[{extra}]'"
        )


class BudgetError(CharterError):
    """A limit that the user set was reached. State is kept."""

    exit_code = 3
