"""The authors' prompt files: framing off and on again, examples verbatim."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from charter.constitution import importers
from charter.constitution.importers import COMPARISON_FRAME, CRITIQUE_FRAME, REVISION_FRAME, import_published
from charter.constitution.load import dump, load
from charter.core.errors import InputError

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "cai-paper" / "prompts"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the authors' files are not here")

PUBLISHED: dict[str, Any] = {
    importers.CRITIQUES: {
        "harmful0": {
            "prompt": [CRITIQUE_FRAME.wrap("Find the harm.")],
            "edit_request": REVISION_FRAME.wrap("Mend it."),
        }
    },
    importers.COMPARISONS: [COMPARISON_FRAME.wrap("Which is better?"), COMPARISON_FRAME.wrap("Which is kinder?")],
    importers.CRITIQUE_SHOTS: ["\n\nHuman: hello\n\nHuman:"],
    importers.COMPARISON_SHOTS: [
        {"prompt": "\n\nHuman: q\n\nAssistant:", "corrects": ["good "], "incorrects": ["bad"]}
    ],
    importers.CHAIN_OF_THOUGHT_SHOTS: [{"prompt": "\n\nHuman: {}\n (A) [[[x]]]"}],
}


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


@pytest.mark.parametrize(("name", "ids"), [(importers.CRITIQUES, 1), (importers.COMPARISONS, 2)])
def test_single_files_of_principles(tmp_path: Path, name: str, ids: int) -> None:
    c = load(folder(tmp_path) / name)
    assert len(c.principles) == ids
    assert not c.few_shot.critique_revision


@pytest.mark.parametrize("name", importers.SHOT_FILES)
def test_examples_alone_are_no_constitution(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no principles here"):
        load(folder(tmp_path) / name)


@pytest.mark.parametrize(
    ("stem", "data", "words"),
    [
        ("CritiqueRevisionInstructions", [], "an object was expected, not list"),
        ("RLMadisonInstructions", {}, "a list was expected, not dict"),
        ("RLMadisonInstructions", ["no framing"], r"\[0\]: a text of the form"),
        ("RLMadisonInstructions", ["\n Options:"], "a text of the form"),
        ("RLMadisonInstructions", ["\n padded  Options:"], "a text of the form"),
        ("RLMadisonInstructions", [3], "a text was expected, not '3'"),
        ("CritiqueRevisionInstructions", {"harmful0": {"prompt": []}}, "harmful0: a list of one text"),
        ("CritiqueRevisionInstructions", {"harmful0": {}}, "a list `prompt` was expected"),
        (
            "CritiqueRevisionInstructions",
            {"two words": PUBLISHED[importers.CRITIQUES]["harmful0"]},
            "id: String should match",
        ),
        (
            "RLMadisonFewShotPrompts",
            [{"prompt": "p", "corrects": ["a", "b"]}],
            "a list of one text was expected, not of 2",
        ),
        ("RLMadisonPrecogFewShotPrompts", [{"prompt": "no slot"}], "exactly one {}"),
        ("CritiqueRevisionFewShotPrompts", [""], "a text was expected"),
    ],
)
def test_files_unlike_the_published_ones(tmp_path: Path, stem: str, data: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load(folder(tmp_path, **{stem: data}))
    assert caught.value.cure
    assert str(tmp_path) in str(caught.value)


def test_a_folder_without_principles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no principles here"):
        import_published(tmp_path)


@real
def test_the_real_framing_goes_back_on_exactly() -> None:
    c = load(REAL)
    assert [p.id for p in c.principles] == [f"harmful{i}" for i in range(16)] + [f"comparison{i}" for i in range(16)]
    requests = json.loads((REAL / importers.CRITIQUES).read_text(encoding="utf-8"))
    for p in c.principles[:16]:
        assert p.critique is not None
        assert p.revision is not None
        assert p.comparison is None
        assert [CRITIQUE_FRAME.wrap(p.critique)] == requests[p.id]["prompt"]
        assert REVISION_FRAME.wrap(p.revision) == requests[p.id]["edit_request"]
    questions = json.loads((REAL / importers.COMPARISONS).read_text(encoding="utf-8"))
    assert [COMPARISON_FRAME.wrap(p.comparison or "") for p in c.principles[16:]] == questions


@real
def test_the_real_examples_are_verbatim(tmp_path: Path) -> None:
    c = load(REAL)
    dump(c, tmp_path / "c.yaml")
    assert load(tmp_path / "c.yaml") == c
    shots = load(tmp_path / "c.yaml").few_shot
    assert list(shots.critique_revision) == json.loads((REAL / importers.CRITIQUE_SHOTS).read_text(encoding="utf-8"))
    assert [
        {"prompt": s.prompt, "corrects": [s.chosen], "incorrects": [s.rejected]} for s in shots.comparison
    ] == json.loads((REAL / importers.COMPARISON_SHOTS).read_text(encoding="utf-8"))
    assert [{"prompt": s} for s in shots.chain_of_thought] == json.loads(
        (REAL / importers.CHAIN_OF_THOUGHT_SHOTS).read_text(encoding="utf-8")
    )


@real
def test_the_library_says_nothing_in_the_authors_words() -> None:
    """No run of eight words of the library stands in the published files."""

    def runs(text: str) -> set[tuple[str, ...]]:
        words = text.lower().split()
        return {tuple(words[i : i + 8]) for i in range(len(words) - 7)}

    published = {
        run for p in load(REAL).principles for w in (p.critique, p.revision, p.comparison) for run in runs(w or "")
    }
    ours = {
        run
        for p in load("library:harmless").principles
        for w in (p.critique, p.revision, p.comparison)
        for run in runs(w or "")
    }
    assert published
    assert not ours & published
