"""The library: every constitution in it is whole, in our own words, without findings, and its examples are balanced."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from charter.constitution import library
from charter.constitution.lint import coverage, lint
from charter.constitution.load import load, read
from charter.constitution.schema import Constitution
from charter.core.errors import InputError

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
PUBLISHED = [DATA / "constitutions", DATA / "cai-paper" / "prompts"]
OURS = [name for name in library.names() if name != "world"]
SHOWN = [name for name in OURS if name != "minimal"]  # those with examples
RUN = 8  # words in a row that nobody writes twice by chance

every = pytest.mark.parametrize("name", library.names())
ours = pytest.mark.parametrize("name", OURS)
shown = pytest.mark.parametrize("name", SHOWN)


@cache
def constitution(name: str) -> Constitution:
    return load(f"library:{name}")


def wordings(c: Constitution) -> list[str]:
    return [w for p in c.principles for w in (p.critique, p.revision, p.comparison) if w]


# what there is -------------------------------------------------------------------------------------------------------


def test_names() -> None:
    assert library.names() == [
        "children",
        "crisis",
        "harmless",
        "helpful-honest-harmless",
        "honesty",
        "minimal",
        "non-evasive",
        "world",
    ]


@every
def test_each_loads_under_its_name(name: str) -> None:
    c = constitution(name)
    assert c.name == name
    assert c.description
    assert load(Path(f"library:{name}")) == c


def test_the_worlds_is_that_of_the_world() -> None:
    assert constitution("world").hash == load(ROOT / "src/charter/world/constitution.yaml").hash


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean library:harmless"):
        library.path("harmles")


# every principle -----------------------------------------------------------------------------------------------------


@ours
def test_each_says_who_wrote_it_and_what_it_draws_on(name: str) -> None:
    c = constitution(name)
    assert (c.authors, c.licence) == (("The Charter authors",), "Apache-2.0")
    assert c.sources
    assert c.categories
    assert {p.category for p in c.principles} <= {category.id for category in c.categories}
    assert all(p.rationale and p.tags for p in c.principles)


@ours
def test_nothing_claims_a_review_that_nobody_made(name: str) -> None:
    assert {(p.status, p.reviewers) for p in constitution(name).principles} == {("draft", ())}


@ours
def test_principles_are_whole_short_and_one_paragraph_each(name: str) -> None:
    for p in constitution(name).principles:
        for wording in (p.critique, p.revision, p.comparison):
            assert wording is not None, p.id
            assert "\n" not in wording
            assert 5 <= len(wording.split()) <= 75, (p.id, wording)


@every
def test_no_principle_stands_twice(name: str) -> None:
    c = constitution(name)
    assert len({p.hash for p in c.principles}) == len(c.principles)
    assert len(set(wordings(c))) == len(wordings(c))


def test_harmless_has_sixteen_principles_for_each_part() -> None:
    assert len(constitution("harmless").principles) == 16


def test_the_general_one_takes_over_what_it_extends() -> None:
    c = constitution("helpful-honest-harmless")
    inherited = {p.id: p.hash for n in ("harmless", "honesty") for p in constitution(n).principles}
    kept = {p.id for p in c.principles} & set(inherited)
    assert set(inherited) - kept == {"misinformation", "deception"}
    assert {p.id: p.hash for p in c.principles if p.id in kept} == {i: inherited[i] for i in kept}
    tiers = c.tiers
    assert tiers["violence"] < tiers["accuracy"] == tiers["discrimination"] < tiers["real-need"] < tiers["economy"]


def test_all_can_be_extended_together(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    listed = "".join(f"\n  - library:{name}" for name in OURS)
    path.write_text(f"name: all\nextends:{listed}\n", encoding="utf-8")
    together = load(path)
    assert {p.id for p in together.principles} == {p.id for name in OURS for p in constitution(name).principles}


@every
def test_the_linter_finds_nothing(name: str) -> None:
    findings = lint(read(f"library:{name}"))
    assert [(f.code, f.principle, f.message) for f in findings] == []


@pytest.mark.parametrize("name", ["harmless", "helpful-honest-harmless"])
def test_every_hazard_of_the_taxonomy_is_named(name: str) -> None:
    assert [hazard.title for hazard in coverage(constitution(name)).missing] == []


# our own words -------------------------------------------------------------------------------------------------------


def strings(value: Any) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for item in value.values() for text in strings(item))
    elif isinstance(value, list):
        yield from (text for item in value for text in strings(item))


def texts(path: Path) -> Iterator[str]:
    raw = path.read_text(encoding="utf-8")
    try:
        yield from strings(
            [json.loads(line) for line in raw.splitlines()] if path.suffix == ".jsonl" else json.loads(raw)
        )
    except json.JSONDecodeError:
        yield raw


def runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z0-9]+(?:'[a-z]+)?", text.lower().replace("’", "'"))
    return {tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1)}


@cache
def published() -> set[tuple[str, ...]]:
    return {run for folder in PUBLISHED for path in folder.iterdir() for text in texts(path) for run in runs(text)}


def test_runs_of_words_are_found() -> None:
    assert runs("One, two three; four five six seven Eight") == {
        ("one", "two", "three", "four", "five", "six", "seven", "eight")
    }
    assert runs("one two three four five six seven") == set()


@pytest.mark.skipif(not all(folder.is_dir() for folder in PUBLISHED), reason="the published constitutions are not here")
@ours
def test_nothing_is_said_in_published_words(name: str) -> None:
    c = constitution(name)
    mine = [
        *wordings(c),
        *(p.rationale or "" for p in c.principles),
        c.description or "",
        *strings(c.few_shot.model_dump(mode="json")),
    ]
    assert len(published()) > 10_000
    assert {run for text in mine for run in runs(text)} & published() == set()


# examples ------------------------------------------------------------------------------------------------------------

MARKERS = (
    "\n\nHuman: ",
    "\n\nAssistant: ",
    "\n\nCritiqueRequest: ",
    "\n\nCritique: ",
    "\n\nRevisionRequest: ",
    "\n\nRevision: ",
)
REASONED = re.compile(
    r"\n\nHuman: .+\n\nH: .+\n\n\{\}\n \(A\) (?P<A>.+)\n \(B\) (?P<B>.+)\n\n"
    r"Assistant: Let's think step by step: .+\n\nSo the answer is: \((?P<answer>[AB])\)"
)


def reasoned(c: Constitution) -> list[re.Match[str]]:
    found = [REASONED.fullmatch(shot) for shot in c.few_shot.chain_of_thought]
    assert None not in found
    return [match for match in found if match]


@shown
def test_there_are_examples_of_every_kind(name: str) -> None:
    shots = constitution(name).few_shot
    assert len(shots.critique_revision) >= 2
    assert len(shots.comparison) >= 4
    assert len(shots.chain_of_thought) >= 4


@shown
def test_critiques_and_revisions_are_whole_transcripts(name: str) -> None:
    for shot in constitution(name).few_shot.critique_revision:
        last = [shot.rindex(marker) for marker in MARKERS]
        assert last == sorted(last)
        assert shot.startswith(MARKERS[0])
        assert all(shot.count(marker) == 1 for marker in MARKERS[2:])


@shown
def test_comparisons_end_where_the_assistant_answers(name: str) -> None:
    for shot in constitution(name).few_shot.comparison:
        assert shot.prompt.startswith("\n\nHuman: ")
        assert shot.prompt.endswith("\n\nAssistant:")
        assert "\n" not in shot.chosen + shot.rejected


@shown
def test_reasoned_choices_fall_on_either_letter_alike(name: str) -> None:
    count = Counter(match["answer"] for match in reasoned(constitution(name)))
    assert count["A"] == count["B"] > 0


@shown
def test_the_better_answer_is_as_often_the_shorter(name: str) -> None:
    c = constitution(name)
    pairs = [(shot.chosen, shot.rejected) for shot in c.few_shot.comparison]
    choices = [(m[m["answer"]], m["B" if m["answer"] == "A" else "A"]) for m in reasoned(c)]
    for better_and_worse in (pairs, choices):
        longer = sum(len(better) > len(worse) for better, worse in better_and_worse)
        assert longer == len(better_and_worse) / 2


# the page ------------------------------------------------------------------------------------------------------------


def page() -> str:
    return (ROOT / "docs" / "library.md").read_text(encoding="utf-8")


def test_the_page_shows_a_file_that_works(tmp_path: Path) -> None:
    lines = [line[4:] for line in page().splitlines() if line.startswith("    ")]
    path = tmp_path / "ours.yaml"
    path.write_text("\n".join(lines), encoding="utf-8")
    c = load(path)
    assert c.name == "our-assistant"
    assert c.principle("no-sermons").severity == "high"
    assert len(c.principles) == 16 + 18 - 2 + 1


@every
def test_the_page_has_the_numbers(name: str) -> None:
    c = constitution(name)
    shots = c.few_shot
    examples = f"{len(shots.critique_revision)} + {len(shots.comparison)} + {len(shots.chain_of_thought)}"
    tiers = Counter(c.tiers.values())
    row = f"| [`{name}`](#{name}) | {c.version} | {len(c.principles)} | " + " | ".join(
        str(tiers[tier] or "") for tier in (1, 2, 3, 4)
    )
    assert " ".join(f"{row} | {examples} |".split()) in page().splitlines()
    assert f"## {name}\n" in page()
