"""Import, export, import: what has a place comes back, and what has none is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from foreign_files import FILES, REAL, write

from charter.constitution import library
from charter.constitution.formats import FORMATS, Exported, detect, export, import_file
from charter.constitution.load import load
from charter.constitution.schema import Category, ComparisonShot, Constitution, FewShot, Principle, Sampling
from charter.core.errors import InputError

WRITTEN = [name for name, form in FORMATS.items() if form.render]


def read_back(name: str, exported: Exported) -> Constitution:
    path = exported.paths[0] if len(exported.paths) == 1 else exported.paths[0].parent
    assert detect(path).name == name
    return import_file(path).constitution


@pytest.mark.parametrize("kind", [kind for kind in FILES if kind.split()[0] in WRITTEN])
def test_import_export_import(tmp_path: Path, kind: str) -> None:
    name = kind.split()[0]
    before = import_file(write(tmp_path, kind)).constitution
    exported = export(before, name, tmp_path / "out")
    after = read_back(name, exported)
    assert exported.lost == ()
    assert after.hash == before.hash
    assert [p.id for p in after.principles] == [p.id for p in before.principles]


@pytest.mark.skipif(not REAL.is_dir(), reason="needs the real files in ../shared/data")
def test_the_real_files_come_back(tmp_path: Path) -> None:
    for path in REAL.iterdir():
        if "schema" not in path.name:
            before, name = load(path), detect(path).name
            exported = export(before, name, tmp_path / path.name)
            assert exported.lost == (), path
            assert read_back(name, exported).hash == before.hash


@pytest.mark.parametrize("source", library.names())
@pytest.mark.parametrize("name", WRITTEN)
def test_the_library_in_every_format(tmp_path: Path, source: str, name: str) -> None:
    before = load(f"library:{source}")
    exported = export(before, name, tmp_path)
    assert exported.paths
    assert exported.lost or read_back(name, exported).hash == before.hash
    assert (name == "charter") == (not exported.lost)


FULL = Constitution(
    name="full",
    version="1.2.3-beta",
    description="All that a constitution can say.",
    authors=("A",),
    licence="MIT",
    sources=("B",),
    dimensions=("calm",),
    categories=(Category(id="sea", title="At sea", tier=2, weight=3.0), Category(id="shore")),
    few_shot=FewShot(
        critique_revision=("\n\nHuman: q\n\nHuman:",),
        comparison=(ComparisonShot(prompt="p", chosen="a", rejected="b"),),
        chain_of_thought=("{}",),
    ),
    sampling=Sampling(strategy="weight", without_replacement=False),
    lint_ignore={"X1": "why not"},
    principles=(
        Principle(
            id="all",
            category="sea",
            severity="high",
            weight=2.0,
            critique="What is wrong?",
            revision="Put it right.",
            comparison="Which answer is right?",
            rationale="Because.",
            sources=("C",),
            tags=("calm",),
            status="reviewed",
            reviewers=("D",),
            few_shot=FewShot(critique_revision=("own",)),
            lint_ignore={"X2": "why"},
        ),
        Principle(id="compares", comparison="Which response is\nshorter?"),
        Principle(id="revises", revision="Make it shorter."),
        Principle(id="old", comparison="Which answer is older?", status="retired"),
    ),
)
"""Which fields each format loses."""
LOSES = {
    "charter": set(),
    "published": set(Principle.model_fields) - {"id", "critique", "revision", "comparison"}
    | {"id", *Constitution.model_fields} - {"principles", "few_shot"},
    "llm-swarm": set(Principle.model_fields) - {"critique", "revision"}
    | set(Constitution.model_fields) - {"principles", "name"},
    "langchain": set(Principle.model_fields) - {"id", "critique", "revision"}
    | set(Constitution.model_fields) - {"principles", "name"},
    "constitutional-evals": set(Principle.model_fields) - {"comparison"}
    | set(Constitution.model_fields) - {"principles", "name", "authors", "licence", "description"},
    "open-character": set(Principle.model_fields) | set(Constitution.model_fields) - {"principles", "name"},
    "list": set(Principle.model_fields) - {"category"} | set(Constitution.model_fields) - {"principles", "name"},
}


@pytest.mark.parametrize("name", WRITTEN)
def test_everything_that_is_lost_is_named(tmp_path: Path, name: str) -> None:
    lost = export(FULL, name, tmp_path).lost
    named = {found[1] for line in lost if (found := re.match(r"`(\w+)`", line))}
    assert named == LOSES[name]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("llm-swarm", ["1 principle has only a comparison: not written (compares)"]),
        ("llm-swarm", ["1 principle has a revision without a critique: not written (revises)"]),
        (
            "langchain",
            ["1 principle has only a comparison: not written (compares)", "`weight` of 1 principle (all: 2 becomes 1)"],
        ),
        ("constitutional-evals", ["1 principle has no comparison: not written (revises)"]),
        ("constitutional-evals", ["`version`: '1.2.3-beta' becomes '1.2.3'"]),
        ("published", ["1 principle in two parts: the format keeps comparisons apart (all)"]),
        ("published", ["`severity` of 1 principle (all: 'high' becomes 'medium')", "`sampling` comes back changed"]),
        ("list", ["1 retired principle: not written (old)", "`few_shot` has no place"]),
        ("open-character", ["the wordings of 3 principles: one of them is quoted in a trait made for it"]),
    ],
)
def test_what_is_lost_is_said_plainly(tmp_path: Path, name: str, lines: list[str]) -> None:
    lost = export(FULL, name, tmp_path).lost
    for line in lines:
        assert line in lost


@pytest.mark.parametrize(
    ("name", "principle"),
    [
        ("llm-swarm", Principle(id="a", comparison="Which?")),
        ("langchain", Principle(id="a", revision="Do.")),
        ("constitutional-evals", Principle(id="a", revision="Do.")),
        ("list", Principle(id="a", revision="Do.")),
        ("published", Principle(id="a", revision="Do.")),
        ("list", Principle(id="a", comparison="Which?", status="retired")),
    ],
)
def test_where_nothing_fits_nothing_is_written(tmp_path: Path, name: str, principle: Principle) -> None:
    with pytest.raises(InputError, match="has a place in the format"):
        export(Constitution(name="c", principles=(principle,)), name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", WRITTEN)
def test_nothing_is_overwritten_unasked(tmp_path: Path, name: str) -> None:
    paths = export(FULL, name, tmp_path).paths
    paths[-1].write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="the file is there already") as caught:
        export(FULL, name, tmp_path)
    assert "--force" in str(caught.value.cure)
    assert paths[-1].read_text(encoding="utf-8") == "mine"
    assert export(FULL, name, tmp_path, force=True).paths == paths
    assert paths[-1].read_text(encoding="utf-8") != "mine"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(InputError, match="this is a file, not a folder"):
        export(FULL, "list", tmp_path / "out")


def test_prose_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can be read but not written"):
        export(FULL, "prose", tmp_path)


@pytest.mark.parametrize(
    "text", ["- -", "---", "# x", "|---|", "<!-- x -->", "``` x", "{#x}", "a: b", "1. x", "> x", "[x] y"]
)
@pytest.mark.parametrize("name", WRITTEN)
def test_odd_texts_come_back_or_are_named(tmp_path: Path, name: str, text: str) -> None:
    principles = tuple(
        Principle(id=f"p{index}", critique=worded, revision=worded, comparison=worded)
        for index, worded in enumerate(("first", text, "a | b", text, "last"))
    )
    before = Constitution(name=text, principles=principles)
    try:
        exported = export(before, name, tmp_path)
    except InputError as error:
        words = error.what
    else:
        words = ""
        assert exported.lost or read_back(name, exported).hash == before.hash
    assert not words or "cannot be told apart" in words
