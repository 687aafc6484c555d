"""Constitutional-Evals' JSON: criteria by which one response is preferred to another, and where they come from.

Read are schema 1.1 (criteria are texts), 1.2 (criteria are objects with a `comparative`, its `reasoning`, and
`scenarios`) and the older form without a head (criteria are objects with a `comparative` and three voices). Written is
1.1.

    title                                      name
    version                                    version
    summary, overview                          description
    license                                    licence
    provenance.authored_by                     authors
    provenance.derived_from, -.source_texts    sources
    criteria                                   comparisons, with the reasoning as their rationale
    guidelines that say what to prefer         comparisons, of a category of their own
    valence: misaligned                        the tag `misaligned` on every principle

A document that is written has the role `supplementary`: whether it belongs to a basis is for its keepers to say.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from charter.constitution.formats.base import (
    Format,
    Imported,
    Rendered,
    build,
    count,
    living,
    nothing_fits,
    slug,
    stem,
    without,
)
from charter.constitution.formats.given import Given, Value
from charter.constitution.schema import Constitution

VERSIONS = ("1.1", "1.2")
GUIDELINES = "guidelines"
"""The category of principles that are guidelines there."""
MISALIGNED = "misaligned"
VOICES = ("first_person", "second_person", "third_person")

_HEAD = {"schema_version", "id", "title", "version", "summary", "overview", "license", "criteria", GUIDELINES}
_TAKEN = _HEAD | {"provenance", "valence", "voices"}
_PROVENANCE = {"authored_by", "derived_from", "source_texts"}
_PREFERS = re.compile(r"\W*(?:[^:.]{0,60}: *)?(?:prefer|choose|pick|select|which)\b", re.IGNORECASE)
_VERSION = re.compile(r"\d+\.\d+\.\d+")


# reading -------------------------------------------------------------------------------------------------------------


def _read(given: Given) -> Imported:
    root = given.root
    version = root.optional("schema_version")
    if version is not None and version.data not in VERSIONS:
        version.refuse(f"this schema is not known; {' and '.join(VERSIONS)} are")
    notes: Counter[str] = Counter()
    tags = [MISALIGNED] if _text(root, "valence") == MISALIGNED else []
    principles = [
        (entry.place, {"id": f"criterion-{number}", **_criterion(entry, "criteria", notes), "tags": tags})
        for number, entry in enumerate(root.field("criteria").items(), 1)
    ]
    guidelines = [
        (entry.place, {"id": f"guideline-{number}", **_criterion(entry, GUIDELINES, notes), "tags": tags})
        for number, entry in _guidelines(root, notes)
    ]
    for _, guideline in guidelines:
        guideline["category"] = GUIDELINES
    constitution = build(
        [*principles, *guidelines],
        **_head(root, given.path.stem),
        categories=[{"id": GUIDELINES, "title": "Guidelines"}] if guidelines else [],
    )
    counted = [f"{thing} ({number}): not taken over" for thing, number in sorted(notes.items())]
    return Imported(constitution, (*_notes(root), *counted))


def _criterion(entry: Value, what: str, notes: Counter[str]) -> dict[str, Any]:
    """A principle's data from a text, or from an object with a comparative."""
    if not isinstance(entry.data, dict):
        return {"comparison": entry.text()}
    reasoning = entry.optional("reasoning")
    for key in entry.others({"comparative", "reasoning"}):
        said = entry.child(key).data
        notes[f"`{key}` of {what}"] += len(said) if isinstance(said, list) else 1
    return {
        "comparison": entry.field("comparative").text(),
        "rationale": None if reasoning is None else reasoning.text(),
    }


def _guidelines(root: Value, notes: Counter[str]) -> Iterator[tuple[int, Value]]:
    """Those that can decide between two responses."""
    found = root.optional(GUIDELINES)
    number = 0
    for entry in found.items() if found is not None and found.data != [] else []:
        if isinstance(entry.data, dict) or _PREFERS.match(entry.text()):
            number += 1
            yield number, entry
        else:
            notes["guidelines that do not say what to prefer"] += 1


def _head(root: Value, stem: str) -> dict[str, Any]:
    summary, overview = _text(root, "summary"), _text(root, "overview")
    provenance = root.optional("provenance")
    origin = _text(provenance, "derived_from") if provenance else None
    return {
        "name": _text(root, "title") or _text(root, "id") or stem,
        "version": _version(root),
        "description": "\n\n".join(dict.fromkeys(filter(None, (summary, overview)))) or None,
        "licence": _text(root, "license"),
        "authors": _texts(provenance, "authored_by"),
        "sources": [*([origin] if origin else []), *_texts(provenance, "source_texts")],
    }


def _version(root: Value) -> str:
    version = root.optional("version")
    if version is None:
        return "1.0.0"
    if not _VERSION.fullmatch(version.text()):
        version.refuse("a version has the form 1.2.3")
    return ".".join(str(int(part)) for part in version.text().split("."))


def _text(value: Value, name: str) -> str | None:
    found = value.optional(name)
    return None if found is None or found.data == "" else found.text()


def _texts(value: Value | None, name: str) -> list[str]:
    found = None if value is None else value.optional(name)
    return [] if found is None else found.texts()


def _notes(root: Value) -> Iterator[str]:
    """One line for everything in the head that has no place."""
    if _text(root, "title") and (id := _text(root, "id")):  # noqa: A001
        yield f"`id` ('{id}'): not taken over; the name is the title"
    valence = _text(root, "valence")
    if valence == MISALIGNED:
        yield f"`valence` is misaligned: these principles ask for bad behaviour; each has the tag '{MISALIGNED}'"
    elif valence:
        yield f"`valence` ('{valence}'): not taken over"
    voices = root.optional("voices")
    for voice in VOICES if voices is not None and voices.data != {} else ():
        number = len(_texts(voices, voice))
        if number:
            yield f"`voices.{voice}` ({count(number, 'wording')}): not taken over; a principle has no voices"
    for key in root.others(_TAKEN):
        yield f"`{key}`{_shown(root.child(key))}: not taken over"
    provenance = root.optional("provenance")
    if provenance is None or provenance.data == {}:
        return
    for key in provenance.others(_PROVENANCE):
        yield f"`provenance.{key}`{_shown(provenance.child(key))}: not taken over"


def _shown(value: Value) -> str:
    if isinstance(value.data, str | bool | int) and len(str(value.data)) <= 60:
        return f" ({json.dumps(value.data, ensure_ascii=False)})"
    return f" ({count(len(value.data), 'entry')})" if isinstance(value.data, list) else ""


# writing -------------------------------------------------------------------------------------------------------------


def _render(constitution: Constitution) -> Rendered:
    principles, left_out = living(constitution)
    worded = [p for p in principles if p.comparison is not None]
    if not worded:
        raise nothing_fits(constitution, FORMAT.name, "a comparison")
    guidelines = [p for p in worded if p.category == GUIDELINES and _PREFERS.match(p.comparison or "")]
    if len(guidelines) == len(worded):
        guidelines = []  # there have to be criteria
    criteria = [p for p in worded if p not in guidelines]
    name = slug(constitution.name)
    misaligned = all(MISALIGNED in p.tags for p in worded)
    summary, _, overview = (constitution.description or "").partition("\n\n")
    data = {
        "schema_version": "1.1",
        "id": name,
        "title": constitution.name,
        "version": constitution.version.partition("-")[0].partition("+")[0],
        "role": "supplementary",
        "in_basis": False,
        "valence": MISALIGNED if misaligned else None,
        "summary": summary,
        "overview": overview,
        "criteria": [p.comparison for p in criteria],
        GUIDELINES: [p.comparison for p in guidelines],
        "license": constitution.licence,
        "provenance": _filled({"authored_by": constitution.authors, "source_texts": constitution.sources}),
    }
    return Rendered(
        files={f"{stem(constitution.name)}.json": json.dumps(_filled(data), indent=2, ensure_ascii=False) + "\n"},
        order=tuple(p.id for p in (*criteria, *guidelines)),
        left_out=(
            *left_out,
            *without([p for p in principles if p.comparison is None], "no comparison"),
        ),
    )


def _filled(data: dict[str, Any]) -> dict[str, Any]:
    """Without what says nothing."""
    return {key: value for key, value in data.items() if value is False or value}


def _detect(given: Given) -> bool:
    data = given.glance
    return isinstance(data, dict) and "criteria" in data


FORMAT = Format(
    name="constitutional-evals",
    about="Constitutional-Evals' JSON: `criteria` that say which response to prefer",
    detect=_detect,
    read=_read,
    render=_render,
)
