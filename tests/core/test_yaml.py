"""Reading YAML and JSON: values, places, and what is refused; writing YAML."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charter.core.dumping import dump_yaml
from charter.core.errors import InputError, Place
from charter.core.yaml import parse_json, parse_yaml, read_yaml


def refused(path: Path, content: str | bytes) -> InputError:
    """The error for a file of this content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    with pytest.raises(InputError) as caught:
        read_yaml(path)
    assert caught.value.cure
    assert str(caught.value.where).startswith(str(path))
    return caught.value


# values --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("no", "no"), ("on", "on"), ("Yes", "Yes"), ("y", "y"), ("1:30", "1:30"), ("2020-01-01", "2020-01-01")),
        *(("true", True), ("False", False), ("~", None), ("", None), ("null", None), ("nULL", "nULL")),
        *(("12", 12), ("-3", -3), ("0o17", 15), ("0x1F", 31), ("010", 10), ("1_000", "1_000"), ("0b1", "0b1")),
        *(("1.5", 1.5), ("1e-5", 1e-5), (".5", 0.5), ("5.", 5.0), ("-.inf", -math.inf), ("1.2.0", "1.2.0")),
        *(("'12'", "12"), ('"true"', "true"), ("'~'", "~"), ("<<", "<<"), ("=", "="), ("+", "+"), (".", ".")),
        *(("[a, 1, {b: c}]", ["a", 1, {"b": "c"}]), ("{1: a, yes: b}", {"1": "a", "yes": "b"}), ("[]", [])),
        *(("|\n a\n  b\n", "a\n b\n"), (">-\n a\n b\n", "a b"), ("a # b", "a"), ("a#b", "a#b"), ("{}", {})),
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    assert parse_yaml(f"key: {text}", "file")[0] == {"key": value}
    assert type(parse_yaml(f"key: {text}", "file")[0]["key"]) is type(value)


def test_nothing_and_a_comment_are_no_data() -> None:
    for text in ("", "# nothing\n", "---\n", "--- # nothing\n...\n"):
        assert parse_yaml(text, "file")[0] is None
    assert parse_yaml("", "file")[1](()) is None


def test_aliases_repeat_values_that_are_not_shared() -> None:
    data, locate = parse_yaml("a: &x [1, {b: 2}]\nc: *x\nd: &t text\ne: *t\n", "file")
    assert data == {"a": [1, {"b": 2}], "c": [1, {"b": 2}], "d": "text", "e": "text"}
    data["a"][1]["b"] = 3
    assert data["c"][1]["b"] == 2
    assert str(locate(("c",))) == "file:2:1"


def test_windows_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: |\r\n  one\r\n  two\r\nb: 1\r\n")
    data, locate = read_yaml(path)
    assert data == {"a": "one\ntwo\n", "b": 1}
    assert locate(("b",)) == Place(str(path), 4, 1, "b: 1")


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{\n\t"a\\u00e9\\ud83d\\ude00": [1, -2.5e3, "x\\/\\u0007", null, true, {"b": {}}],\n\t"1": []\n}')
    data, locate = read_yaml(path)
    assert data == {"aé😀": [1, -2500.0, "x/\x07", None, True, {"b": {}}], "1": []}
    places = [locate(keys) for keys in (("aé😀", 5, "b"), ("1",), ("zz", 4))]
    assert [(p.line, p.column) for p in places if p] == [(2, 63), (3, 2), (1, 1)]


# places --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "line", "column"),
    [
        ((), 1, 1),
        (("a",), 1, 1),
        (("a", 0), 2, 5),
        (("a", 0, "b"), 2, 5),
        (("a", 0, "c"), 3, 5),
        (("a", 0, "zz"), 2, 5),
        (("a", 0, "b", "deeper", 3), 2, 5),
        (("a", 1), 4, 5),
        (("a", 9), 1, 1),
        (("a", -1), 1, 1),
        (("d", 1), 5, 12),
        (("e", "f"), 6, 13),
    ],
)
def test_places_are_those_of_keys_and_items(keys: tuple[str | int, ...], line: int, column: int) -> None:
    text = "a:\n  - b: 1.5\n    c: 'x'\n  - lone\nd: ['é😀\u2028', two]\n\"e\": {x: 1, f: 2}\n"
    assert parse_yaml(text, "file")[1](keys) == Place("file", line, column, text.split("\n")[line - 1])


def test_a_line_is_shown_with_a_caret() -> None:
    shown = str(InputError("wrong", where=Place("f", 12, 5, "    key: value"), cure="right it"))
    assert shown == "f:12:5: wrong\n   12 |     key: value\n      |     ^\n  cure: right it"


@pytest.mark.parametrize("column", [1, 60, 5000, 9_990, 10_001])
def test_long_lines_are_cut_around_the_column(column: int) -> None:
    text = "".join(chr(97 + i % 26) for i in range(10_000))
    line, caret = Place("f", 1, column, text).show().splitlines()
    assert len(line) < 130
    if column <= len(text):
        assert line[caret.index("^")] == text[column - 1]
        assert text[max(0, column - 20) : column + 20] in line


def test_carets_stand_under_wide_characters_and_tabs() -> None:
    assert Place("f", 1, 4, "日本\tkey").show().splitlines()[1].endswith(" | " + " " * 5 + "^")
    assert Place("f", 1, 3, "e\u0301x").show().splitlines()[1].endswith(" | " + " " + "^")


def test_nothing_that_steers_a_terminal_is_printed() -> None:
    error = InputError("a \x1b[31m key\u2028", where=Place("f", 1, 1, "\x1b[31m\x9b\x07"), cure="\x00")
    assert not [c for c in str(error).replace("\n", "") if not c.isprintable()]


# what is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\nb: 2\n'a': 3\n", "3:1", "'a' stands twice: it is on line 1 already"),
        ("x:\n  - {a: 1, b: 2, a: 3}\n", "2:18", "the key 'a' stands twice: it is on line 2 already"),
        ("a:\n\t- b\n", "2:1", "the line is indented with a tab"),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            "1:4",
            "the tag 'tag:yaml.org,2002:python/object/apply:os.system'",
        ),
        ("a: !!str 1\n", "1:4", "tags are not read"),
        ("a: !mine {b: 1}\n", "1:4", "the tag '!mine'"),
        ("a: ! x\n", "1:4", "the tag '!'"),
        ("a: 1\n---\nb: 2\n", "2:1", "a second document starts here"),
        ("a: 1\n...\nb: 2\n", "3:1", "a second document starts here|did not find expected"),
        ("a: &x [*x]\n", "1:8", "the alias stands inside what it repeats"),
        ("a: *y\n", "1:4", "no anchor '&y'"),
        ("&x a: 1\n*x : 2\n", "2:1", "an alias cannot be a key|no anchor"),
        ("? [a]\n: b\n", "1:3", "a key is a text"),
        ("{a: b}: c\n", "1:1", "a key is a text"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "3:3", "merge keys"),
        ("a: [1\nb: 2\n", "2:2", "not YAML: did not find expected ',' or ']'"),
        ("a: 'x\n", "2:1", "found unexpected end of stream"),
        ("a: b: c\n", "1:5", "mapping values are not allowed"),
        ("a: \x07\n", "1:4", "the control character U+0007"),
        ("a: x\x00\n", "1:5", "U+0000"),
        ("a: \x7f", "1:4", "U+007F"),
        ("a: \x85", "1:4", "U+0085"),
        ("é: \x9b", "1:4", "U+009B"),
        ("a: \ufffe", "1:4", "U+FFFE"),
        ("a: '\\ud800'\nb: \"\\ud800\"", "2:7", "not YAML: "),
        (f"a: {'9' * 101}\n", "1:4", "a number of 101 digits"),
        (f"a: 0x{'f' * 5000}\n", "1:4", "a number of 5,002 digits"),
        ("[" * 101, "1:101", "nested more than 100 deep"),
        ("a:\n" + "".join(" " * i + "b:\n" for i in range(1, 200)), "101:101", "nested more than 100 deep"),
        ("- " * 200, "1:201", "nested more than 100 deep"),
        ("%YAML 1.1\n---\na: @b\n", "3:4", "cannot start any token"),
    ],
)
def test_refused_yaml(tmp_path: Path, text: str, place: str, words: str) -> None:
    error = refused(tmp_path / "a.yaml", text)
    assert error.where == f"{tmp_path / 'a.yaml'}:{place}"
    assert any(part in error.what for part in words.split("|")), error.what
    assert len(str(error)) < 1000


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('{"a": 1, "b": {\n"c": 1, "c": 2}}', "2:9", "the key 'c' stands twice: it is on line 2 already"),
        ('{"a": 1,\n}', "2:1", "not JSON: "),
        ("", "1:1", "an empty file"),
        ("{} {}", "1:4", "not JSON: extra data"),
        ('{"a": "x\x1by"}', "1:9", "U+001B"),
        ('{"a": "x\ty"}', "1:9", "not JSON: invalid control character"),
        ('{"a": "\\\\\\ud800"}', "1:10", "the surrogate \\ud800 stands alone"),
        ('{"a": "\\udc00\\ud800"}', "1:8", "the surrogate \\udc00 stands alone"),
        (f'{{"a": {"9" * 10_000}}}', "1:7", "a number of 10,000 digits"),
        ('["NaN", NaN]', "1:9", "not JSON: NaN"),
        ("[" * 100_000, "1:101", "nested more than 100 deep"),
        ('{"a":' * 100_000, "1:501", "nested more than 100 deep"),
        ("a: 1", "1:1", "not JSON: expecting value"),
    ],
)
def test_refused_json(tmp_path: Path, text: str, place: str, words: str) -> None:
    error = refused(tmp_path / "a.json", text)
    assert error.where == f"{tmp_path / 'a.json'}:{place}"
    assert words in error.what


@pytest.mark.parametrize(
    ("data", "place", "words"),
    [
        ("a: größe".encode("latin-1"), ":1:6", "not UTF-8 text: byte 0xF6"),
        ("\ufeffa: 1\r\nb: ".encode() + b"\xff", ":2:4", "byte 0xFF"),
        ("a: 1".encode("utf-16"), ":1:1", "not UTF-8 but UTF-16"),
        (b"\xfe\xff" + "a: 1".encode("utf-16-be"), ":1:1", "not UTF-8 but UTF-16"),
        ("a: 1".encode("utf-32"), ":1:1", "not UTF-8 but UTF-32"),
        ("a: 1".encode("utf-16-le"), ":1:2", "U+0000"),
        (b"a: \xed\xa0\x80", ":1:4", "byte 0xED"),
        (b"a" * 10_000_001, "", "larger than 10 MB"),
    ],
)
def test_refused_bytes(tmp_path: Path, data: bytes, place: str, words: str) -> None:
    for name in ("a.yaml", "a.json"):
        error = refused(tmp_path / name, data)
        assert error.where == f"{tmp_path / name}{place}"
        assert words in error.what


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml", tmp_path / ("x" * 5000), tmp_path / "a\0b", tmp_path / "a.yaml/b"):
        (tmp_path / "a.yaml").touch()
        with pytest.raises(InputError) as caught:
            read_yaml(path)
        assert caught.value.cure


LAUGHS = "a: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"b{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
TEXTS = f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 5000)}]\n"
DEEP = "a: &a0 [x]\n" + "".join(f"b{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 200))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, "more than 200,000 values, with those that aliases repeat"),
        (TEXTS, "more than 200,000 values"),
        (DEEP, "nested more than 100 deep"),
        ("[" + "a," * 1_000_000 + "]", "more than 200,000 values"),
        ("a: " + "\n\n" * 1_000_000, ""),
        ("a: " + "[" * 3_000_000, "nested"),
        ("- " * 3_000_000, "nested"),
        ("? " * 1_000_000, "nested|key is a text"),
        ("a: '" + "x " * 3_000_000 + "'", ""),
        ('["' + "\\u0041" * 1_000_000 + '"]', ""),
        ("&a " * 500_000, "not YAML"),
        ("a:\n " + "b " * 1_000_000 + ": c", "not YAML"),
    ],
)
def test_bombs_are_refused_at_once(text: str, words: str) -> None:
    start = time.process_time()
    try:
        parse_yaml(text, "bomb")
        assert not words
    except InputError as error:
        assert any(part in error.what for part in words.split("|")), error.what  # noqa: PT017
    assert time.process_time() - start < 4  # about half a second; what is guarded against never ends


def test_two_hundred_principles_are_read_in_no_time() -> None:
    principles = [
        {"id": f"p{i}", "critique": "some words of it " * 20, "revision": "more words " * 20, "tags": ["a", "b"]}
        for i in range(200)
    ]
    text = dump_yaml({"name": "large", "principles": [p | {"comparison": "which one? " * 25} for p in principles]})
    assert len(text) > 150_000
    times = []
    for _ in range(3):
        start = time.process_time()
        parse_yaml(text, "large")
        times.append(time.process_time() - start)
    assert min(times) < 0.1


# writing -------------------------------------------------------------------------------------------------------------

ODD = [
    "yes",
    "no",
    "~",
    "null",
    "1.0",
    "1e5",
    "0o17",
    "0x1F",
    "1:30",
    "2020-01-01",
    "=",
    "<<",
    ".inf",
    "- a",
    "# b",
    "a: b",
]
TEXT = (
    st.sampled_from(ODD)
    | st.text(max_size=40)
    | st.text("ab \n\t\r\x85\u2028\u00a0\ufeff:#'\"-{}[]|>&*!%@`,?😀", max_size=80)
)
SCALAR = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | TEXT
TREE = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))


@given(TREE)
@example({"a": [{"b": "\n\nHuman: x\n  y\n"}], "long": "word " * 100 + "\n" + "word: # " * 50})
@example({"a": "\n\n  x\n\n y\n\n\n", "b": [["\nx\ny"]], "": " ", " ": "\n", "c": "a\n b\n\n\n"})
@example({"a": {"b": {"c": "x\n\n  y " + "z" * 200}}, "d": ["x" * 300 + "\n"]})
def test_what_is_dumped_reads_as_it_was(data: Any) -> None:
    assert parse_yaml(dump_yaml(data), "file")[0] == data


def test_dumps_are_readable() -> None:
    data = {"name": "x", "list": [{"id": "1", "text": "one\ntwo\n"}, {"flag": True}], "shots": ["\n\nHuman: hi\n\nAI:"]}
    assert dump_yaml(data) == (
        "name: x\nlist:\n  - id: '1'\n    text: |\n      one\n      two\n  - flag: true\n"
        "shots:\n  - |2-\n\n\n    Human: hi\n\n    AI:\n"
    )
    assert max(len(line) for line in dump_yaml({"a": "many words " * 50}).splitlines()) <= 120


@given(TREE)
def test_json_agrees_with_the_standard_reader(data: Any) -> None:
    text = json.dumps({"a": data}, indent=1)
    if "Infinity" not in text:
        assert parse_json(text, "file")[0] == json.loads(text)
