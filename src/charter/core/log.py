"""A run's log file, in UTC, and silence everywhere else."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from types import TracebackType
from typing import Self


class _File(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the base class names it
        """A full disk must not bury the one message that says so."""


class LogFile:
    """From its making until it is left, Charter's loggers (and Python's warnings, where captured) write to `path`."""

    def __init__(self, path: Path) -> None:
        self.logger = logging.getLogger("charter")
        self._handler = _File(path, encoding="utf-8")
        formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
        self._handler.setFormatter(formatter)

    def __enter__(self) -> Self:
        self.logger.setLevel(logging.INFO)
        self.logger.addHandler(self._handler)
        logging.getLogger("py.warnings").addHandler(self._handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.logger.removeHandler(self._handler)
        logging.getLogger("py.warnings").removeHandler(self._handler)
        self._handler.close()
