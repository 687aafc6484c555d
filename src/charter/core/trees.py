"""A text file as a tree of values that know where they stand. `yaml.py` reads files through it.

The tree is put together from what a parser reports, one piece after another and without recursion, so that the nesting
and the number of values are bounded before anything is built, whatever an alias repeats.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

from charter.core.errors import InputError, Place

Keys = tuple[str | int, ...]

MAX_DEPTH = 100
MAX_VALUES = 200_000
_TEXT = 100
"""So many characters of a repeated text count as one value."""


@dataclass(frozen=True)
class TextFile:
    """A file's text, with line feeds for line ends, and its name for messages."""

    name: str
    text: str

    @cached_property
    def _starts(self) -> list[int]:
        starts, at = [0], self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        return starts

    def place(self, index: int) -> Place:
        """Where a character stands."""
        line = bisect_right(self._starts, index)
        start = self._starts[line - 1]
        end = self.text.find("\n", start)
        return Place(self.name, line, index - start + 1, self.text[start : len(self.text) if end < 0 else end])

    def refuse(self, what: str, index: int, cure: str) -> NoReturn:
        """Raise InputError with the place."""
        raise InputError(what, where=self.place(index), cure=cure)


@dataclass(slots=True, eq=False)
class Node:
    """A value: a scalar, a list of nodes, or a dict of them."""

    start: int
    value: Any
    keys: dict[str, int] = field(default_factory=dict)
    """Where each key starts."""
    size: int = 1
    """Values in it, with what aliases repeat."""
    height: int = 1
    pending: str | None = None
    """The key whose value comes next, while it is put together."""

    @property
    def wants_key(self) -> bool:
        """Is a key what comes next?"""
        return isinstance(self.value, dict) and self.pending is None

    def data(self) -> Any:
        """Plain data, every part of it its own."""
        if isinstance(self.value, dict):
            return {key: node.data() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.data() for node in self.value]
        return self.value

    def locate(self, keys: Keys) -> int:
        """Where a field starts, or the nearest thing around it: its key, or the list's item."""
        node, index = self, self.start
        for key in keys:
            if isinstance(node.value, dict) and key in node.value:
                index, node = node.keys[str(key)], node.value[key]
            elif isinstance(node.value, list) and isinstance(key, int) and 0 <= key < len(node.value):
                node = node.value[key]
                index = node.start
            else:
                break
        return index


class Builder:
    """Puts a tree together. Raises InputError for duplicate keys, keys that are no texts, and what is too deep, too
    large or without an end."""

    def __init__(self, file: TextFile) -> None:
        self.file = file
        self.root: Node | None = None
        self._open: list[Node] = []
        self._anchors: dict[str, Node] = {}
        self._count = 0

    @property
    def wants_key(self) -> bool:
        """Is a key what comes next?"""
        return bool(self._open) and self._open[-1].wants_key

    def key(self, text: str, index: int) -> None:
        """A key of the mapping that is open."""
        parent = self._open[-1]
        if text in parent.keys:
            first = self.file.place(parent.keys[text]).line
            self.file.refuse(
                f"the key '{shorten(text)}' stands twice: it is on line {first} already", index, "keep one of them"
            )
        parent.keys[text], parent.pending = index, text

    def scalar(self, value: Any, index: int, anchor: str | None = None) -> None:
        """A single value."""
        size = 1 if anchor is None or not isinstance(value, str) else 1 + len(value) // _TEXT
        self._begin(Node(index, value, size=size), anchor)
        self.end()

    def start(self, value: list[Any] | dict[str, Any], index: int, anchor: str | None = None) -> None:
        """A list or a mapping, still empty."""
        if self.wants_key:
            self.file.refuse("a key is a text, not a list or a mapping", index, "write the key as one word, then `:`")
        self._begin(Node(index, value), anchor)

    def alias(self, anchor: str, index: int) -> None:
        """What an anchor stands for, once more."""
        node = self._anchors.get(anchor)
        if self.wants_key:
            self.file.refuse("an alias cannot be a key", index, "write the key out")
        if node is None:
            self.file.refuse(f"there is no anchor '&{shorten(anchor)}' above this alias", index, "write the value out")
        if node in self._open:
            self.file.refuse("the alias stands inside what it repeats", index, "write the value out")
        self._grow(node.size, node.height, index)
        self._attach(node)

    def end(self) -> None:
        """The list or mapping that was opened last is complete."""
        node = self._open.pop()
        self._attach(node)

    def _begin(self, node: Node, anchor: str | None) -> None:
        self._grow(1, 1, node.start)
        self._open.append(node)
        if anchor is not None:
            self._anchors[anchor] = node

    def _grow(self, size: int, height: int, index: int) -> None:
        self._count += size
        if self._count > MAX_VALUES:
            what = f"more than {MAX_VALUES:,} values, with those that aliases repeat"
            self.file.refuse(what, index, "write fewer aliases, or several files")
        if len(self._open) + height > MAX_DEPTH:
            self.file.refuse(f"nested more than {MAX_DEPTH} deep", index, "nest less")

    def _attach(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        parent.size += node.size
        parent.height = max(parent.height, node.height + 1)
        if isinstance(parent.value, list):
            parent.value.append(node)
        else:
            parent.value[parent.pending], parent.pending = node, None


def shorten(text: str, most: int = 60) -> str:
    """A text for a message: cut where it is long."""
    return text if len(text) <= most else text[: most - 3] + "..."
