"""RUN/status.json: how a run stands, written once a second while its process lives, for `charter status`.

It is replaced whole, so that a reader never sees half of it, but not forced to the disk: after a power cut it says
nothing that the manifest does not say better."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAME = "status.json"
SECONDS = 1.0
SILENCE = 60.0
"""Seconds without a beat after which a process on another machine is taken to be gone."""


class Heartbeat:
    """A context manager whose thread writes what `figures` says."""

    def __init__(self, folder: Path, figures: Callable[[], dict[str, Any]]) -> None:
        self._path, self._figures = folder / NAME, figures
        self._stop, self._lock, self._state = threading.Event(), threading.Lock(), "running"
        self._thread = threading.Thread(target=self._beat_on, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self.beat()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._state = "ended" if error is None else "stopped"
        self.beat()

    def beat(self) -> None:
        """Write it now. A disk that refuses shall not end the work."""
        data = {"pid": os.getpid(), "host": socket.gethostname(), "updated": time.time(), "state": self._state}
        temporary = self._path.with_name(f".{NAME}.{os.getpid()}.tmp")
        with self._lock, contextlib.suppress(OSError):
            temporary.write_text(json.dumps({**data, **self._figures()}) + "\n", encoding="utf-8")
            os.replace(temporary, self._path)

    def _beat_on(self) -> None:
        while not self._stop.wait(SECONDS):
            with contextlib.suppress(RuntimeError):  # a counter grew while it was read
                self.beat()


def last_beat(folder: Path) -> dict[str, Any]:
    """What the last process in the folder said of itself; empty where there is nothing whole."""
    try:
        data = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def alive(beat: dict[str, Any]) -> bool:
    """Is the process still at work? On this machine it is looked for; elsewhere it must have given a sign lately."""
    if beat.get("state") != "running":
        return False
    if beat.get("host") != socket.gethostname():
        return time.time() - float(beat.get("updated", 0)) < SILENCE
    try:
        os.kill(int(beat["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return True
