"""Reading YAML and JSON files as plain data, with the place that each value stands at.

Nothing is ever constructed by a tag, and what could do harm is refused: tags, several documents in a file, control
characters, and what is too large or too deep. Plain scalars are resolved by the core schema of YAML 1.2, so that `yes`,
`on`, `1:30` and dates are texts. Keys are texts as they are written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from charter.core.errors import InputError, Place
from charter.core.trees import MAX_DEPTH, Builder, Keys, Node, TextFile, shorten

__all__ = ["Keys", "Locate", "Place", "parse_json", "parse_yaml", "read_text", "read_yaml"]

Locate = Callable[[Keys], Place | None]
"""Where a field stands (its key, or the list's item), or the nearest thing around it that the file has; None where
places are unknown."""

MAX_BYTES = 10_000_000
MAX_DIGITS = 100

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|[^\s\[\]{}:,"]+')
_JSON_ESCAPE = re.compile(r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}|u([dD][89a-fA-F])|.)")
_ENCODINGS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_UTF8 = "save the file as UTF-8"


def read_yaml(path: Path) -> tuple[Any, Locate]:
    """The data of a YAML (or JSON) file, and a function from keys to places. Raises InputError for what cannot be read:
    a missing file, another encoding than UTF-8, tabs, duplicate keys, any other fault, naming the place."""
    text = read_text(path)
    return parse_json(text, str(path)) if path.suffix.lower() == ".json" else parse_yaml(text, str(path))


def read_text(path: Path) -> str:
    """The text of a file, with line feeds for line ends and no byte order mark. Raises InputError for one that
    cannot be read, is larger than 10 MB, is not UTF-8, or holds control characters."""
    data = _bytes(path).removeprefix(b"\xef\xbb\xbf")
    for mark, encoding in _ENCODINGS.items():
        if data.startswith(mark):
            raise InputError(f"the file is not UTF-8 but {encoding}", where=Place(str(path), 1, 1, ""), cure=_UTF8)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        whole = TextFile(str(path), _lines(before + data[error.start :].decode("utf-8", "replace")))
        index = len(_lines(before))
        whole.refuse(f"the file is not UTF-8 text: byte 0x{data[error.start]:02X} here", index, _UTF8)
    text = _lines(text)
    refuse_control(TextFile(str(path), text))
    return text


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise InputError("there is no such file", where=path, cure="check the path") from error
    except IsADirectoryError as error:
        raise InputError("this is a folder, not a file", where=path, cure="name the file in it") from error
    except PermissionError as error:
        raise InputError("the file may not be read", where=path, cure="change its permissions") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"the file cannot be read: {reason}", where=shorten(str(path)), cure="check the path"
        ) from error
    if len(data) > MAX_BYTES:
        raise InputError("the file is larger than 10 MB", where=path, cure="split it, or name another file")
    return data


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def refuse_control(file: TextFile) -> None:
    """Raise InputError for characters that no text should hold."""
    found = _CONTROL.search(file.text)
    if found is None:
        return
    hint = "save the file as UTF-8 text" if found.group() == "\0" else "remove it"
    file.refuse(f"the control character U+{ord(found.group()):04X} does not belong in a text", found.start(), hint)


# YAML ----------------------------------------------------------------------------------------------------------------


def parse_yaml(text: str, where: str) -> tuple[Any, Locate]:
    """Like `read_yaml`, from text; `where` stands for the file's name in messages."""
    file = TextFile(where, text)
    refuse_control(file)
    return _plain(file, _compose(file))


def _plain(file: TextFile, root: Node | None) -> tuple[Any, Locate]:
    def locate(keys: Keys) -> Place | None:
        return None if root is None else file.place(root.locate(keys))

    return None if root is None else root.data(), locate


def _compose(file: TextFile) -> Node | None:
    import yaml

    builder, documents = Builder(file), 0
    events: Iterable[Any] = yaml.parse(file.text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    try:
        for event in events:
            index = event.start_mark.index
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    cure = "keep one document in a file; remove `---` where it only separates"
                    file.refuse("a second document starts here", index, cure)
            else:
                _take(event, index, builder)
    except yaml.YAMLError as error:
        _fault(file, error)
    return builder.root


def _take(event: Any, index: int, builder: Builder) -> None:
    """Hand one of the parser's events to the builder."""
    from yaml import events

    anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
    if isinstance(event, events.AliasEvent):
        builder.alias(str(anchor), index)
    elif isinstance(event, events.CollectionEndEvent):
        builder.end()
    elif isinstance(event, events.NodeEvent):
        if tag is not None:
            builder.file.refuse(
                f"the tag '{shorten(tag)}': tags are not read", index, "remove it; quote what is a text"
            )
        if isinstance(event, events.ScalarEvent):
            _take_scalar(event, index, builder)
        else:
            builder.start([] if isinstance(event, events.SequenceStartEvent) else {}, index, anchor)


def _take_scalar(event: Any, index: int, builder: Builder) -> None:
    if builder.wants_key:
        if event.value == "<<" and event.implicit[0]:
            builder.file.refuse("merge keys (`<<`) are not read: YAML 1.2 has none", index, "write the keys out")
        builder.key(event.value, index)
    else:
        value = _resolve(event.value, index, builder.file) if event.implicit[0] else event.value
        builder.scalar(value, index, event.anchor)


def _resolve(text: str, index: int, file: TextFile) -> Any:
    """A plain scalar by the core schema of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text, index, file)
    return float(text) if _FLOAT.fullmatch(text) else text


def _integer(text: str, index: int, file: TextFile) -> int:
    if len(text) > MAX_DIGITS:
        file.refuse(f"a number of {len(text):,} digits", index, "write a smaller number, or put quotes around a text")
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _fault(file: TextFile, error: Any) -> NoReturn:
    """Say in plain words what the parser found."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    index = min(mark.index if mark else getattr(error, "position", 0), len(file.text))
    line = file.place(index).text
    if "\t" in line[: len(line) - len(line.lstrip())]:
        file.refuse("the line is indented with a tab", index, "indent with spaces")
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    begun = getattr(error, "context_mark", None)
    if begun and begun.index < index and error.context:
        problem += f" {error.context} that starts on line {file.place(begun.index).line}"
    file.refuse(
        f"not YAML: {problem}", index, "correct this line or the one above it; quote a text with `: ` or ` #` in it"
    )


# JSON ----------------------------------------------------------------------------------------------------------------


def parse_json(text: str, where: str) -> tuple[Any, Locate]:
    """Like `read_yaml`, from the text of a JSON file."""
    file = TextFile(where, text)
    refuse_control(file)
    _check_depth(file)
    try:
        json.loads(text, parse_int=str)
    except json.JSONDecodeError as error:
        what = "an empty file" if not text.strip() else f"not JSON: {error.msg[0].lower()}{error.msg[1:]}"
        file.refuse(what, error.pos, "correct this line or the one above it")
    _refuse_surrogates(file)
    builder = Builder(file)
    for token in _JSON_TOKEN.finditer(text):
        _take_piece(token.group(), token.start(), builder)
    return _plain(file, builder.root)


def _check_depth(file: TextFile) -> None:
    depth = 0
    for token in _JSON_TOKEN.finditer(file.text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.group(), 0)
        if depth > MAX_DEPTH:
            file.refuse(f"nested more than {MAX_DEPTH} deep", token.start(), "nest less")


def _refuse_surrogates(file: TextFile) -> None:
    for escape in _JSON_ESCAPE.finditer(file.text):
        if escape.group(2):
            what = f"the surrogate {file.text[escape.start() : escape.start() + 6]} stands alone: it is no character"
            file.refuse(what, escape.start(), "remove it, or write its pair")


def _take_piece(piece: str, index: int, builder: Builder) -> None:
    if piece in "{[":
        builder.start({} if piece == "{" else [], index)
    elif piece in "}]":
        builder.end()
    elif builder.wants_key:
        builder.key(json.loads(piece), index)
    elif piece in ("NaN", "Infinity", "-Infinity"):
        builder.file.refuse(f"not JSON: {piece}", index, "write a number, or a text in quotes")
    elif piece.lstrip("-").isdigit():
        builder.scalar(_integer(piece, index, builder.file), index)
    else:
        builder.scalar(json.loads(piece), index)
