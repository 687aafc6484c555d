"""Constitutions made of others: what is taken over, what is changed, and what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from charter.constitution.load import Source, dumps, load, read
from charter.constitution.schema import Constitution
from charter.core.errors import InputError

BASE = """\
name: base
version: 2.0.0
description: The base.
categories:
  - {id: safety, tier: 1, weight: 2.0}
  - {id: style, tier: 2}
principles:
  - id: harm
    category: safety
    severity: high
    critique: Look for harm.
    revision: Take it out.
    tags: [a]
  - id: short
    category: style
    comparison: Which is shorter?
few_shot:
  critique_revision: [one, two]
sampling: {strategy: weight}
"""

OTHER = """\
name: other
categories:
  - {id: manners}
principles:
  - id: polite
    category: manners
    comparison: Which is more polite?
few_shot:
  critique_revision: [two, three]
  comparison: [{prompt: p, chosen: c, rejected: r}]
sampling: {strategy: category_weight}
"""

CHILD = """\
name: child
extends: [base.yaml, other.yaml]
remove: [short]
overrides:
  - id: harm
    severity: null
    revision: Take it out and say why.
    tags: [b, c]
categories:
  - {id: safety, weight: 5}
  - {id: own, tier: 3}
principles:
  - id: mine
    category: own
    comparison: Which is mine?
few_shot:
  critique_revision: [four, one]
"""


def files(folder: Path, **texts: str) -> Path:
    """Write NAME.yaml for each; the path of the last."""
    for name, text in {"base": BASE, "other": OTHER, **texts}.items():
        path = folder / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        load(path)
    assert caught.value.cure
    return caught.value


def extending(*lines: str) -> str:
    return "\n".join(("name: child", "extends: [base.yaml, other.yaml]", *lines)) + "\n"


# what comes out ------------------------------------------------------------------------------------------------------


def test_a_file_and_what_it_extends_are_one_constitution(tmp_path: Path) -> None:
    c = load(files(tmp_path, child=CHILD))
    assert (c.name, c.version, c.description) == ("child", "1.0.0", None)
    assert [(x.id, x.weight) for x in c.categories] == [("safety", 5), ("own", 1), ("style", 1), ("manners", 1)]
    assert [p.id for p in c.principles] == ["harm", "polite", "mine"]
    harm = c.principles[0]
    assert (harm.severity, harm.critique, harm.revision) == ("medium", "Look for harm.", "Take it out and say why.")
    assert harm.tags == ("b", "c")
    assert c.few_shot.critique_revision == ("one", "two", "three", "four")
    assert [shot.prompt for shot in c.few_shot.comparison] == ["p"]
    assert c.sampling.strategy == "weight"


def test_it_stands_alone_once_written(tmp_path: Path) -> None:
    c = load(files(tmp_path, child=CHILD))
    (tmp_path / "alone.yaml").write_text(dumps(c))
    assert load(tmp_path / "alone.yaml") == c
    assert "extends" not in dumps(c)


@pytest.mark.parametrize(
    ("keys", "file", "line"),
    [
        (("principles", 0), "base", 8),
        (("principles", 0, "critique"), "base", 11),
        (("principles", 0, "revision"), "child", 7),
        (("principles", 0, "severity"), "child", 6),
        (("principles", 0, "tags", 1), "child", 8),
        (("principles", 0, "comparison"), "base", 8),
        (("principles", 1, "comparison"), "other", 7),
        (("principles", 2, "category"), "child", 14),
        (("principles", 3), "child", 12),
        (("categories", 0, "weight"), "child", 10),
        (("categories", 2), "base", 6),
        (("categories", 3, "id"), "other", 3),
        (("few_shot", "critique_revision", 0), "base", 18),
        (("few_shot", "critique_revision", 2), "other", 9),
        (("few_shot", "critique_revision", 3), "child", 17),
        (("few_shot", "comparison", 0, "chosen"), "other", 10),
        (("few_shot",), "child", 16),
        (("sampling", "strategy"), "base", 19),
        (("name",), "child", 1),
        ((), "child", 1),
    ],
)
def test_every_field_has_its_place(tmp_path: Path, keys: tuple[str | int, ...], file: str, line: int) -> None:
    source = read(files(tmp_path, child=CHILD))
    place = source.place(keys)
    assert place is not None
    assert (place.file, place.line) == (str(tmp_path / f"{file}.yaml"), line)


def test_the_source_knows_its_name_and_what_its_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(tmp_path, child=CHILD)
    monkeypatch.chdir(tmp_path)
    source = read("child.yaml")
    assert isinstance(source, Source)
    assert source.name == "child.yaml"
    assert source.document is not None
    assert source.document.remove == ("short",)
    assert str(source.place(("name",))) == "child.yaml:1:1"
    assert read("library:harmless").name == "library:harmless"


def test_extended_files_are_named_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "parts").mkdir()
    files(tmp_path / "parts", leaf="name: leaf\nextends: [other.yaml]\n")
    path = files(tmp_path, child="name: child\nextends: [parts/leaf.yaml, library:harmless]\n")
    monkeypatch.chdir(tmp_path.parent)
    c = load(path)
    assert [p.id for p in c.principles] == ["polite", *(p.id for p in load("library:harmless").principles)]


def test_extending_alone_changes_nothing(tmp_path: Path) -> None:
    path = files(tmp_path, child="name: child\nextends: [base.yaml]\n")
    assert load(path).hash == load(tmp_path / "base.yaml").hash


def test_json_files_extend_too(tmp_path: Path) -> None:
    files(tmp_path)
    path = tmp_path / "child.json"
    path.write_text(json.dumps({"name": "child", "extends": ["base.yaml"], "remove": ["short"]}))
    assert [p.id for p in load(path).principles] == ["harm"]


def test_the_same_module_by_two_ways_is_no_clash(tmp_path: Path) -> None:
    left, right = "name: left\nextends: [base.yaml]\n", "name: right\nextends: [base.yaml, other.yaml]\n"
    path = files(tmp_path, left=left, right=right, child="name: child\nextends: [left.yaml, right.yaml, base.yaml]\n")
    assert [p.id for p in load(path).principles] == ["harm", "short", "polite"]


def test_a_lattice_of_modules_is_read_once_each(tmp_path: Path) -> None:
    last = files(tmp_path, l0="name: l0\nextends: [base.yaml, base.yaml]\n")
    for level in range(1, 40):  # 2^40 ways
        text = f"name: l{level}\nextends: [l{level - 1}.yaml, ./l{level - 1}.yaml]\n"
        last = files(tmp_path, **{f"l{level}": text})
    assert len(load(last).principles) == 2


def test_a_removed_id_is_free(tmp_path: Path) -> None:
    lines = ("remove: [harm]", "principles:", "  - {id: harm, category: safety, comparison: Which harms less?}")
    c = load(files(tmp_path, child=extending(*lines)))
    assert [p.id for p in c.principles] == ["short", "polite", "harm"]
    assert c.principle("harm").critique is None


def test_null_clears_what_is_optional(tmp_path: Path) -> None:
    lines = ("overrides:", "  - {id: harm, critique: null, category: null, tags: null}")
    harm = load(files(tmp_path, child=extending(*lines))).principle("harm")
    assert (harm.critique, harm.category, harm.tags, harm.revision) == (None, None, (), "Take it out.")


def test_sampling_is_the_files_own_where_it_is_written(tmp_path: Path) -> None:
    assert load(files(tmp_path, child=extending("sampling: {}"))).sampling.strategy == "uniform"
    assert load(files(tmp_path, child=extending())).sampling.strategy == "weight"
    base = BASE.replace("sampling: {strategy: weight}\n", "")
    assert load(files(tmp_path, base=base, child=extending())).sampling.strategy == "category_weight"


def test_other_formats_can_be_extended(tmp_path: Path) -> None:
    (tmp_path / "RLMadisonInstructions.json").write_text(json.dumps(["\nWhich is better? Options:"]))
    lines = ("name: child", "extends: [RLMadisonInstructions.json]")
    source = read(files(tmp_path, child="\n".join(lines)))
    assert source.constitution.principles[0].comparison == "Which is better?"
    assert source.place(("principles", 0)) is None


# clashes -------------------------------------------------------------------------------------------------------------

CLASHING = """\
name: clashing
principles:
  - id: harm
    severity: high
    critique: Look for harm.
    revision: Delete it.
    tags: [a]
"""


def test_a_clash_of_principles_shows_both(tmp_path: Path) -> None:
    error = refused(files(tmp_path, other=CLASHING, child=extending()))
    assert error.where == f"{tmp_path / 'other.yaml'}:3:5"
    assert f"the principle 'harm' is inherited twice and differs in `category`, `revision`, see {tmp_path}" in str(
        error
    )
    assert "base.yaml:9:5" in str(error)
    assert "    3 |   - id: harm" in str(error)
    assert "    9 |     category: safety" in str(error)
    assert error.cure == "`remove` it, or override `category`, `revision`"


def test_removing_or_overriding_settles_a_clash(tmp_path: Path) -> None:
    assert load(files(tmp_path, other=CLASHING, child=extending("remove: [harm]"))).principles[0].id == "short"
    lines = ("overrides:", "  - {id: harm, category: style, revision: Reword it.}")
    harm = load(files(tmp_path, other=CLASHING, child=extending(*lines))).principle("harm")
    assert (harm.category, harm.revision) == ("style", "Reword it.")
    half = extending("overrides:", "  - {id: harm, revision: Reword it.}")
    assert "differs in `category`, see" in refused(files(tmp_path, other=CLASHING, child=half)).what


def test_a_clash_of_categories(tmp_path: Path) -> None:
    other = OTHER.replace("  - {id: manners}\n", "  - {id: manners}\n  - {id: style, tier: 3}\n")
    error = refused(files(tmp_path, other=other, child=extending()))
    assert error.where == f"{tmp_path / 'other.yaml'}:4:17"
    assert "the category 'style' is inherited twice and differs in `tier`" in error.what
    assert "base.yaml:6:17" in error.what
    settled = extending("categories: [{id: style, tier: 4}]")
    assert load(files(tmp_path, other=other, child=settled)).categories[0].tier == 4


def test_a_principle_of_its_own_with_an_inherited_id(tmp_path: Path) -> None:
    error = refused(files(tmp_path, child=extending("principles:", "  - {id: short, comparison: Which?}")))
    assert error.where == f"{tmp_path / 'child.yaml'}:4:6"
    assert "'short' is inherited already" in error.what
    assert "base.yaml:14:5" in error.what
    assert "`overrides`" in str(error.cure)


# other errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "place", "words"),
    [
        (("remove: [shot]",), "3:10", "'remove[0]': no inherited principle has the id 'shot'|did you mean 'short'?"),
        (("remove: [zzz]",), "3:10", "the inherited ids are: harm, short, polite"),
        (("overrides: [{id: hram}]",), "3:14", "'overrides[0].id': no inherited|did you mean 'harm'?"),
        (("overrides: [{id: harm, sevrity: low}]",), "3:24", "unknown key 'overrides[0].sevrity'|'severity'"),
        (
            ("overrides:", "  - {id: harm}", "  - {id: harm}"),
            "5:6",
            "'overrides[1].id': overrides[0] has the id 'harm'",
        ),
        (("remove: [harm]", "overrides: [{id: harm}]"), "4:14", "'harm' is removed by this file"),
        (("overrides: [{id: harm, revision: null}]",), "3:13", "'overrides[0].critique': a critique needs a revision"),
        (("overrides: [{id: short, critique: x}]",), "3:25", "'overrides[0].critique': a critique needs a revision"),
        (("overrides: [{id: short, comparison: null}]",), "3:13", "'overrides[0]': a principle needs"),
        (("overrides: [{id: harm, category: safe}]",), "3:24", "unknown category 'safe'|did you mean 'safety'?"),
        (("remove: [harm, short, polite]",), "1:1", "'principles'"),
        (("principles:", "  - {id: a, comparison: x, category: styl}"), "4:28", "did you mean 'style'?"),
        (("categories: [{id: a}, {id: a}]",), "3:24", "'categories[1].id': categories[0] has the id 'a' already"),
    ],
)
def test_errors_are_placed(tmp_path: Path, lines: tuple[str, ...], place: str, words: str) -> None:
    error = refused(files(tmp_path, child=extending(*lines)))
    assert error.where == f"{tmp_path / 'child.yaml'}:{place}"
    for part in words.split("|"):
        assert part in str(error)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("none.yaml", "none.yaml: there is no such file"),
        ("library:harmles", "the library has no constitution 'harmles'"),
        (".", "this folder is not a constitution"),
        ("x" * 5000, "File name too long"),
        ("'a\\0b'", "there is no such file"),
    ],
)
def test_what_cannot_be_extended(tmp_path: Path, target: str, words: str) -> None:
    error = refused(files(tmp_path, child=f"name: child\nextends:\n  - {target}\n"))
    assert error.where == f"{tmp_path / 'child.yaml'}:3:5"
    assert "'extends[0]': " in str(error)
    assert words in str(error)


def test_errors_in_an_extended_file_are_placed_there(tmp_path: Path) -> None:
    error = refused(files(tmp_path, base=BASE.replace("high", "dire"), child=extending()))
    assert error.where == f"{tmp_path / 'base.yaml'}:10:5"
    assert refused(files(tmp_path, base="", child=extending())).where == f"{tmp_path / 'base.yaml'}:1:1"


def test_a_circle_is_shown_whole(tmp_path: Path) -> None:
    a, b = "name: a\nextends: [base.yaml, b.yaml]\n", "name: b\nextends:\n  - c.yaml\n"
    files(tmp_path, b=b, c="name: c\nextends: [./b.yaml]\n")
    error = refused(files(tmp_path, a=a))
    assert error.where == f"{tmp_path / 'c.yaml'}:2:11"
    assert f"{tmp_path / 'b.yaml'}:3:5 extends c.yaml\n  {tmp_path / 'c.yaml'}:2:11 extends ./b.yaml\n" in str(error)
    assert "a.yaml" not in str(error).replace("extends ./", "")  # it only leads into the circle


def test_a_file_that_extends_itself(tmp_path: Path) -> None:
    error = refused(files(tmp_path, a="name: a\nextends: [a.yaml]\n"))
    assert error.where == f"{tmp_path / 'a.yaml'}:2:11"


def test_a_long_chain_ends_in_a_plain_error(tmp_path: Path) -> None:
    for level in range(1, 80):
        last = files(tmp_path, **{"m0": BASE, f"m{level}": f"name: m\nextends: [m{level - 1}.yaml]\n"})
    assert "more than 50 files extend one another" in refused(last).what


def test_a_file_that_extends_nothing_is_itself(tmp_path: Path) -> None:
    source = read(files(tmp_path))
    assert source.constitution.model_fields_set >= {"sampling", "principles"}
    assert source.constitution == Constitution.model_validate(
        source.document.model_dump(exclude={"extends", "remove", "overrides"}) if source.document else {}
    )
