"""Files of fixed pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from charter.core.errors import InputError
from charter.evaluate.pairs import load_pairs

GOOD: dict[str, Any] = {"prompt": "how?", "a": "so", "b": "no", "kind": "harmful", "cluster": "c"}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_pairs(tmp_path: Path) -> None:
    multi = {"prompt": [{"role": "user", "content": "a"}], "a": "", "b": "x" * 100_000}
    first, second = load_pairs(write(tmp_path / "p.jsonl", GOOD, multi, GOOD))
    assert (first.a, first.b, first.prompt.text) == ("so", "no", "how?")
    assert (first.prompt.kind, first.prompt.cluster) == ("harmful", "c")
    assert (second.prompt.kind, second.a, len(second.b)) == (None, "", 100_000)
    assert first.id != second.id


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({**GOOD, "a": None}, "the row has no `a`"),
        ({**GOOD, "b": 3}, "needs a text as `b`"),
        ({**GOOD, "b": "so"}, "are the same"),
        ({**GOOD, "prompt": None}, "no prompt"),
        ({**GOOD, "kind": ["x"]}, "`kind` must be a text"),
    ],
)
def test_what_is_no_pair(tmp_path: Path, row: dict[str, Any], what: str) -> None:
    path = write(tmp_path / "p.jsonl", GOOD, row)
    with pytest.raises(InputError, match=what) as caught:
        load_pairs(path)
    assert caught.value.where == f"{path}:2"


def test_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the file is empty"):
        load_pairs(write(tmp_path / "p.jsonl"))
