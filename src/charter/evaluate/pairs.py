"""Fixed pairs of answers, on which labels and preference models are measured: rows with `prompt`, `a`, `b` (and `kind`,
`cluster`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from charter.core.errors import InputError
from charter.core.fingerprint import fingerprint
from charter.core.records import Comparison, Prompt
from charter.core.tables import read_jsonl
from charter.prompts.rows import name, read_prompt


def load_pairs(path: Path) -> list[Comparison]:
    """The pairs of a file, equal rows once. Raises InputError (file and line, cure) for rows that are not pairs, and
    for a file without any."""
    pairs = {pair.id: pair for pair in (_pair(row, f"{path}:{line}") for line, row in read_jsonl(path))}
    if not pairs:
        raise InputError(
            "the file is empty", where=path, cure='write one row per line: {"prompt": ..., "a": ..., "b": ...}'
        )
    return list(pairs.values())


def _pair(row: dict[str, Any], where: str) -> Comparison:
    reading = read_prompt(row, where)
    if reading.set_aside:
        raise InputError(
            f"the prompt cannot be used: {reading.set_aside}", where=where, cure="correct it or take it out"
        )
    a, b = (_answer(row, field, where) for field in ("a", "b"))
    if a == b:
        raise InputError(
            "`a` and `b` are the same", where=where, cure="give two different answers, or take the row out"
        )
    prompt = Prompt(
        id=fingerprint(reading.messages),
        messages=reading.messages,
        source="evaluation",
        kind=name(row, "kind", where),
        cluster=name(row, "cluster", where),
    )
    return Comparison(fingerprint(prompt.messages, a, b), prompt, a, b)


def _answer(row: dict[str, Any], field: str, where: str) -> str:
    answer = row.get(field)
    if not isinstance(answer, str):
        what = "has no" if answer is None else "needs a text as"
        raise InputError(f"the row {what} `{field}`", where=where, cure="give each row `prompt`, `a`, `b`")
    return answer
