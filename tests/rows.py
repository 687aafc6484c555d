"""Files of rows for the tests."""

from __future__ import annotations

import json
from pathlib import Path


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
