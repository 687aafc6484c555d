"""What a file is, by what is in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from foreign_files import FILES, REAL, write, write_json

from charter.constitution.formats import CERTAIN, FORMATS, by_name, detect, foreign, import_file
from charter.constitution.load import load
from charter.core.errors import InputError


@pytest.mark.parametrize("kind", FILES)
def test_every_format_is_known(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind)
    name = kind.split()[0]
    assert detect(path).name == name
    assert import_file(path) == import_file(path, name)
    found = foreign(path)
    assert (found.name if found else None) == (name if name in CERTAIN else None)


@pytest.mark.parametrize("kind", [k for k in FILES if not k.endswith("mapping") and k != "charter"])
def test_the_file_s_name_does_not_matter(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind)
    assert detect(Path(shutil.move(path, tmp_path / "unnamed"))).name == kind.split()[0]


@pytest.mark.parametrize("kind", FILES)
def test_load_reads_what_is_certain(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind)
    if kind.split()[0] in (*CERTAIN, "charter"):
        assert load(path) == import_file(path).constitution
    else:
        with pytest.raises(InputError):
            load(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("empty.md", ""),
        ("empty.json", "[]"),
        ("number.json", "3"),
        ("other.json", '{"a": 1}'),
        ("broken.json", '{"constitutions": [}'),
        ("rows.jsonl", '{"a": 1}\n{"b": 2}\n'),
        ("code.py", "def f() -> None:\n    return None\n"),
        ("code.txt", "def f() -> None:\n    return None\n"),
        ("short.md", "# Notes\n\nOne sentence only.\n"),
        ("table.md", "| a | b |\n|---|---|\n| c | d |\n"),
        ("other.yaml", "a: 1\n"),
        ("mostly.md", "- one\n- two\n\n" + "There is a good deal of other text here. " * 3),
    ],
)
def test_what_is_not_sure_is_asked(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="the format is not clear") as caught:
        detect(tmp_path / name)
    assert "--format" in str(caught.value.cure)
    assert all(form in str(caught.value.cure) for form in FORMATS)


def test_a_file_of_two_formats_is_asked(tmp_path: Path) -> None:
    path = write_json(tmp_path, {"constitutions": [{"critic": "a", "revision": "b"}], "criteria": ["c"]})
    with pytest.raises(InputError, match="this may be llm-swarm or constitutional-evals"):
        detect(path)
    assert import_file(path, "llm-swarm").constitution.principles[0].critique == "a"


@pytest.mark.parametrize(
    ("name", "words"), [("nowhere.json", "there is no such file"), (".", "the format is not clear")]
)
def test_no_file(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        detect(tmp_path / name)


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(InputError, match="there is no format 'langchian'") as caught:
        by_name("langchian")
    assert "langchain" in str(caught.value.cure)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the real files in ../shared/data")
def test_the_real_files_are_known() -> None:
    files = [path for path in REAL.iterdir() if "schema" not in path.name]
    assert files
    for path in files:
        assert path.name.startswith(detect(path).name)
