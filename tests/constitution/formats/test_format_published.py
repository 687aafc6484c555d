"""The authors' prompt files: framing off and on again, examples verbatim."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from foreign_files import PUBLISHED

from charter.constitution import library
from charter.constitution.formats import FORMATS, import_file, published
from charter.constitution.formats.published import COMPARISON_FRAME, CRITIQUE_FRAME, REVISION_FRAME
from charter.constitution.load import dump, load
from charter.core.errors import InputError

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "cai-paper" / "prompts"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the authors' files are not here")


def folder(path: Path, **changes: Any) -> Path:
    for name, data in (PUBLISHED | {f"{stem}.json": data for stem, data in changes.items()}).items():
        if data is not None:
            (path / name).write_text(json.dumps(data), encoding="utf-8")
    return path


def test_a_folder(tmp_path: Path) -> None:
    c = load(folder(tmp_path))
    assert [p.id for p in c.principles] == ["harmful0", "comparison0", "comparison1"]
    assert (c.principles[0].critique, c.principles[0].revision) == ("Find the harm.", "Mend it.")
    assert c.principles[1].comparison == "Which is better?"
    assert c.few_shot.critique_revision == ("\n\nHuman: hello\n\nHuman:",)
    assert (c.few_shot.comparison[0].chosen, c.few_shot.comparison[0].rejected) == ("good ", "bad")
    assert c.few_shot.chain_of_thought == ("\n\nHuman: {}\n (A) [[[x]]]",)


@pytest.mark.parametrize(("name", "ids"), [(published.CRITIQUES, 1), (published.COMPARISONS, 2)])
def test_single_files_of_principles(tmp_path: Path, name: str, ids: int) -> None:
    c = load(folder(tmp_path) / name)
    assert len(c.principles) == ids
    assert not c.few_shot.critique_revision


@pytest.mark.parametrize("name", published.SHOT_FILES)
def test_examples_alone_are_no_constitution(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no principles here"):
        load(folder(tmp_path) / name)


@pytest.mark.parametrize(
    ("stem", "data", "words"),
    [
        ("CritiqueRevisionInstructions", [], "an object with keys was expected, not a list"),
        ("RLMadisonInstructions", {}, "a list was expected, not an object"),
        ("RLMadisonInstructions", ["no framing"], r":1:2: '\[0\]': a text of the form"),
        ("RLMadisonInstructions", ["\n Options:"], "a text of the form"),
        ("RLMadisonInstructions", ["\n padded  Options:"], "a text of the form"),
        ("RLMadisonInstructions", [3], "a text was expected, not a number"),
        ("RLMadisonInstructions", [], "the list is empty"),
        ("CritiqueRevisionInstructions", {"harmful0": {"prompt": []}}, "'harmful0.prompt': the list is empty"),
        ("CritiqueRevisionInstructions", {"harmful0": {"x": 1}}, "'harmful0': the key 'prompt' is missing"),
        (
            "CritiqueRevisionInstructions",
            {"two words": PUBLISHED[published.CRITIQUES]["harmful0"]},
            "'id': string should match",
        ),
        (
            "RLMadisonFewShotPrompts",
            [{"prompt": "p", "corrects": ["a", "b"]}],
            "a list of one text was expected, not of 2",
        ),
        ("RLMadisonPrecogFewShotPrompts", [{"prompt": "no slot"}], "exactly one {}"),
        ("CritiqueRevisionFewShotPrompts", [""], "the text is empty"),
    ],
)
def test_files_unlike_the_published_ones(tmp_path: Path, stem: str, data: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load(folder(tmp_path, **{stem: data}))
    assert caught.value.cure
    assert str(tmp_path) in str(caught.value)


def test_a_folder_without_principles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no principles here"):
        import_file(tmp_path, "published")


@real
def test_the_real_framing_goes_back_on_exactly() -> None:
    c = load(REAL)
    assert [p.id for p in c.principles] == [f"harmful{i}" for i in range(16)] + [f"comparison{i}" for i in range(16)]
    requests = json.loads((REAL / published.CRITIQUES).read_text(encoding="utf-8"))
    for p in c.principles[:16]:
        assert p.critique is not None
        assert p.revision is not None
        assert p.comparison is None
        assert [CRITIQUE_FRAME.wrap(p.critique)] == requests[p.id]["prompt"]
        assert REVISION_FRAME.wrap(p.revision) == requests[p.id]["edit_request"]
    questions = json.loads((REAL / published.COMPARISONS).read_text(encoding="utf-8"))
    assert [COMPARISON_FRAME.wrap(p.comparison or "") for p in c.principles[16:]] == questions


@real
def test_the_real_examples_are_verbatim(tmp_path: Path) -> None:
    c = load(REAL)
    dump(c, tmp_path / "c.yaml")
    assert load(tmp_path / "c.yaml") == c
    shots = load(tmp_path / "c.yaml").few_shot
    assert list(shots.critique_revision) == json.loads((REAL / published.CRITIQUE_SHOTS).read_text(encoding="utf-8"))
    assert [
        {"prompt": s.prompt, "corrects": [s.chosen], "incorrects": [s.rejected]} for s in shots.comparison
    ] == json.loads((REAL / published.COMPARISON_SHOTS).read_text(encoding="utf-8"))
    assert [{"prompt": s} for s in shots.chain_of_thought] == json.loads(
        (REAL / published.CHAIN_OF_THOUGHT_SHOTS).read_text(encoding="utf-8")
    )


def test_a_principle_is_drawn_independently_every_time(tmp_path: Path) -> None:
    assert not load(folder(tmp_path)).sampling.without_replacement


@pytest.mark.parametrize("name", published.PRINCIPLE_FILES)
def test_a_file_of_another_name_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    (folder(tmp_path) / name).rename(tmp_path / "mine.json")
    assert load(tmp_path / "mine.json").principles


def test_all_comes_back(tmp_path: Path) -> None:
    c = load(folder(tmp_path))
    exported = FORMATS["published"].export(c, tmp_path / "out")
    assert exported.lost == ()
    assert load(tmp_path / "out") == c
    for name, data in PUBLISHED.items():
        assert json.loads((tmp_path / "out" / name).read_text(encoding="utf-8")) == data


@real
def test_the_real_files_come_back_byte_for_byte(tmp_path: Path) -> None:
    exported = FORMATS["published"].export(load(REAL), tmp_path)
    assert exported.lost == ()
    assert {path.name for path in exported.paths} == set(published.FILES)
    for name in published.FILES:
        real, ours = (REAL / name).read_bytes(), (tmp_path / name).read_bytes()
        assert json.loads(real) == json.loads(ours)
        assert real == ours


@real
def test_the_real_files_hold_what_the_paper_says() -> None:
    c = load(REAL)
    shots = c.few_shot
    assert [sum(p.has(part) for p in c.principles) for part in ("revision", "comparison")] == [16, 16]
    assert [len(s) for s in (shots.critique_revision, shots.comparison, shots.chain_of_thought)] == [5, 5, 6]


@real
@pytest.mark.parametrize("name", library.names())
def test_the_library_says_nothing_in_the_authors_words(name: str) -> None:
    """No run of eight words of the library stands in the published files."""

    def runs(source: str | Path) -> set[tuple[str, ...]]:
        texts = [
            w.lower().split() for p in load(source).principles for w in (p.critique, p.revision, p.comparison) if w
        ]
        return {tuple(words[i : i + 8]) for words in texts for i in range(len(words) - 7)}

    published_runs = runs(REAL)
    assert published_runs
    assert not runs(f"library:{name}") & published_runs
