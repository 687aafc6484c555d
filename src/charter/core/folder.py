"""A run's folder as files: its lock, what an earlier process left in it, and the lines of its metrics."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from charter.core.account import Spent
from charter.core.errors import InputError
from charter.core.heartbeat import last_beat
from charter.core.manifest import Manifest

Metrics = dict[str, Any]


def spent_before(folder: Path, manifest: Manifest) -> Spent:
    """What the run's earlier processes have spent, as the last one said; at the least what finished stages took."""
    totals = manifest.data["totals"]
    tokens = sum(totals.get(name, 0) for name in ("prompt_tokens", "completion_tokens"))
    said = last_beat(folder).get("spent")
    said = said if isinstance(said, dict) else {}
    return Spent(
        max(said.get("calls", 0), totals.get("calls", 0)),
        max(said.get("tokens", 0), tokens),
        max(said.get("cost", 0.0), totals.get("cost", 0.0)),
    )


def is_ours(name: str) -> bool:
    """Is this what a start leaves that was killed before the manifest was written?"""
    return name in {".lock", ".partial"} or (name.startswith(".") and name.endswith(".tmp"))


def lines_of(path: Path, stage: str | None = None) -> list[Metrics]:
    """The lines of metrics.jsonl (of one stage); one that was torn by a kill is left out."""
    lines: list[Metrics] = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        with contextlib.suppress(json.JSONDecodeError):
            line = json.loads(text)
            if stage is None or line.get("stage") == stage:
                lines.append(line)
    return lines


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """One process at a time. The lock goes with the process, however it ends; its file stays."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                "another process is running in this folder", where=folder, cure="wait for it, or use another --out"
            ) from error
        yield
    finally:
        os.close(descriptor)
