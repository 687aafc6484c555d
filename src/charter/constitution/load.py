"""Reading and writing constitutions."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from charter.constitution import library
from charter.constitution.modules import Source, resolve
from charter.constitution.schema import Constitution, Document
from charter.core.dumping import dump_yaml
from charter.core.errors import InputError, Place
from charter.core.files import write_text
from charter.core.settings import LIBRARY
from charter.core.validation import parse
from charter.core.yaml import Locate, read_yaml

__all__ = ["Source", "dump", "dumps", "load", "read"]

MAX_EXTENDED = 50
"""Files in one line of `extends`."""

_OURS = re.compile(r"^(?:principles|extends)\s*:", re.MULTILINE)
_GLANCE = 1_000_000
"""So many characters say whose a file is."""
_CURE = "write `principles:`, a list of at least one entry with `id`, `critique` and `revision`, or `comparison`"
_ID = "an id of letters, digits, `.`, `_` and `-` (in quotes where it looks like a number)"
_EXPECTED = {
    "version": "a semantic version such as 1.2.0 (in quotes where it looks like a number)",
    "id": _ID,
    "category": _ID,
    "remove": _ID,
}


def load(source: str | Path) -> Constitution:
    """A constitution from a YAML or JSON file, with all that it extends; from the library (`library:NAME`); or from
    files in another format.

    Raises InputError: file, line and column, the dotted field, and the cure.
    """
    return read(source).constitution


def read(source: str | Path) -> Source:
    """The same, with the place of every field."""
    return _Reader().read(str(source), Path())


def dump(constitution: Constitution, path: Path) -> None:
    """Write a constitution as YAML, whole or not at all; `load` gives it back as it was."""
    write_text(path, f"# hash: {constitution.hash}\n{dumps(constitution)}")


def dumps(constitution: Constitution) -> str:
    """The constitution as YAML. Defaults are left out."""
    written = constitution.model_dump(mode="json", exclude_defaults=True)
    return dump_yaml({"name": constitution.name, "version": constitution.version} | written)


@dataclass(frozen=True)
class _Entry:
    """An entry of `extends`: what it names, and where it stands."""

    target: str
    field: str
    place: Place | str

    def refuse(self, what: str, cure: str, shown: str = "") -> NoReturn:
        """Raise InputError with its place."""
        lines = [self.place.show()] if isinstance(self.place, Place) else []
        shown = "\n".join([*lines, *([shown] if shown else [])])
        raise InputError(f"'{self.field}': {what}", where=self.place, cure=cure, shown=shown or None)


@dataclass
class _Reader:
    """Reads a constitution and what it extends, every file once."""

    done: dict[str, Source] = field(default_factory=dict)
    entered: dict[str, _Entry | None] = field(default_factory=dict)
    """The files being read, in order, and what led to each."""

    def read(self, source: str, folder: Path, by: _Entry | None = None) -> Source:
        """A source; a relative path starts from `folder`."""
        if source.startswith(LIBRARY):
            return self._file(library.path(source.removeprefix(LIBRARY)), source, by)
        path = folder / source
        if not os.path.exists(path) and source in library.names():
            raise InputError("there is no such file", where=path, cure=f"did you mean {LIBRARY}{source}?")
        return _foreign(path) or self._file(path, str(path), by)

    def _file(self, path: Path, name: str, by: _Entry | None) -> Source:
        """One of our own files."""
        key = os.path.realpath(path) if os.path.exists(path) else str(path)
        if by is not None and key in self.entered:
            self._refuse_cycle(key, by)
        if key not in self.done:
            self.entered[key] = by
            self.done[key] = self._resolved(path, name)
            del self.entered[key]
        return self.done[key]

    def _resolved(self, path: Path, name: str) -> Source:
        document, locate = _document(path, name)
        entries = (
            _Entry(target, f"extends[{index}]", locate(("extends", index)) or name)
            for index, target in enumerate(document.extends)
        )
        return resolve(document, name, locate, [self._extended(entry, path.parent) for entry in entries])

    def _extended(self, entry: _Entry, folder: Path) -> Source:
        if len(self.entered) > MAX_EXTENDED:
            entry.refuse(f"more than {MAX_EXTENDED} files extend one another", "put some of them together")
        try:
            return self.read(entry.target, folder, entry)
        except InputError as error:
            if error.place is not None:
                raise
            where = f"{error.where}: " if error.where else ""
            entry.refuse(where + error.what, error.cure or "correct the name")

    def _refuse_cycle(self, key: str, closing: _Entry) -> NoReturn:
        files = list(self.entered)
        steps = [*(self.entered[file] for file in files[files.index(key) + 1 :]), closing]
        chain = "\n".join(f"  {step.place} extends {step.target}" for step in steps if step)
        closing.refuse("a constitution cannot extend itself, by way of others either", "remove one of these", chain)


def _foreign(path: Path) -> Source | None:
    """What a file or folder of another format says; None for what is none. A pipe can be read only once: it is ours."""
    if not os.path.isfile(path) and not os.path.isdir(path):
        return None
    if _is_ours(path):
        return None
    from charter.constitution import formats

    found = formats.foreign(path)
    if found is not None:
        return Source(found.import_(path).constitution, str(path), lambda _: None)
    if os.path.isdir(path):
        cure = f"name a YAML or JSON file, or a folder with {' or '.join(formats.published.PRINCIPLE_FILES)}"
        raise InputError("this folder is not a constitution", where=path, cure=cure)
    return None


def _is_ours(path: Path) -> bool:
    """Has a YAML or JSON file at its top what no other format has there? It spares loading the other formats."""
    suffix = path.suffix.lower()
    if suffix not in (".yaml", ".yml", ".json"):
        return False
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_GLANCE)
        if suffix != ".json":
            return _OURS.search(text) is not None
        data = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return False
    known = isinstance(data, dict) and Document.model_fields.keys() >= data.keys()
    return known and not {"principles", "extends"}.isdisjoint(data)


def _document(path: Path, name: str) -> tuple[Document, Locate]:
    data, locate = read_yaml(path)
    if not isinstance(data, dict):
        what = f"a constitution is a mapping of keys to values, not {_kind(data)}"
        raise InputError(what, where=locate(()) or Place(name, 1, 1, ""), cure=_CURE)
    if not data.get("principles") and not data.get("extends") and Document.model_fields.keys() >= data.keys():
        what = "'principles': the constitution has none" if "principles" in data else "the key 'principles' is missing"
        raise InputError(what, where=locate(("principles",)) or name, cure=_CURE)
    return parse(Document, data, name, locate, expected=_EXPECTED), locate


def _kind(data: Any) -> str:
    return "an empty file" if data is None else "a list" if isinstance(data, list) else "a single value"
