"""The prompt files that the authors of Constitutional AI published.

    CritiqueRevisionInstructions.json    16 pairs of critique and revision requests -> principles harmful0 .. harmful15
    RLMadisonInstructions.json           16 questions for the feedback model -> principles comparison0 .. comparison15
    CritiqueRevisionFewShotPrompts.json  -> few_shot.critique_revision
    RLMadisonFewShotPrompts.json         -> few_shot.comparison
    RLMadisonPrecogFewShotPrompts.json   -> few_shot.chain_of_thought

The requests stand in the files with the framing of a transcript around them. It is taken off here, because a chat model
needs the bare request, and `Frame.wrap` puts it back exactly. Few-shot examples are kept verbatim. The paper draws a
principle independently every time, so a drawn one may come again at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charter.constitution.formats.base import Format, Imported, Rendered, build, living, nothing_fits, without
from charter.constitution.formats.given import Given, Value
from charter.constitution.schema import SLOT, Constitution, Principle
from charter.core.errors import InputError, Place

CRITIQUES = "CritiqueRevisionInstructions.json"
COMPARISONS = "RLMadisonInstructions.json"
CRITIQUE_SHOTS = "CritiqueRevisionFewShotPrompts.json"
COMPARISON_SHOTS = "RLMadisonFewShotPrompts.json"
CHAIN_OF_THOUGHT_SHOTS = "RLMadisonPrecogFewShotPrompts.json"

PRINCIPLE_FILES = (CRITIQUES, COMPARISONS)
SHOT_FILES = (CRITIQUE_SHOTS, COMPARISON_SHOTS, CHAIN_OF_THOUGHT_SHOTS)
FILES = (*PRINCIPLE_FILES, *SHOT_FILES)

SOURCE = "Bai et al. 2022, Constitutional AI: Harmlessness from AI Feedback (arXiv 2212.08073)"

_CURE = "use the authors' file as it was published, or write a constitution in YAML"

Worded = tuple[Place | str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around a request in a transcript."""

    before: str
    after: str

    def wrap(self, text: str) -> str:
        """The request in its frame."""
        return self.before + text + self.after

    def unwrap(self, framed: Value) -> str:
        """The bare request. Raises InputError where the frame, or the request in it, is missing or padded, so that
        `wrap` always gives the same string back."""
        whole = framed.text()
        text = whole.removeprefix(self.before).removesuffix(self.after)
        inner = len(whole) - len(self.before) - len(self.after)
        if len(text) != inner or not text or text != text.strip():
            shown = repr(whole if len(whole) <= 60 else whole[:57] + "...")
            framed.refuse(f"a text of the form {self.wrap('...')!r} was expected, not {shown}", _CURE)
        return text


CRITIQUE_FRAME = Frame("\n\nCritiqueRequest: ", "\n\nCritique:")
REVISION_FRAME = Frame("\n\nRevisionRequest: ", "\n\nRevision:")
COMPARISON_FRAME = Frame("\n", " Options:")


def is_published(path: Path) -> bool:
    """Is this one of the authors' files, or a folder that holds one with principles?"""
    if path.is_dir():
        return any((path / name).is_file() for name in PRINCIPLE_FILES)
    return path.name in FILES


def import_published(path: Path) -> Constitution:
    """Read the authors' folder (files that are not there are left out), or one of the two files with principles.

    Raises InputError for a file that does not look as published, and where there are no principles.
    """
    folder, names = (path, FILES) if path.is_dir() else (path.parent, (path.name,))
    if not path.is_dir() and path.name not in FILES:
        names = (_by_content(path),)
        found = {names[0]: Given.at(path).root}
    else:
        found = {name: Given.at(folder / name).root for name in names if (folder / name).is_file()}
    if not found.keys() & set(PRINCIPLE_FILES):
        raise InputError("no principles here", where=path, cure=f"it needs {CRITIQUES} or {COMPARISONS}")
    return _constitution(found)


def _by_content(path: Path) -> str:
    """Which of the files with principles one of another name is."""
    given = Given.at(path)
    return COMPARISONS if isinstance(given.root.data, list) else CRITIQUES


def _constitution(found: dict[str, Value]) -> Constitution:
    return build(
        [*_critiques(found.get(CRITIQUES)), *_comparisons(found.get(COMPARISONS))],
        name="constitutional-ai",
        description="The principles of the Constitutional AI paper, from its authors' files.",
        few_shot={
            "critique_revision": [shot.text() for shot in _items(found.get(CRITIQUE_SHOTS))],
            "comparison": [_comparison_shot(shot) for shot in _items(found.get(COMPARISON_SHOTS))],
            "chain_of_thought": [_chain_of_thought_shot(shot) for shot in _items(found.get(CHAIN_OF_THOUGHT_SHOTS))],
        },
        sampling={"without_replacement": False},
    )


def _critiques(file: Value | None) -> list[Worded]:
    return [
        (
            entry.place,
            {
                "id": id,
                "critique": CRITIQUE_FRAME.unwrap(_only(entry.field("prompt"))),
                "revision": REVISION_FRAME.unwrap(entry.field("edit_request")),
                "sources": [SOURCE],
            },
        )
        for id, entry in (file.mapping() if file else {}).items()  # noqa: A001
    ]


def _comparisons(file: Value | None) -> list[Worded]:
    return [
        (
            entry.place,
            {"id": f"comparison{index}", "comparison": COMPARISON_FRAME.unwrap(entry), "sources": [SOURCE]},
        )
        for index, entry in enumerate(_items(file))
    ]


def _comparison_shot(shot: Value) -> dict[str, str]:
    return {
        "prompt": shot.field("prompt").text(),
        "chosen": _only(shot.field("corrects")).text(),
        "rejected": _only(shot.field("incorrects")).text(),
    }


def _chain_of_thought_shot(shot: Value) -> str:
    text = shot.field("prompt").text()
    if text.count(SLOT) != 1:
        shot.refuse("an example needs exactly one {} where the principle stands", _CURE)
    return text


def _items(file: Value | None) -> list[Value]:
    return file.items() if file else []


def _only(value: Value) -> Value:
    items = value.items()
    if len(items) != 1:
        value.refuse(f"a list of one text was expected, not of {len(items)}", _CURE)
    return items[0]


# writing -------------------------------------------------------------------------------------------------------------


def _render(constitution: Constitution) -> Rendered:
    principles, left_out = living(constitution)
    pairs = [p for p in principles if p.critique is not None and p.revision is not None]
    questions = [p for p in principles if p.comparison is not None]
    if not pairs and not questions:
        raise nothing_fits(constitution, FORMAT.name, "a critique and a revision, or a comparison")
    alone = [p for p in principles if p not in pairs and p.revision is not None]
    shots = constitution.few_shot
    data: dict[str, Any] = {
        CRITIQUES: {p.id: _framed(p) for p in pairs},
        COMPARISONS: [COMPARISON_FRAME.wrap(p.comparison or "") for p in questions],
        CRITIQUE_SHOTS: list(shots.critique_revision),
        COMPARISON_SHOTS: [
            {"prompt": s.prompt, "corrects": [s.chosen], "incorrects": [s.rejected]} for s in shots.comparison
        ],
        CHAIN_OF_THOUGHT_SHOTS: [{"prompt": shot} for shot in shots.chain_of_thought],
    }
    return Rendered(
        files={name: json.dumps(entries) for name, entries in data.items() if entries},
        order=tuple(p.id for p in (*pairs, *questions)),
        left_out=(*left_out, *without(alone, "a revision without a critique")),
    )


def _framed(principle: Principle) -> dict[str, Any]:
    return {
        "prompt": [CRITIQUE_FRAME.wrap(principle.critique or "")],
        "edit_request": REVISION_FRAME.wrap(principle.revision or ""),
    }


def _detect(given: Given) -> bool:
    if is_published(given.path):
        return True
    data = given.glance
    if isinstance(data, dict):
        return any(isinstance(entry, dict) and "edit_request" in entry for entry in data.values())
    return isinstance(data, list) and any(
        isinstance(entry, str) and entry.startswith("\n") and entry.endswith(" Options:") for entry in data
    )


FORMAT = Format(
    name="published",
    about="the prompt files that the authors of Constitutional AI published: their folder, or a file of principles",
    detect=_detect,
    read=lambda given: Imported(import_published(given.path)),
    render=_render,
)
