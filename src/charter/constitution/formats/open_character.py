"""OpenCharacterTraining's traits: statements that a model makes about itself, each with questions that bring them out.

    [{"trait": "I am ...", "questions": [...]}, ...]                   hand-written: a JSON list, usually named .txt
    {"trait": ..., "questions": [...], "additional_questions": [...]}  a line each, with generated questions

A trait is quoted, unchanged, in wordings from a template, and taken out again on the way back. The questions are
prompts, for which a constitution has no place.
"""

from __future__ import annotations

import json
from collections import Counter

from charter.constitution.formats.base import Format, Imported, Rendered, build, count, living, stem
from charter.constitution.formats.given import Given, Value
from charter.constitution.formats.templates import TRAIT
from charter.constitution.schema import Constitution, Principle

QUESTIONS = ("questions", "additional_questions")


def _read(given: Given) -> Imported:
    root = given.root
    entries = [root] if isinstance(root.data, dict) else root.items()
    principles = [
        (entry.place, {"id": f"trait-{number}", **TRAIT.of(entry.field("trait").text().strip()), "status": "draft"})
        for number, entry in enumerate(entries, 1)
    ]
    return Imported(build(principles, name=given.path.stem), tuple(_notes(entries)))


def _notes(entries: list[Value]) -> list[str]:
    notes = ["the wordings are from a template that quotes each trait: read them, then set the status to reviewed"]
    for field in QUESTIONS:
        found = [entry.optional(field) for entry in entries]
        number = sum(len(texts.texts()) for texts in found if texts is not None)
        if number:
            notes.append(
                f"{number} {field.replace('_', ' ')}: not taken over; they are prompts, and go in a prompts file"
            )
    other = Counter(key for entry in entries for key in entry.others({"trait", *QUESTIONS}))
    return notes + [f"`{key}` of {count(number, 'trait')}: not taken over" for key, number in sorted(other.items())]


def _render(constitution: Constitution) -> Rendered:
    principles, left_out = living(constitution)
    data = [{"trait": _trait(p), "questions": []} for p in principles]
    made = [p.id for p in principles if TRAIT.statement(p) is None]
    if made:
        left_out += (f"the wordings of {count(len(made), 'principle')}: one of them is quoted in a trait made for it",)
    return Rendered(
        files={f"{stem(constitution.name)}.txt": json.dumps(data, indent=4, ensure_ascii=False) + "\n"},
        order=tuple(p.id for p in principles),
        left_out=left_out,
    )


def _trait(principle: Principle) -> str:
    """The trait that a principle was made from, or else one that says in the first person what it asks for."""
    trait = TRAIT.statement(principle)
    if trait is not None:
        return trait
    if principle.comparison is not None:
        return f'I answer in the way that would be chosen by this: "{principle.comparison}"'
    return f'I answer in such a way that nothing is left to do for this request: "{principle.revision}"'


def _detect(given: Given) -> bool:
    data = given.glance
    entries = [data] if isinstance(data, dict) else data if isinstance(data, list) else []
    return any(isinstance(entry, dict) and "trait" in entry for entry in entries)


FORMAT = Format(
    name="open-character",
    about="OpenCharacterTraining's traits in the first person: a JSON list, or JSON Lines",
    detect=_detect,
    read=_read,
    render=_render,
)
