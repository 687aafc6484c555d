"""Files that are either whole or not there, and the one message for a full disk."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from charter.core.errors import WorkError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FULL_TEXTS = ("No space left on device", "Disk quota exceeded")


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; at the end its bytes are forced to the disk and it takes `path`'s
    place. After an error nothing is left of it and `path` is as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sync(path: Path) -> None:
    """Force a file or folder (with all in it) to the disk."""
    for child in sorted(path.iterdir()) if path.is_dir() and not path.is_symlink() else ():
        if child.is_file():
            _fsync(child)
        elif child.is_dir():
            sync(child)
    _fsync(path)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move_into_place(made: Path, final: Path, trash: Path) -> None:
    """Give `made` (a file or a folder) the name `final`. What stood there is removed afterwards, by way of `trash`."""
    sync(made)
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.is_dir():
        trash.parent.mkdir(parents=True, exist_ok=True)
        remove(trash)
        os.replace(final, trash)
    os.replace(made, final)
    sync_folder(final.parent)
    remove(trash)


def sync_folder(path: Path) -> None:
    """Force a folder's own entries to the disk, so that a rename survives a power cut."""
    _fsync(path)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """A hard link, or a copy where the file system has none. Charter never writes into a finished file."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def clone(source: Path, target: Path) -> None:
    """The same file or folder again, without its bytes where possible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=link_or_copy)
    else:
        link_or_copy(source, target)


def is_full_disk(error: BaseException | None) -> bool:
    """Did this error, or one behind it, come from a full disk or quota? Libraries wrap it in their own types."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if any(text in str(error) for text in _FULL_TEXTS):
            return True
        error = error.__cause__ or error.__context__
    return False


def full_disk(path: Path) -> WorkError:
    """The error to raise for a full disk."""
    return WorkError(
        "the disk is full (or the quota is used up)",
        where=path,
        cure="free some space and run the same command again: finished stages are kept, nothing half-written is left",
    )
