"""Thousands of broken files: each is a constitution or one clear error that names the file, and at once."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charter.constitution.lint import lint
from charter.constitution.load import Source, dumps, load, read
from charter.constitution.schema import Category, Constitution, Document, Principle, Sampling
from charter.core.dumping import dump_yaml
from charter.core.errors import InputError

FILES = 500  # of each of the ten kinds
SLOW_S = 2.0

WHOLE = """\
# a comment
name: whole
version: 1.2.0
authors: [A. Writer, "B"]
categories:
  - {id: safety, tier: 1, weight: 2.0}
  - id: style
    title: 'How it is said'
principles:
  - id: harm
    category: safety
    severity: high
    critique: &c Look for harm
      in the last answer.
    revision: |
      Take it out.
    sources: [*c]
    lint_ignore: {CC501: "it is short"}
  - id: which
    comparison: >-
      Which answer does
      less harm?
    few_shot:
      chain_of_thought: ["Human: {}"]
few_shot:
  critique_revision: ["\\n\\nHuman: héllo 😀"]
sampling: {strategy: category_weight, tags: []}
"""
CHILD = """\
name: child
extends:
  - ./base.yaml
remove: [which]
overrides:
  - id: harm
    severity: null
    tags: [a, b]
principles:
  - {id: own, category: safety, comparison: Which is better?}
"""
TREE: dict[str, Any] = {
    "name": "tree",
    "principles": [{"id": "a", "critique": "x", "revision": "y"}, {"id": "b", "comparison": "z", "weight": 1.5}],
}
SYNTAX = (
    *(
        "- ",
        ": ",
        "? ",
        "\n",
        "\n\n",
        "  ",
        "\t",
        "#",
        " #",
        "[",
        "]",
        "{",
        "}",
        ",",
        "'",
        '"',
        "|",
        ">",
        "|2-",
        ">+",
        "&a ",
        "*a",
    ),
    *(
        "*c",
        "!",
        "!!str ",
        "!!python/name:os.system ",
        "---\n",
        "...\n",
        "%YAML 1.2\n---\n",
        "<<: *c\n",
        "@",
        "`",
        "\\",
        "\\x",
    ),
    *(
        "\x00",
        "\x07",
        "\x85",
        "\u2028",
        "\ufeff",
        "\xa0",
        "\r",
        "\r\n",
        "é",
        "日本",
        "😀",
        "\\ud800",
        "\\u0000",
        "{}",
        "~",
        "null",
    ),
    *(
        ".nan",
        ".inf",
        "-1",
        "1e999",
        "9" * 200,
        "0x",
        "true",
        "[[[[[[[[",
        "- - - - ",
        "{a: {a: {a: ",
        "library:",
        "extends: [./base.yaml]\n",
    ),
    *("extends: [whole.yaml]\n", "name: x\n", "id: harm\n", "principles:\n", "\n  - id: z\n", "lint_ignore: {x: y}\n"),
)
FIELDS = tuple({name for model in (Document, Principle, Category, Sampling) for name in model.model_fields})
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        1.5,
        10**30,
        "",
        " ",
        "a",
        "safety",
        "harm",
        "1.0.0",
        "library:harmless",
        "base.yaml",
        "{}",
        "x\ny",
    ),
    *(
        [],
        {},
        [None],
        [[]],
        [{}],
        ["a", "a"],
        {"a": "b"},
        {"id": "a"},
        [{"id": "harm"}],
        "uniform",
        "high",
        "\x07",
        "\u2028",
    ),
)


# what is fed ---------------------------------------------------------------------------------------------------------


def flipped(draw: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def truncated(draw: random.Random, data: bytes) -> bytes:
    start = draw.choice((0, 0, draw.randrange(len(data))))
    return data[start : draw.randrange(start, len(data)) + 1]


def inserted(draw: random.Random, data: bytes) -> bytes:
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(data) + 1)
        data = data[:at] + draw.choice(SYNTAX).encode("utf-8") + data[at + draw.choice((0, 0, 1, 3, 10)) :]
    return data


def shuffled(draw: random.Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    for _ in range(draw.randint(1, 3)):
        line = draw.choice(lines)
        at = draw.randrange(len(lines) + 1)
        lines[at : at + draw.choice((0, 1))] = [
            draw.choice((b"", b" ", b"  ", b"    ", b"\t")) + line.strip() * draw.choice((1, 2))
        ]
    return b"\n".join(lines)


def value(draw: random.Random, depth: int = 0) -> Any:
    """Anything, with right and wrong keys in it."""
    if depth > 3 or draw.random() < 0.4:
        return draw.choice(VALUES)
    if draw.random() < 0.5:
        return [value(draw, depth + 1) for _ in range(draw.randrange(4))]
    return {
        draw.choice((*FIELDS, "principle", "Id", "", "1")): value(draw, depth + 1) for _ in range(draw.randrange(5))
    }


def disturbed(draw: random.Random, data: Any) -> Any:
    """A right tree with something wrong in it, deep down or not."""
    if isinstance(data, dict) and draw.random() < 0.9 and data:
        key = draw.choice(list(data))
        odd = {draw.choice(FIELDS): value(draw)} if draw.random() < 0.3 else {}
        return {**data, key: disturbed(draw, data[key]), **odd}
    if isinstance(data, list) and draw.random() < 0.9 and data:
        at = draw.randrange(len(data))
        return [*data[:at], disturbed(draw, data[at]), *data[at + draw.randrange(2) :]]
    return value(draw, 2)


MUTATIONS: dict[str, tuple[str, Callable[[random.Random], bytes]]] = {
    "flipped": ("a.yaml", lambda draw: flipped(draw, WHOLE.encode())),
    "truncated": ("a.yaml", lambda draw: truncated(draw, draw.choice((WHOLE, CHILD)).encode())),
    "inserted": ("a.yaml", lambda draw: inserted(draw, WHOLE.encode())),
    "shuffled": ("a.yaml", lambda draw: shuffled(draw, WHOLE.encode())),
    "module inserted": ("a.yaml", lambda draw: inserted(draw, CHILD.encode())),
    "module shuffled": ("a.yaml", lambda draw: shuffled(draw, CHILD.encode())),
    "JSON inserted": ("a.json", lambda draw: inserted(draw, json.dumps(TREE, indent=1).encode())),
    "JSON flipped": ("a.json", lambda draw: flipped(draw, json.dumps(TREE).encode())),
    "trees": ("a.yaml", lambda draw: dump_yaml(disturbed(draw, TREE)).encode()),
    "JSON trees": ("a.json", lambda draw: json.dumps(disturbed(draw, TREE)).encode()),
}


# what must come of it ------------------------------------------------------------------------------------------------


def outcome(path: Path, data: bytes) -> Source | InputError:
    """What reading and linting the file gives; any other exception fails the test."""
    path.write_bytes(data)
    start = time.process_time()
    found = _found(path)
    assert time.process_time() - start < SLOW_S
    if isinstance(found, InputError):
        message = str(found)
        assert str(found.where).startswith(str(path.parent)), message
        assert found.cure
        assert len(message) < 3000
        assert not [c for c in message if ord(c) < 0xA0 and not c.isprintable() and c not in "\n\t"]
    else:
        assert all(found.place(("principles", index, "id")) for index in range(len(found.constitution.principles)))
        assert found.constitution.hash
    return found


def _found(path: Path) -> Source | InputError:
    try:
        source = read(path)
        lint(source)
    except InputError as error:
        return error
    return source


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", MUTATIONS)
def test_broken_files_give_a_constitution_or_one_clear_error(kind: str, tmp_path: Path) -> None:
    name, make = MUTATIONS[kind]
    (tmp_path / "base.yaml").write_text(WHOLE, encoding="utf-8")
    (tmp_path / "whole.yaml").write_text(WHOLE, encoding="utf-8")
    draw = random.Random(f"broken files: {kind}")
    outcomes = [outcome(tmp_path / name, make(draw)) for _ in range(FILES)]
    errors = [o for o in outcomes if isinstance(o, InputError)]
    assert len(errors) > FILES // 5
    assert len({error.what for error in errors}) > 20  # the faults are not all the same
    placed = [error for error in errors if error.place is not None]
    assert len(placed) == len(errors)


def test_the_files_that_are_mutated_are_whole(tmp_path: Path) -> None:
    for name, text in (("base.yaml", WHOLE), ("child.yaml", CHILD), ("tree.json", json.dumps(TREE))):
        assert isinstance(outcome(tmp_path / name, text.encode()), Source)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200) | st.text("-:?[]{},#&*!|>'\"%@` \n\tab1~<=.", max_size=120).map(str.encode))
def test_no_bytes_at_all_are_too_much(tmp_path: Path, data: bytes) -> None:
    outcome(tmp_path / "a.yaml", data)
    outcome(tmp_path / "a.json", data)


def test_what_can_be_read_can_be_written(tmp_path: Path) -> None:
    draw = random.Random("what can be read")
    seen: set[str] = set()
    for _ in range(300):
        found = outcome(tmp_path / "a.yaml", inserted(draw, WHOLE.encode()))
        if isinstance(found, Source):
            again = tmp_path / "again.yaml"
            again.write_text(dumps(found.constitution), encoding="utf-8")
            assert load(again) == found.constitution
            seen.add(Constitution.model_dump_json(found.constitution))
    assert len(seen) > 20
