from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.core.errors import InputError
from charter.core.records import Chain, Comparison, Message, Preference, Prompt, Round, Verdict, user
from charter.core.tables import (
    read_json,
    read_jsonl,
    read_records,
    schema_of,
    write_json,
    write_jsonl,
    write_records,
)

PROMPT = Prompt("p1", (Message("system", "be kind"), user("hallo ünï 🙂")), kind="harmful")
ROUND = Round("one", "abc", None, "revised")
VERDICT = Verdict("one", "abc", "ba", None, None, "low_mass")
COMPARISON = Comparison("c", PROMPT, "yes", "no")


@pytest.mark.parametrize(
    "records",
    [
        [Chain(PROMPT, 0, "answer")],  # no rounds at all: the column is nothing but empty lists
        [Chain(PROMPT, 0, "answer", (ROUND, ROUND), seed=2**63 - 1), Chain(PROMPT, 1, "", ())],
        [Chain(PROMPT, n, "answer", (ROUND,) * (n % 3)) for n in range(9000)],  # more than two groups of rows
        [Preference(COMPARISON, None, (VERDICT,))],
        [Preference(COMPARISON, 0.25, (VERDICT, VERDICT.swap())), Preference(COMPARISON.swap(), 1.0)],
        [PROMPT, Prompt("p2", (user("a"),), cluster="c")],
    ],
)
def test_records_come_back_as_they_were(tmp_path: Path, records: list[object]) -> None:
    path = tmp_path / "new" / "folder" / "table.parquet"
    assert write_records(path, iter(records)) == len(records)
    assert read_records(path, type(records[0])) == records
    assert [p.name for p in path.parent.iterdir()] == ["table.parquet"]


@dataclass(frozen=True)
class Wide:
    shares: dict[str, float]
    maybe: dict[str, float] | None
    kind: Literal["x", "y"] | None
    flag: bool | None
    number: int | float
    nested: tuple[tuple[int, ...], ...]


WIDE = st.builds(
    Wide,
    st.dictionaries(st.text(max_size=3), st.floats(allow_nan=False), max_size=3),
    st.none() | st.dictionaries(st.sampled_from("ab"), st.floats(0, 1), max_size=2),
    st.sampled_from(["x", "y", None]),
    st.sampled_from([True, False, None]),
    st.floats(allow_nan=False),
    st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=2).map(tuple), max_size=2).map(tuple),
)


@given(st.lists(WIDE, max_size=5))
def test_every_type_of_column_comes_back(tmp_path_factory: pytest.TempPathFactory, records: list[Wide]) -> None:
    path = tmp_path_factory.mktemp("wide") / "table.parquet"
    write_records(path, records)
    assert read_records(path, Wide) == records


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    records = [Chain(PROMPT, n, "answer", (ROUND,)) for n in range(50)]
    for name in ("a", "b"):
        write_records(tmp_path / name, records)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_no_records(tmp_path: Path) -> None:
    assert write_records(tmp_path / "empty.parquet", []) == 0
    assert read_records(tmp_path / "empty.parquet", Chain) == []


def test_a_failing_generator_leaves_the_old_table(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_records(path, [PROMPT])

    def failing() -> object:
        yield from [PROMPT] * 5000
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_records(path, failing())
    assert read_records(path, Prompt) == [PROMPT]
    assert [p.name for p in tmp_path.iterdir()] == ["table.parquet"]


def test_what_is_not_a_table_of_these_records(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("hallo")
    write_records(tmp_path / "prompts.parquet", [PROMPT])
    for path in (tmp_path / "text.parquet", tmp_path / "prompts.parquet"):
        with pytest.raises(InputError, match="not a table of Chain records"):
            read_records(path, Chain)
    with pytest.raises(InputError, match="no such file"):
        read_records(tmp_path / "none.parquet", Chain)


def test_a_hint_without_a_column_type() -> None:
    @dataclass
    class Odd:
        value: complex

    with pytest.raises(TypeError, match="complex"):
        schema_of(Odd)


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert write_jsonl(path, [{"a": 1}, {"b": "ü"}]) == 2
    path.write_text("﻿" + path.read_text() + '\n{"c": 3}\n', encoding="utf-8")
    assert list(read_jsonl(path)) == [(1, {"a": 1}), (2, {"b": "ü"}), (4, {"c": 3})]
    zipped = tmp_path / "rows.jsonl.gz"
    zipped.write_bytes(gzip.compress(b'{"a": 1}\n'))
    assert list(read_jsonl(zipped)) == [(1, {"a": 1})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a": \n', "rows.jsonl:2: not JSON"),
        (b'{"a": 1}\n[1]\n', "rows.jsonl:2: a JSON object was expected, not list"),
        (b'{"a": 1}\n{"a": "\xff"}\n', "rows.jsonl:2: the line is not UTF-8"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "rows.jsonl").write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(read_jsonl(tmp_path / "rows.jsonl"))
    assert message in str(caught.value)
    assert caught.value.cure


def test_broken_gzip_missing_file_and_folder(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n' * 99)[:-9])
    for name, message in (("rows.jsonl.gz", "gzip"), ("none.jsonl", "no such file"), (".", "folder")):
        with pytest.raises(InputError, match=message):
            list(read_jsonl(tmp_path / name))


def test_json_documents(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"ü": [1, None]})
    assert read_json(tmp_path / "a.json") == {"ü": [1, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert read_json(tmp_path / "a.json") == {"ü": [1, None]}
    (tmp_path / "bad.json").write_text("{\n  1}")
    with pytest.raises(InputError, match=r"bad.json:2"):
        read_json(tmp_path / "bad.json")
