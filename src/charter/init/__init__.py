"""`charter init`: the files to start a project from. They stand beside this module as they are written out."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from charter.core import files
from charter.core.errors import InputError

NAMES = ("recipe.yaml", "constitution.yaml", "red_team.jsonl", "helpful.jsonl", "helpful_comparisons.jsonl")


def write(folder: Path) -> list[Path]:
    """Write the files into `folder`, which is made where it is absent. Raises InputError, before anything is written,
    where one of them is there already."""
    if folder.exists() and not folder.is_dir():
        raise InputError("this is a file, not a folder", where=folder, cure="name another folder")
    for name in NAMES:
        if (folder / name).exists():
            raise InputError("the file is there already", where=folder / name, cure="name another folder, or move it")
    try:
        for name in NAMES:
            files.write_text(folder / name, resources.files(__name__).joinpath(name).read_text(encoding="utf-8"))
    except PermissionError as error:
        raise InputError("may not be written", where=folder, cure="name another folder") from error
    return [folder / name for name in NAMES]
