r"""Prompts and comparisons from files.

Rows are JSON, one per line (`.jsonl`, `.jsonl.gz`):

    {"prompt": "how do I ...", "id": ..., "kind": ..., "cluster": ...}       all but `prompt` optional
    {"prompt": [{"role": "user", "content": ...}, ...]}                      a conversation that ends with the user
    {"chosen": "\n\nHuman: ...\n\nAssistant: ...", "rejected": "..."}        the prompt is what both begin with
    {"transcript": "\n\nHuman: ...\n\nAssistant: ..."}                       the prompt ends with the last Human turn

and for comparisons `prompt`, `chosen`, `rejected`, or such a pair of transcripts. Equal prompts are taken once. The
`load_` functions return the list, the `read_` functions the list and a report of what was odd, dropped or set aside.
Records that a stage of a run wrote (`.parquet`) are read as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from charter.core.errors import InputError
from charter.core.fingerprint import fingerprint
from charter.core.records import Comparison, Preference, Prompt
from charter.core.tables import iterate_records, read_jsonl
from charter.prompts.report import PromptReport
from charter.prompts.rows import Reading, Row, name, read_comparison, read_prompt

T = TypeVar("T")
RECORDS = ".parquet"
_EMPTY_CURE = 'write one row per line, such as {"prompt": "how do I open a locked door?"}'


def load_prompts(path: Path, source: str = "red_team", limit: int | None = None) -> list[Prompt]:
    """The first `limit` different prompts of a file; `source` says what they are for (red_team, helpful, ...).

    Raises InputError (file and line, cure) for bad JSON, rows without a prompt, prompts that do not end with the user,
    one id for different prompts, and files that give no prompt at all.
    """
    return read_prompts(path, source, limit)[0]


def load_comparisons(path: Path, labels: str = "human", limit: int | None = None) -> list[Preference]:
    """The first `limit` different comparisons of a file, for helpfulness: the chosen answer is `a`, and `p_a` is 1.
    `labels` says who judged (human, ai, simulated).

    Raises InputError as `load_prompts` does, and for rows without `chosen` or `rejected`.
    """
    return read_comparisons(path, labels, limit)[0]


def read_prompts(path: Path, source: str = "red_team", limit: int | None = None) -> tuple[list[Prompt], PromptReport]:
    """`load_prompts`, with the report."""
    if path.suffix == RECORDS:
        return _records(path, Prompt, limit, "prompts")
    report, unique = PromptReport(path), _Unique(path)
    prompts: list[Prompt] = []
    for line, where, row in _rows(path):
        if limit is not None and len(prompts) == limit:
            break
        reading = read_prompt(row, where)
        if not _usable(report, line, reading):
            continue
        prompt = _prompt(row, where, reading, source, name(row, "id", where))
        if unique.is_new(line, prompt.id, fingerprint(prompt.messages), report):
            prompts.append(prompt)
    return prompts, _finished(report, len(prompts), "prompts")


def read_comparisons(
    path: Path, labels: str = "human", limit: int | None = None
) -> tuple[list[Preference], PromptReport]:
    """`load_comparisons`, with the report."""
    if path.suffix == RECORDS:
        return _records(path, Preference, limit, "comparisons")
    report, unique = PromptReport(path), _Unique(path)
    preferences: list[Preference] = []
    for line, where, row in _rows(path):
        if limit is not None and len(preferences) == limit:
            break
        reading, chosen, rejected = read_comparison(row, where)
        if not _usable(report, line, reading):
            continue
        content = fingerprint(reading.messages, chosen, rejected)
        prompt = _prompt(row, where, reading, "helpful", name(row, "prompt_id", where))
        comparison = Comparison(name(row, "id", where) or content, prompt, chosen, rejected)
        if unique.is_new(line, comparison.id, content, report):
            preferences.append(Preference(comparison, 1.0, source="helpful", labels=labels))
    return preferences, _finished(report, len(preferences), "comparisons")


def _records(path: Path, cls: type[T], limit: int | None, what: str) -> tuple[list[T], PromptReport]:
    """What a stage of a run wrote, as it is: it was checked when it was read the first time."""
    records = list(islice(iterate_records(path, cls), limit))
    return records, _finished(PromptReport(path, rows=len(records)), len(records), what)


def _rows(path: Path) -> Iterator[tuple[int, str, Row]]:
    for line, row in read_jsonl(path):
        yield line, f"{path}:{line}", row


def _usable(report: PromptReport, line: int, reading: Reading) -> bool:
    """Enter the row in the report."""
    report.rows += 1
    for reason in reading.odd:
        report.odd.setdefault(reason, []).append(line)
    if reading.set_aside:
        report.set_aside.setdefault(reading.set_aside, []).append(line)
    return not reading.set_aside


def _prompt(row: Row, where: str, reading: Reading, source: str, id: str | None) -> Prompt:  # noqa: A002
    return Prompt(
        id=id or fingerprint(reading.messages),
        messages=reading.messages,
        source=source,
        kind=name(row, "kind", where),
        cluster=name(row, "cluster", where),
    )


def _finished(report: PromptReport, taken: int, what: str) -> PromptReport:
    report.taken = taken
    if taken == 0:
        found = f"none of its {report.rows} rows can be used: {report}" if report.rows else "the file is empty"
        raise InputError(f"no {what} here: {found}", where=report.path, cure=_EMPTY_CURE)
    return report


class _Unique:
    """Which contents and ids have been seen, and on which line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._contents: set[str] = set()
        self._ids: dict[str, int] = {}

    def is_new(self, line: int, id: str, content: str, report: PromptReport) -> bool:  # noqa: A002
        """False (and an entry in the report) for a content seen before. Raises InputError for a new content under an id
        that was seen before."""
        if content in self._contents:
            report.duplicates.append(line)
            return False
        first = self._ids.setdefault(id, line)
        if first != line:
            raise InputError(
                f"the id '{id}' stands on line {first} already, with other words",
                where=f"{self._path}:{line}",
                cure="give each row an id of its own, or none",
            )
        self._contents.add(content)
        return True
