"""YAML and JSON files as plain data, with the line that each value stands on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from charter.core.errors import InputError

Keys = tuple[str | int, ...]
Locate = Callable[[Keys], int | None]
"""The line (from 1) of a field, or of the nearest thing around it that the file has; None where lines are unknown."""


def read_yaml(path: Path) -> tuple[Any, Locate]:
    """The data of a YAML (or JSON) file, and a function from keys to lines. Raises InputError for what cannot be read:
    a missing file, another encoding than UTF-8, tabs, duplicate keys, any other fault, naming the line."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise InputError("there is no such file", where=path, cure="check the path") from error
    except IsADirectoryError as error:
        raise InputError("this is a folder, not a file", where=path, cure="name the file in it") from error
    except PermissionError as error:
        raise InputError("the file may not be read", where=path, cure="change its permissions") from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise InputError("the file is not UTF-8 text", where=f"{path}:{line}", cure="save it as UTF-8") from error
    if path.suffix == ".json":
        return _parse_json(text, str(path)), lambda _: None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> tuple[Any, Locate]:
    """Like `read_yaml`, from text; `where` stands for the file's name in messages."""
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    yaml = YAML(typ="rt", pure=True)
    try:
        loaded = yaml.load(text)
    except DuplicateKeyError as error:
        key = str(error.problem).split('"')[1] if '"' in str(error.problem) else "?"
        raise InputError(
            f"the key '{key}' stands twice", where=_line(where, error.problem_mark), cure="keep one of them"
        ) from error
    except MarkedYAMLError as error:
        raise _fault(text, where, error) from error
    except (YAMLError, ValueError) as error:
        raise InputError(f"not YAML: {str(error).splitlines()[0]}", where=where, cure="correct the file") from error

    def locate(keys: Keys) -> int | None:
        return _locate(loaded, keys)

    return plain(loaded), locate


def _fault(text: str, where: str, error: Any) -> InputError:
    mark = error.problem_mark or error.context_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    if line[: len(line) - len(line.lstrip())].count("\t"):
        return InputError("the line is indented with a tab", where=_line(where, mark), cure="indent with spaces")
    problem = error.problem or error.context or "not YAML"
    return InputError(f"not YAML: {problem}", where=_line(where, mark), cure="correct this line or the one above it")


def _line(where: str, mark: Any) -> str:
    return where if mark is None or where.startswith("override") else f"{where}:{mark.line + 1}"


def _locate(loaded: Any, keys: Keys) -> int | None:
    """Walk down as far as the file goes and remember the last line."""
    line: int | None = None
    for key in keys:
        marks = getattr(getattr(loaded, "lc", None), "data", None) or {}
        if key not in marks:
            break
        line = marks[key][0] + 1
        loaded = loaded[key]
    return line


def plain(value: Any) -> Any:
    """ruamel's subclasses as the built-in types they stand for."""
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value if value is None else str(value)


def _parse_json(text: str, where: str) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in items:
            if key in data:
                raise InputError(f"the key '{key}' stands twice", where=where, cure="keep one of them")
            data[key] = value
        return data

    try:
        return json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}", where=f"{where}:{error.lineno}", cure="correct this line") from error
