"""What commands have in common: where their result goes, and what they never overwrite."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from charter.core.errors import InputError

PATH = click.Path(path_type=Path)
OUT = click.option("-o", "--output", "out", type=PATH, help="Write to this file, not to standard output.")


def emit(text: str, out: Path | None, inputs: Iterable[str | Path] = ()) -> None:
    """Print the text, or write it to a file, which may be none of the inputs."""
    if out is None:
        click.echo(text)
        return
    writable(out, inputs)
    from charter.core.files import write_text

    write_text(out, text if text.endswith("\n") else text + "\n")


def writable(out: Path, inputs: Iterable[str | Path] = ()) -> None:
    """Raise InputError where `out` is a folder, cannot be made, or is one of the files that are read."""
    if out.is_dir():
        raise InputError("this is a folder", where=out, cure="name a file to write to")
    if out.exists() and any(Path(i).exists() and out.samefile(i) for i in inputs):
        raise InputError("the result would overwrite what was read", where=out, cure="name another file")
    for folder in out.parents:
        if folder.exists() and not folder.is_dir():
            raise InputError("this is a file, not a folder", where=folder, cure="name another place to write to")


def as_json(value: Any) -> str:
    """The value as indented JSON."""
    return json.dumps(value, ensure_ascii=False, indent=2)
