"""What a user gave to be imported: its text, its data, and the place of every value in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from charter.core.errors import InputError, Place
from charter.core.validation import dotted
from charter.core.yaml import Keys, Locate, parse_json, parse_yaml, read_text

LONGEST_TEXT = 2_000_000
"""In characters: what is longer was not written to be read by people."""

YAML = (".yaml", ".yml")
TEXT = (".md", ".markdown", ".txt", ".text", ".rst", "")
CURE = "correct it, or say what the file is with --format"


@dataclass(frozen=True)
class Given:
    """A file, with its text, or a folder, without."""

    path: Path
    text: str
    """As read, with line ends as `\\n`; of a folder empty."""

    @classmethod
    def at(cls, path: Path) -> Given:
        """Raises InputError for what cannot be read."""
        return cls(path, "" if path.is_dir() else read_text(path))

    def prose(self) -> str:
        """The text, of a length that people read. Raises InputError for a longer one."""
        if len(self.text) > LONGEST_TEXT:
            what = f"the text has {len(self.text):,} characters; up to {LONGEST_TEXT:,} are read"
            raise InputError(what, where=self.path, cure="split it, or say what the file is with --format")
        return self.text

    @cached_property
    def is_text(self) -> bool:
        """May it be text or Markdown, by its name, its looks and its length?"""
        return self.path.suffix.lower() in TEXT and not self.is_json and 0 < len(self.text) <= LONGEST_TEXT

    @cached_property
    def is_yaml(self) -> bool:
        """Is it YAML, by its name?"""
        return self.path.suffix.lower() in YAML

    @cached_property
    def is_json(self) -> bool:
        """Does it begin as JSON or JSON Lines do?"""
        return not self.is_yaml and self.text.lstrip().startswith(("{", "["))

    @cached_property
    def glance(self) -> Any:
        """The data of a JSON or JSON Lines file, to tell what it is; None for any other, and for a broken one."""
        try:
            return json.loads(self.text) if self.is_json else None
        except (ValueError, RecursionError):
            pass
        try:
            lines = [line for line in self.text.splitlines() if line.strip()]
            first = json.loads(lines[0])
        except (ValueError, RecursionError):
            return None
        return [first] if isinstance(first, dict) else None

    @cached_property
    def root(self) -> Value:
        """The data of a JSON, JSON Lines or YAML file. Raises InputError with the place."""
        if self.is_json and isinstance(self.glance, list) and _is_lines(self.text):
            return self._lines()
        parse = parse_json if self.is_json or self.path.suffix.lower() == ".json" else parse_yaml
        data, locate = parse(self.text, str(self.path))
        return Value(self.path, data, (), locate)

    def line(self, number: int) -> Place:
        """The place of a line."""
        lines = self.text.split("\n")
        return Place(str(self.path), number, 1, lines[number - 1] if number <= len(lines) else "")

    def _lines(self) -> Value:
        found: list[tuple[int, str, Any, Locate]] = []
        for number, text in enumerate(self.text.split("\n"), 1):
            if text.strip():
                found.append((number, text, *self._json_line(number, text)))

        def locate(keys: Keys) -> Place | None:
            if not keys:
                return None
            number, text, _, within = found[int(keys[0])]
            place = within(keys[1:])
            return Place(str(self.path), number, 1 if place is None else place.column, text)

        return Value(self.path, [data for _, _, data, _ in found], (), locate)

    def _json_line(self, number: int, text: str) -> tuple[Any, Locate]:
        try:
            return parse_json(text, str(self.path))
        except InputError as error:
            where = None if error.place is None else replace(error.place, line=number)
            raise InputError(error.what, where=where or self.line(number), cure=error.cure) from error


def _is_lines(text: str) -> bool:
    """More than one JSON document, or one object on a line of its own."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return True
    return False


@dataclass(frozen=True)
class Value:
    """A value in a file. Its methods say what is expected of it; they raise InputError with its place."""

    path: Path
    data: Any
    keys: Keys
    locate: Locate

    @property
    def place(self) -> Place | str:
        """Where it stands, as well as is known."""
        return self.locate(self.keys) or str(self.path)

    def refuse(self, what: str, cure: str = CURE) -> NoReturn:
        """Raise InputError that names the field and its place."""
        field = dotted(self.keys)
        raise InputError(f"'{field}': {what}" if field else what, where=self.place, cure=cure)

    def child(self, key: str | int) -> Value:
        """What stands under a key, which is there."""
        return Value(self.path, self.data[key], (*self.keys, key), self.locate)

    def mapping(self) -> dict[str, Value]:
        """By key, where it is one with at least one key."""
        if not isinstance(self.data, dict):
            self.refuse(f"an object with keys was expected, not {self.kind}")
        if not self.data:
            self.refuse("there is nothing in it")
        return {key: self.child(key) for key in self.data}

    def items(self) -> list[Value]:
        """Of a list with at least one."""
        if not isinstance(self.data, list):
            self.refuse(f"a list was expected, not {self.kind}")
        if not self.data:
            self.refuse("the list is empty")
        return [self.child(index) for index in range(len(self.data))]

    def field(self, name: str) -> Value:
        """What a mapping has under a key."""
        if name not in self.mapping():
            self.refuse(f"the key '{name}' is missing")
        return self.child(name)

    def optional(self, name: str) -> Value | None:
        """The same, or None where the mapping has no such key, or nothing under it."""
        return self.child(name) if name in self.mapping() and self.data[name] is not None else None

    def text(self) -> str:
        """Exactly as it stands, where it is a text with more in it than white space."""
        if not isinstance(self.data, str):
            self.refuse(f"a text was expected, not {self.kind}")
        if not self.data.strip():
            self.refuse("the text is empty")
        return self.data

    def texts(self) -> list[str]:
        """Of a list, which may be empty."""
        return [item.text() for item in self.items()] if self.data != [] else []

    def others(self, known: set[str]) -> Iterator[str]:
        """The keys of a mapping besides those that are known and those that say nothing."""
        for key, value in self.mapping().items():
            if key not in known and value.data not in (None, "", [], {}):
                yield key

    @property
    def kind(self) -> str:
        """What it is, in words."""
        kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
        return kinds.get(type(self.data), "a number")
