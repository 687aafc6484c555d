"""The prompt files that the authors of Constitutional AI published, read as a constitution.

    CritiqueRevisionInstructions.json    16 pairs of critique and revision requests -> principles harmful0 .. harmful15
    RLMadisonInstructions.json           16 questions for the feedback model -> principles comparison0 .. comparison15
    CritiqueRevisionFewShotPrompts.json  -> few_shot.critique_revision
    RLMadisonFewShotPrompts.json         -> few_shot.comparison
    RLMadisonPrecogFewShotPrompts.json   -> few_shot.chain_of_thought

The requests stand in the files with the framing of a transcript around them. It is taken off here, because a chat model
needs the bare request, and `Frame.wrap` puts it back exactly. Few-shot examples are kept verbatim.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from charter.constitution.schema import ComparisonShot, Constitution, FewShot, Principle
from charter.core.errors import InputError
from charter.core.tables import read_json

CRITIQUES = "CritiqueRevisionInstructions.json"
COMPARISONS = "RLMadisonInstructions.json"
CRITIQUE_SHOTS = "CritiqueRevisionFewShotPrompts.json"
COMPARISON_SHOTS = "RLMadisonFewShotPrompts.json"
CHAIN_OF_THOUGHT_SHOTS = "RLMadisonPrecogFewShotPrompts.json"

PRINCIPLE_FILES = (CRITIQUES, COMPARISONS)
SHOT_FILES = (CRITIQUE_SHOTS, COMPARISON_SHOTS, CHAIN_OF_THOUGHT_SHOTS)
FILES = (*PRINCIPLE_FILES, *SHOT_FILES)

SOURCE = "Bai et al. 2022, Constitutional AI: Harmlessness from AI Feedback (arXiv 2212.08073)"


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around a request in a transcript."""

    before: str
    after: str

    def wrap(self, text: str) -> str:
        """The request in its frame."""
        return self.before + text + self.after

    def unwrap(self, framed: str, where: str) -> str:
        """The bare request. Raises InputError where the frame, or the request in it, is missing or padded, so that
        `wrap` always gives the same string back."""
        inner = len(framed) - len(self.before) - len(self.after)
        text = framed.removeprefix(self.before).removesuffix(self.after)
        if len(text) != inner or not text or text != text.strip():
            raise InputError(
                f"a text of the form {self.wrap('...')!r} was expected, not {_short(framed)!r}", where=where, cure=_CURE
            )
        return text


CRITIQUE_FRAME = Frame("\n\nCritiqueRequest: ", "\n\nCritique:")
REVISION_FRAME = Frame("\n\nRevisionRequest: ", "\n\nRevision:")
COMPARISON_FRAME = Frame("\n", " Options:")

_CURE = "use the authors' file as it was published, or write a constitution in YAML"


def is_published(path: Path) -> bool:
    """Is this one of the authors' files, or a folder that holds one with principles?"""
    if path.is_dir():
        return any((path / name).is_file() for name in PRINCIPLE_FILES)
    return path.name in FILES


def import_published(path: Path) -> Constitution:
    """Read the authors' folder (files that are not there are left out), or one of the two files with principles.

    Raises InputError for a file that does not look as published, and where there are no principles.
    """
    if not is_published(path) or path.name in SHOT_FILES:
        raise InputError("no principles here", where=path, cure=f"it needs {CRITIQUES} or {COMPARISONS}")
    folder, names = (path, FILES) if path.is_dir() else (path.parent, (path.name,))
    found = {name: folder / name for name in names if (folder / name).is_file()}
    try:
        return _constitution(found)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"]))
        raise InputError(f"{field}: {problem['msg']}", where=path, cure=_CURE) from error


def _constitution(found: dict[str, Path]) -> Constitution:
    return Constitution(
        name="constitutional-ai",
        description="The principles of the Constitutional AI paper, from its authors' files.",
        principles=(*_critiques(found.get(CRITIQUES)), *_comparisons(found.get(COMPARISONS))),
        few_shot=FewShot(
            critique_revision=_critique_shots(found.get(CRITIQUE_SHOTS)),
            comparison=_comparison_shots(found.get(COMPARISON_SHOTS)),
            chain_of_thought=_chain_of_thought_shots(found.get(CHAIN_OF_THOUGHT_SHOTS)),
        ),
    )


def _critiques(path: Path | None) -> tuple[Principle, ...]:
    principles = []
    for id, entry in _entries(path, dict):  # noqa: A001
        where = f"{path}: {id}"
        principles.append(
            Principle(
                id=id,
                critique=CRITIQUE_FRAME.unwrap(_only(_field(entry, "prompt", list, where), where), where),
                revision=REVISION_FRAME.unwrap(_field(entry, "edit_request", str, where), where),
                sources=(SOURCE,),
            )
        )
    return tuple(principles)


def _comparisons(path: Path | None) -> tuple[Principle, ...]:
    return tuple(
        Principle(
            id=f"comparison{index}",
            comparison=COMPARISON_FRAME.unwrap(_text(entry, f"{path}: [{index}]"), f"{path}: [{index}]"),
            sources=(SOURCE,),
        )
        for index, entry in _entries(path, list)
    )


def _critique_shots(path: Path | None) -> tuple[str, ...]:
    return tuple(_text(entry, f"{path}: [{index}]") for index, entry in _entries(path, list))


def _comparison_shots(path: Path | None) -> tuple[ComparisonShot, ...]:
    shots = []
    for index, entry in _entries(path, list):
        where = f"{path}: [{index}]"
        shots.append(
            ComparisonShot(
                prompt=_text(_field(entry, "prompt", str, where), where),
                chosen=_only(_field(entry, "corrects", list, where), where),
                rejected=_only(_field(entry, "incorrects", list, where), where),
            )
        )
    return tuple(shots)


def _chain_of_thought_shots(path: Path | None) -> tuple[str, ...]:
    shots = []
    for index, entry in _entries(path, list):
        where = f"{path}: [{index}]"
        shot = _text(_field(entry, "prompt", str, where), where)
        if shot.count("{}") != 1:
            raise InputError("an example needs exactly one {} where the principle stands", where=where, cure=_CURE)
        shots.append(shot)
    return tuple(shots)


def _entries(path: Path | None, kind: type) -> list[tuple[Any, Any]]:
    """(key or index, entry) of a file; nothing for a file that is not there."""
    if path is None:
        return []
    data = read_json(path)
    if kind is dict and isinstance(data, dict):
        return list(data.items())
    if kind is list and isinstance(data, list):
        return list(enumerate(data))
    expected = "an object" if kind is dict else "a list"
    raise InputError(f"{expected} was expected, not {type(data).__name__}", where=path, cure=_CURE)


def _field(entry: Any, name: str, kind: type, where: str) -> Any:
    value = entry.get(name) if isinstance(entry, dict) else None
    if not isinstance(value, kind):
        raise InputError(f"an entry with a {kind.__name__} `{name}` was expected", where=where, cure=_CURE)
    return value


def _only(texts: list[Any], where: str) -> str:
    if len(texts) != 1:
        raise InputError(f"a list of one text was expected, not of {len(texts)}", where=where, cure=_CURE)
    return _text(texts[0], where)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(f"a text was expected, not {_short(value)!r}", where=where, cure=_CURE)
    return value


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
