"""Valid files, broken at random: read, or refused with one clear message, and never anything else."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from foreign_files import FILES, PUBLISHED

from charter.constitution.formats import detect, import_file
from charter.constitution.schema import Constitution
from charter.core.errors import InputError

TIMES = 120
VALUES: list[Any] = [
    None,
    True,
    0,
    -1.5,
    "",
    " ",
    "x",
    "\x00",
    "é" * 300,
    "{}",
    [],
    {},
    [[]],
    ["x"],
    {"x": 1},
    [None],
    10**30,
]
PIECES = [
    b"\n",
    b"\x00",
    b"\xff",
    b"{",
    b"]",
    b'"',
    b"\t",
    b"- ",
    b"# ",
    b"---\n",
    b"\\ud800",
    b"```\n",
    b"|",
    b": ",
    b"\xe2\x80\xa8",
]


def nodes(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with each of its keys."""
    keys = list(data) if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else []
    for key in keys:
        yield data, key
        yield from nodes(data[key])


def mutated(data: Any, luck: random.Random) -> Any:
    """The same with a few things replaced, removed, renamed or repeated."""
    data = copy.deepcopy(data)
    for _ in range(luck.randint(1, 3)):
        places = list(nodes(data))
        if not places:
            return luck.choice(VALUES)
        container, key = luck.choice(places)
        what = luck.choice(["replace", "remove", "rename", "repeat"])
        if what == "replace":
            container[key] = copy.deepcopy(luck.choice(VALUES))
        elif what == "remove":
            del container[key]
        elif isinstance(container, dict):
            container[luck.choice(["x", "", "name", "é"])] = container.pop(key)
        else:
            container.append(copy.deepcopy(container[key]))
    return data


def scrambled(data: bytes, luck: random.Random) -> bytes:
    """The same with a few pieces cut out, put in or moved."""
    for _ in range(luck.randint(1, 3)):
        start = luck.randrange(len(data) + 1)
        end = min(len(data), start + luck.choice([0, 0, 1, 5, 200]))
        data = data[:start] + luck.choice([b"", data[end : end + 50], *PIECES]) + data[end:]
    return data


def read(path: Path, name: str | None) -> bool:
    """Was it read? If not, it was refused as it should be."""
    found = outcome(path, name)
    if isinstance(found, Constitution):
        assert found.hash
        return True
    assert str(path.parent) in str(found.where)
    assert found.cure
    assert "\n" not in found.what
    return False


def outcome(path: Path, name: str | None) -> Constitution | InputError:
    try:
        return import_file(path, name).constitution
    except InputError as error:
        return error


@pytest.mark.parametrize(
    "kind", [kind for kind, (_, text) in FILES.items() if text.startswith(("{", "[")) and "lines" not in kind]
)
def test_mutated_data(tmp_path: Path, kind: str) -> None:
    luck = random.Random(kind)
    name, text = FILES[kind]
    results = set()
    for _ in range(TIMES):
        (tmp_path / name).write_text(json.dumps(mutated(json.loads(text), luck)), encoding="utf-8")
        results.add(read(tmp_path / name, kind.split()[0]))
        results.add(read(tmp_path / name, None))
    assert results == {True, False}


@pytest.mark.parametrize("kind", FILES)
def test_scrambled_bytes(tmp_path: Path, kind: str) -> None:
    luck = random.Random(kind)
    name, text = FILES[kind]
    results = set()
    for _ in range(TIMES):
        (tmp_path / name).write_bytes(scrambled(text.encode(), luck))
        results.add(read(tmp_path / name, kind.split()[0]))
        read(tmp_path / name, None)
    assert results == {True, False}


def test_mutated_published_folders(tmp_path: Path) -> None:
    luck = random.Random("published")
    results = set()
    for _ in range(TIMES):
        for name, data in PUBLISHED.items():
            changed = mutated(data, luck) if luck.random() < 0.3 else data
            (tmp_path / name).write_text(json.dumps(changed), encoding="utf-8")
        results.add(read(tmp_path, "published"))
    assert results == {True, False}


@pytest.mark.parametrize("data", VALUES, ids=repr)
@pytest.mark.parametrize("kind", FILES)
def test_any_value_instead(tmp_path: Path, kind: str, data: Any) -> None:
    (tmp_path / "x.json").write_text(json.dumps(data), encoding="utf-8")
    assert not read(tmp_path / "x.json", kind.split()[0]) or kind.startswith(("list", "prose"))
    with pytest.raises(InputError):
        detect(tmp_path / "x.json")


def test_deep_nesting(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[" * 100_000, encoding="utf-8")
    assert not read(tmp_path / "x.json", None)
    for kind in FILES:
        if not kind.startswith(("list", "prose")):
            assert not read(tmp_path / "x.json", kind.split()[0])
