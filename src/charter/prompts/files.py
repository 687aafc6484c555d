"""Rows from files of any format that prompts come in, one at a time, each with its place.

    .jsonl, .json     one JSON object per line, or one JSON array of objects
    .csv, .tsv        a line of headings, then one row per record (RFC 4180: quotes, line breaks inside quotes)
    .parquet          any table
    hub:OWNER/NAME    a data set of the Hugging Face hub, `hub:OWNER/NAME/FOLDER:SPLIT` for a part of it

The first two may be compressed (`.gz`). Nothing is read before it is asked for, and nothing read is kept.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from charter.core.errors import InputError
from charter.core.settings import HUB
from charter.core.tables import read_jsonl

Row = Mapping[str, Any]
Placed = tuple[int, Row]
"""The number of a line (of a row where there are no lines), from 1, and what stands there."""

PARQUET = ".parquet"
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LONGEST_CELL = 2**31 - 1
_CHUNK = 1 << 16
_ROWS_IN_A_BATCH = 1024


def rows_of(path: Path, revision: str | None = None) -> Iterator[Placed]:
    """The rows of a file, or of a data set of the hub (at its `revision`). Raises InputError, with the line, for what
    cannot be read."""
    suffix = _suffix(path)
    if is_hub(path):
        return _hub(path, revision)
    if suffix in _DELIMITERS:
        return _csv(path, _DELIMITERS[suffix])
    if suffix == PARQUET:
        return _parquet(path)
    return _array(path) if _first_character(path) == b"[" else read_jsonl(path)


def is_hub(path: Path) -> bool:
    """Is this the name of a data set of the hub?"""
    return str(path).startswith(HUB)


def is_jsonl(path: Path) -> bool:
    """Is this a file of rows that stages may read as it is: JSON, and not of the hub?"""
    return not is_hub(path) and _suffix(path) not in (*_DELIMITERS, PARQUET)


def hub_name(path: Path) -> tuple[str, str | None, str]:
    """`hub:OWNER/NAME/FOLDER:SPLIT` as the name, the folder inside it, and the split (`train` where none is named). A
    local folder may stand in the name's place."""
    name, _, split = str(path).removeprefix(HUB).partition(":")
    if name.strip("/") and Path(name).is_dir():
        return name, None, split or "train"
    parts = name.split("/", 2)
    if not all(parts):
        cure = f"write {HUB}OWNER/NAME or {HUB}OWNER/NAME:SPLIT"
        raise InputError("no data set is named here", where=path, cure=cure)
    return "/".join(parts[:2]), parts[2] if len(parts) == 3 else None, split or "train"


def has_columns(path: Path, names: Iterable[str]) -> bool:
    """Is this a Parquet file that has all of these columns?"""
    if path.suffix != PARQUET:
        return False
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return set(names) <= set(pq.read_schema(path).names)
    except (pa.ArrowInvalid, OSError):
        return False


# formats -------------------------------------------------------------------------------------------------------------


def _csv(path: Path, delimiter: str) -> Iterator[Placed]:
    csv.field_size_limit(_LONGEST_CELL)  # the library's own limit is 128 KB
    with _opened(path) as file:
        reader = csv.reader(_decoded(file, path), delimiter=delimiter, strict=True)
        header: list[str] = []
        for line, cells in _records(reader, path):
            if not header:
                header = _header(cells, f"{path}:{line}")
            elif len(cells) != len(header):
                what = f"the row has {len(cells)} cells, the line of headings {len(header)}"
                raise InputError(what, where=f"{path}:{line}", cure="put cells that hold commas or quotes in quotes")
            else:
                yield line, {name: cell or None for name, cell in zip(header, cells, strict=True)}


def _records(reader: Any, path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, each with the line on which it begins."""
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            cure = "put cells that hold commas or quotes in quotes, and double the quotes inside"
            raise InputError(f"not CSV: {error}", where=f"{path}:{line}", cure=cure) from error
        if cells is None:
            return
        if cells:
            yield line, cells


def _header(cells: list[str], where: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"the heading '{twice[0]}' stands twice", where=where, cure="give each column its own name")
    return names


def _parquet(path: Path) -> Iterator[Placed]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_IN_A_BATCH):
                for number, row in enumerate(batch.to_pylist(), start=number + 1):  # noqa: B020
                    yield number, row
    except FileNotFoundError as error:
        raise InputError("there is no such file", where=path, cure="check the path") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError("this is not a whole Parquet file", where=path, cure="write it again") from error


def _hub(path: Path, revision: str | None) -> Iterator[Placed]:
    from charter.models.hub import dataset_rows

    name, folder, split = hub_name(path)
    yield from enumerate(dataset_rows(name, folder, split, revision), start=1)


def _array(path: Path) -> Iterator[Placed]:
    """The objects of one JSON array, however it is broken into lines."""
    decoder = json.JSONDecoder()
    with _opened(path) as file:
        lines = _decoded(file, path)
        text, at, line = "", 0, 1
        expected = "["
        while True:
            at, line = _blank(text, at, line)
            if at == len(text):
                more = next(lines, None)
                if more is None:
                    raise InputError("the JSON array has no end", where=f"{path}:{line}", cure="write the file again")
                text, at = more, 0
            elif text[at] == "]" and expected != "[":
                return
            elif expected and text[at] == expected:
                at, expected = at + 1, ""
            elif expected:
                raise InputError(
                    f"not JSON: '{expected}' was expected", where=f"{path}:{line}", cure="correct this line"
                )
            else:
                row, text, at, end = _element(decoder, text, at, line, lines, path)
                yield line, row
                line, expected = end, ","


def _element(
    decoder: json.JSONDecoder, text: str, at: int, line: int, lines: Iterator[str], path: Path
) -> tuple[Row, str, int, int]:
    """One object, the text in hand with the place behind it, and the line there. Lines are added until it is whole."""
    parts, wanted = [text[at:]], 1
    while True:
        try:
            row, end = decoder.raw_decode(joined := "".join(parts))
        except json.JSONDecodeError as error:
            taken = 0
            while taken < wanted and (more := next(lines, None)) is not None:
                parts.append(more)
                taken += 1
            if not taken:
                cure = "write objects, with commas between"
                raise InputError(f"not JSON: {error.msg}", where=f"{path}:{line}", cure=cure) from error
            wanted *= 2  # an object of many lines is not tried again after each of them
            continue
        if not isinstance(row, dict):
            what = f"a JSON object was expected, not {type(row).__name__}"
            raise InputError(what, where=f"{path}:{line}", cure='write {"prompt": ...}')
        return row, joined, end, line + joined.count("\n", 0, end)


def _blank(text: str, at: int, line: int) -> tuple[int, int]:
    """Past white space: the new place and its line."""
    start = at
    while at < len(text) and text[at].isspace():
        at += 1
    return at, line + text.count("\n", start, at)


# bytes ---------------------------------------------------------------------------------------------------------------


def _suffix(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()


def _first_character(path: Path) -> bytes:
    """The first byte that is not white space; nothing where the file cannot be read, which the reader will say."""
    try:
        with _opened(path) as file:
            return file.read(_CHUNK).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    except InputError:
        return b""


def _decoded(file: IO[bytes], path: Path) -> Iterator[str]:
    """Lines with their ends. Raises InputError, with the line, for what is not UTF-8."""
    for number, line in enumerate(file, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            what, cure = "the line is not UTF-8 text", "save the file as UTF-8"
            raise InputError(what, where=f"{path}:{number}", cure=cure) from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            yield file
    except FileNotFoundError as error:
        raise InputError("there is no such file", where=path, cure="check the path") from error
    except IsADirectoryError as error:
        raise InputError("this is a folder, not a file", where=path, cure="name a file") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError("the file is not whole gzip data", where=path, cure="compress it again") from error
