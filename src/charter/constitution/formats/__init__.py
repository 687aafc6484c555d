"""Other formats in which constitutions are written down: one small file each, and one dict.

A format says whether a file looks like it, reads a file as a constitution with notes on what was not taken over, and
writes a constitution with a list of what it has no place for.
"""

from __future__ import annotations

from pathlib import Path

from charter.constitution.formats import (
    constitutional_evals,
    langchain,
    lists,
    llm_swarm,
    open_character,
    own,
    prose,
    published,
)
from charter.constitution.formats.base import Exported, Format, Imported
from charter.constitution.formats.given import Given
from charter.constitution.schema import Constitution
from charter.core.errors import InputError

__all__ = ["FORMATS", "Exported", "Format", "Imported", "by_name", "detect", "export", "foreign", "import_file"]

_MODULES = (own, published, llm_swarm, constitutional_evals, open_character, langchain, lists, prose)

FORMATS: dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in _MODULES}

CERTAIN = ("published", "llm-swarm", "constitutional-evals", "open-character", "langchain")
"""The formats of others that cannot be taken for anything else: `load` reads them without being told."""


def detect(path: Path) -> Format:
    """What a file or folder is, by what is in it. Raises InputError where no format fits, or several do."""
    given = Given.at(path)
    found = [form for form in FORMATS.values() if form.detect(given)]
    if len(found) != 1:
        names = ", ".join(FORMATS)
        what = f"this may be {' or '.join(form.name for form in found)}" if found else "the format is not clear"
        raise InputError(what, where=path, cure=f"say what it is with --format: {names}")
    return found[0]


def foreign(path: Path) -> Format | None:
    """The format of a file or folder that is certainly somebody else's, or None. Broken and absent files are None."""
    try:
        given = Given.at(path)
    except InputError:
        return FORMATS["published"] if path.name in published.FILES and path.is_file() else None
    return next((FORMATS[name] for name in CERTAIN if FORMATS[name].detect(given)), None)


def by_name(name: str) -> Format:
    """A format. Raises InputError for a name that is none."""
    from charter.core.validation import did_you_mean

    if name not in FORMATS:
        cure = did_you_mean(name, sorted(FORMATS)).replace("the keys are", "the formats are")
        raise InputError(f"there is no format '{name}'", cure=cure)
    return FORMATS[name]


def import_file(path: Path, format: str | None = None) -> Imported:  # noqa: A002
    """Read a file or folder of another format. Raises InputError: file, line, column, field, and the cure."""
    return (detect(path) if format is None else by_name(format)).import_(path)


def export(constitution: Constitution, format: str, folder: Path, force: bool = False) -> Exported:  # noqa: A002
    """Write a constitution into a folder, in another format. Raises InputError where a file would be overwritten,
    unless `force`, and where nothing of the constitution has a place in the format."""
    return by_name(format).export(constitution, folder, force)
