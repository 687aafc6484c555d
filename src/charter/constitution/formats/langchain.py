"""LangChain's principles, as JSON or YAML: the fields of its ConstitutionalPrinciple.

    [{"name": ..., "critique_request": ..., "revision_request": ...}, ...]          or a mapping from names to the rest

A name becomes the id, with other characters than an id may have replaced.
"""

from __future__ import annotations

import json
import re
from typing import Any

from charter.constitution.formats.base import (
    IDENTIFIER,
    Format,
    Imported,
    Rendered,
    build,
    count,
    distinct,
    living,
    nothing_fits,
    slug,
    some,
    stem,
    without,
)
from charter.constitution.formats.given import Given, Value
from charter.constitution.schema import Constitution

UNNAMED = "Constitutional Principle"
"""LangChain's name for a principle that has none."""

_KEYS = {"name", "critique_request", "revision_request"}
_IN_YAML = re.compile(r"^[\s-]*[\"']?critique_request[\"']?\s*:", re.MULTILINE)

_OURS = re.compile(r"^(principles|extends)\s*:", re.MULTILINE)


def _read(given: Given) -> Imported:
    named = _named(given.root)
    ids = distinct(name if IDENTIFIER.fullmatch(name) else slug(name, 12) for name, _ in named)
    principles = [
        (
            entry.place,
            {
                "id": id,
                "critique": entry.field("critique_request").text(),
                "revision": entry.field("revision_request").text(),
            },
        )
        for id, (_, entry) in zip(ids, named, strict=True)  # noqa: A001
    ]
    renamed = [f"'{name}' to {id}" for id, (name, _) in zip(ids, named, strict=True) if id != name]  # noqa: A001
    notes = [f"{count(len(renamed), 'name')} changed, to make ids of them: {some(renamed)}"] if renamed else []
    unknown = {key for _, entry in named for key in entry.others(_KEYS)}
    notes += [f"`{key}` of the principles: the key is not known; not taken over" for key in sorted(unknown)]
    return Imported(build(principles, name=given.path.stem), tuple(notes))


def _named(root: Value) -> list[tuple[str, Value]]:
    """The principles by name."""
    if not isinstance(root.data, dict):
        found = [(entry.optional("name"), entry) for entry in root.items()]
        return [(UNNAMED if name is None else name.text(), entry) for name, entry in found]
    return [(_name_of(key, entry), entry) for key, entry in root.mapping().items()]


def _name_of(key: str, entry: Value) -> str:
    name = entry.optional("name")
    return key if name is None else name.text()


def _render(constitution: Constitution) -> Rendered:
    principles, left_out = living(constitution)
    pairs = [p for p in principles if p.critique is not None and p.revision is not None]
    if not pairs:
        raise nothing_fits(constitution, FORMAT.name, "a critique and a revision")
    data = [{"name": p.id, "critique_request": p.critique, "revision_request": p.revision} for p in pairs]
    return Rendered(
        files={f"{stem(constitution.name)}.json": json.dumps(data, indent=2, ensure_ascii=False) + "\n"},
        order=tuple(p.id for p in pairs),
        left_out=(
            *left_out,
            *without([p for p in principles if p.revision is None], "only a comparison"),
            *without([p for p in principles if p.revision and not p.critique], "a revision without a critique"),
        ),
    )


def _detect(given: Given) -> bool:
    if given.is_yaml:
        return bool(_IN_YAML.search(given.text)) and not re.search(
            r"^(principles|extends)\s*:", given.text, re.MULTILINE
        )
    data = given.glance
    entries = list(data.values()) if isinstance(data, dict) else data if isinstance(data, list) else []
    return any(_is_principle(entry) for entry in entries)


def _is_principle(entry: Any) -> bool:
    return isinstance(entry, dict) and bool({"critique_request", "revision_request"} & entry.keys())


FORMAT = Format(
    name="langchain",
    about="LangChain's principles as JSON or YAML: `name`, `critique_request`, `revision_request`",
    detect=_detect,
    read=_read,
    render=_render,
)
