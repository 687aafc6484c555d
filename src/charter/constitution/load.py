"""Reading and writing constitutions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from charter.constitution import importers, library
from charter.constitution.schema import Constitution
from charter.core.config import LIBRARY, parse, read_yaml
from charter.core.errors import InputError
from charter.core.files import write_text
from charter.core.yaml import Keys, Locate, parse_yaml

_CURE = "write `principles:`, a list of at least one entry with `id`, `critique` and `revision`, or `comparison`"


def load(source: str | Path) -> Constitution:
    """A constitution from a YAML or JSON file, from the library (`library:NAME`), or from the files that the authors of
    Constitutional AI published (their folder, or one file of principles).

    Raises InputError: file and line, the dotted field, and the cure.
    """
    if str(source).startswith(LIBRARY):
        return _read(library.path(str(source).removeprefix(LIBRARY)))
    path = Path(source)
    if importers.is_published(path):
        return importers.import_published(path)
    if path.is_dir():
        cure = f"name a YAML or JSON file, or a folder with {' or '.join(importers.PRINCIPLE_FILES)}"
        raise InputError("this folder is not a constitution", where=path, cure=cure)
    if not path.exists() and str(source) in library.names():
        raise InputError("there is no such file", where=path, cure=f"did you mean {LIBRARY}{source}?")
    return _read(path)


def dump(constitution: Constitution, path: Path) -> None:
    """Write a constitution as YAML, all defaults written out, whole or not at all; `load` gives it back as it was."""
    write_text(path, f"# hash: {constitution.hash}\n{dumps(constitution)}")


def dumps(constitution: Constitution) -> str:
    """The constitution as YAML."""
    import io

    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 120
    stream = io.StringIO()
    yaml.dump(_quoted(constitution.model_dump(mode="json", exclude_none=True)), stream)
    return stream.getvalue()


def _quoted(value: Any) -> Any:
    """Texts with line breaks of any kind or control characters in double quotes, where YAML keeps them as they are."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, dict):
        return {key: _quoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    return DoubleQuotedScalarString(value) if isinstance(value, str) and not value.isprintable() else value


def _read(path: Path) -> Constitution:
    data, locate = read_yaml(path)
    if not isinstance(data, dict):
        raise InputError(f"a constitution is a mapping of keys to values, not {_kind(data)}", where=path, cure=_CURE)
    if "principles" in data and not data["principles"]:
        place = locate(("principles",))
        where = str(path) if place is None else f"{path}:{place}"
        raise InputError("'principles': the constitution has none", where=where, cure=_CURE)
    return parse(Constitution, data, path, _lines_of_json(path, locate) if path.suffix == ".json" else locate)


def _lines_of_json(path: Path, unknown: Locate) -> Locate:
    """Lines for a JSON file, which is YAML as well unless it is indented with tabs."""

    def locate(keys: Keys) -> int | None:
        try:
            return parse_yaml(path.read_text(encoding="utf-8-sig"), str(path))[1](keys)
        except InputError:
            return unknown(keys)

    return locate


def _kind(data: object) -> str:
    return "an empty file" if data is None else "a list" if isinstance(data, list) else "a single value"
