"""What a format is, what reading and writing one gives, and what all of them share."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charter.constitution.formats.given import Given
from charter.constitution.schema import Constitution, Principle
from charter.core.errors import InputError, Place

MOST = 5_000
"""So many principles are read from another format."""

IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Imported:
    """A constitution from another format."""

    constitution: Constitution
    notes: tuple[str, ...] = ()
    """One line for everything that was not taken over, or was changed."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A constitution as another format's files."""

    files: dict[str, str]
    """The text of each file, by name."""
    order: tuple[str, ...]
    """The ids of the principles in the order in which they would be read back."""
    left_out: tuple[str, ...] = ()
    """One line for each reason why principles are not in it."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    paths: tuple[Path, ...]
    lost: tuple[str, ...] = ()
    """One line for everything that the format has no place for."""


@dataclass(frozen=True, slots=True)
class Format:
    """A way in which constitutions are written down."""

    name: str
    about: str
    """What it is, in a few words."""
    detect: Callable[[Given], bool]
    """Does this look like it?"""
    read: Callable[[Given], Imported]
    """Raises InputError with the place."""
    render: Callable[[Constitution], Rendered] | None
    """Raises InputError where nothing of the constitution has a place in it. None: the format can be read only."""

    def import_(self, path: Path) -> Imported:
        """Read a file or folder. Raises InputError: file, line, column, field, and the cure."""
        return self.read(Given.at(path))

    def export(self, constitution: Constitution, folder: Path, force: bool = False) -> Exported:
        """Write a constitution into a folder. Raises InputError where a file would be overwritten, unless `force`, and
        where nothing of the constitution has a place in the format."""
        from charter.constitution.formats.writing import write

        return write(self, constitution, folder, force)


def build(principles: Sequence[tuple[Place | str, dict[str, Any]]], **head: Any) -> Constitution:
    """A constitution from the data of its principles, each with its place for messages. Raises InputError."""
    from pydantic import ValidationError

    if len(principles) > MOST:
        what = f"{len(principles):,} principles are more than a constitution can use; {MOST:,} are read"
        raise InputError(what, where=principles[MOST][0], cure="split the file, or say what it is with --format")
    try:
        return Constitution.model_validate({**head, "principles": [data for _, data in principles]})
    except ValidationError as error:
        problem = error.errors()[0]
        keys = problem["loc"]
        inside = keys[:1] == ("principles",) and len(keys) > 1
        where = principles[int(keys[1])][0] if inside else principles[0][0] if principles else None
        field = ".".join(map(str, keys[2:] if inside else keys))
        message = problem["msg"][:1].lower() + problem["msg"][1:]
        raise InputError(f"'{field}': {message}" if field else message, where=where, cure="correct it there") from error


def slug(text: str, words: int = 8, otherwise: str = "principle") -> str:
    """Up to so many words of a text as an id: lower case, ASCII, hyphens."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower().replace("'", "")
    found = re.findall(r"[a-z0-9]+", plain)[:words]
    return "-".join(found)[:60].strip("-") or otherwise


def stem(name: str) -> str:
    """A constitution's name as a file's, without the ending: unchanged where it can be."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:80].strip("-.") or "constitution"


def distinct(ids: Iterable[str]) -> list[str]:
    """The same ids with -2, -3, ... where one comes again."""
    last: dict[str, int] = {}
    found = []
    for wanted in ids:
        name = wanted
        while name in last:
            last[wanted] += 1
            name = f"{wanted[:90]}-{last[wanted]}"
        last[name] = 1
        found.append(name)
    return found


def count(number: int, thing: str) -> str:
    """`1 thing`, `2 things`."""
    plural = thing if number == 1 else thing[:-1] + "ies" if thing.endswith("y") else thing + "s"
    return f"{number} {plural}"


def some(names: Sequence[str], most: int = 4) -> str:
    """The first few names."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def nothing_fits(constitution: Constitution, name: str, needs: str) -> InputError:
    """The error for a constitution none of whose principles has a place in a format."""
    return InputError(
        f"no principle of '{constitution.name}' has a place in the format '{name}': it needs {needs}",
        cure="choose another format; `charter` holds everything",
    )


def living(constitution: Constitution) -> tuple[list[Principle], tuple[str, ...]]:
    """The principles that are not retired, and a line about the others: a format that has no place for the status must
    not bring them back to life."""
    retired = [p.id for p in constitution.principles if p.status == "retired"]
    lines = (f"{count(len(retired), 'retired principle')}: not written ({some(retired)})",) if retired else ()
    return [p for p in constitution.principles if p.status != "retired"], lines


def without(principles: Sequence[Principle], reason: str) -> tuple[str, ...]:
    """A line about principles that a format has no place for."""
    if not principles:
        return ()
    have = "has" if len(principles) == 1 else "have"
    ids = some([p.id for p in principles])
    return (f"{count(len(principles), 'principle')} {have} {reason}: not written ({ids})",)
