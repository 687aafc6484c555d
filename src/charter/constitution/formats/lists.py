"""A plain list of principles: a line, a paragraph or a Markdown list item each; headings are categories.

An item that says which of two answers to choose becomes a comparison as it is. Any other is a statement; it is quoted,
unchanged, in wordings from a template, and taken out again on the way back.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from charter.constitution.formats.base import (
    Format,
    Imported,
    Rendered,
    build,
    count,
    distinct,
    living,
    nothing_fits,
    slug,
    stem,
    without,
)
from charter.constitution.formats.given import Given
from charter.constitution.formats.markdown import SAID, Block, Outline, blocks, outline
from charter.constitution.formats.templates import PRINCIPLE
from charter.constitution.schema import Constitution, Principle
from charter.core.errors import InputError

COMPARISON = re.compile(
    r"(?:please )?(?:which|choose|pick|select|prefer|compare)\b.*"
    r"\b(?:responses?|answers?|repl(?:y|ies)|completions?|assistants?|options?|one)\b",
    re.IGNORECASE | re.DOTALL,
)
"""How an item begins that decides between two answers."""


@dataclass
class _Item:
    text: str
    line: int
    category: str | None


def _read(given: Given) -> Imported:
    found = blocks(given.prose())
    shape, by_line = outline(found), _by_line(found)
    in_bullets = any(block.kind == "item" for block in found)
    categories: dict[str, str] = {}
    items: list[_Item] = []
    notes: Counter[str] = Counter()
    current: str | None = None
    for block in found:
        if block.kind == "heading":
            current = _category(block, shape, categories, current)
        elif block.kind == "item" and block.level > 0 and items:
            items[-1].text += ("; " if items[-1].text[-1] not in ":;" else " ") + block.text
            notes["nested item: joined to the one above"] += 1
        elif block.kind == "item":
            items.append(_Item(block.text, block.line, current))
        elif block.kind == "paragraph" and not in_bullets:
            items += [_Item(text, line, current) for line, text in _lines(block, by_line)]
        else:
            notes[f"{block.kind} outside the list: not taken over"] += 1
    return Imported(_built(given, shape, categories, items), tuple(_counted(notes, items)))


def _counted(notes: Counter[str], items: list[_Item]) -> list[str]:
    made = sum(COMPARISON.match(item.text) is None for item in items)
    counted = [f"{count(number, what.partition(':')[0])}:{what.partition(':')[2]}" for what, number in notes.items()]
    if made:
        counted.append(
            f"the wordings of {count(made, 'principle')} are from a template that quotes the item: read them"
        )
    return counted


def _category(block: Block, shape: Outline, categories: dict[str, str], current: str | None) -> str | None:
    """The id of the category that a heading opens; deeper headings stay in theirs."""
    if block.level > shape.section or not block.text:
        return current
    if block.level < shape.section:
        return None
    title = block.text
    wanted = block.id or slug(title, otherwise="category")
    if categories.get(wanted) == title:
        return wanted
    id = distinct([*categories, wanted])[-1]  # noqa: A001
    categories[id] = title
    return id


def _by_line(found: list[Block]) -> bool:
    """Is each line a principle, and not each paragraph?"""
    paragraphs = [block for block in found if block.kind == "paragraph"]
    return len(paragraphs) == 1 or all(len(block.lines) == 1 for block in paragraphs)


def _lines(block: Block, by_line: bool) -> list[tuple[int, str]]:
    """The principles of a paragraph, each with its line."""
    if not by_line:
        return [(block.line, block.text)]
    return [(block.line + index, " ".join(line.split())) for index, line in enumerate(block.lines)]


def _built(given: Given, shape: Outline, categories: dict[str, str], items: list[_Item]) -> Constitution:
    if not items:
        cure = "write a principle on each line, or as items of a Markdown list"
        raise InputError("there is no list of principles here", where=given.path, cure=cure)
    ids = distinct(slug(item.text, 6) for item in items)
    used = {item.category for item in items}
    return build(
        [
            (given.line(item.line), {"id": id, "category": item.category, **_wordings(item.text)})
            for id, item in zip(ids, items, strict=True)  # noqa: A001
        ],
        name=shape.title or given.path.stem,
        categories=[{"id": id, "title": title or None} for id, title in categories.items() if id in used],  # noqa: A001
    )


def _wordings(text: str) -> dict[str, Any]:
    return {"comparison": text} if COMPARISON.match(text) else PRINCIPLE.of(text)


# writing -------------------------------------------------------------------------------------------------------------


def _render(constitution: Constitution) -> Rendered:
    principles, left_out = living(constitution)
    listed = [p for p in principles if p.comparison is not None]
    if not listed:
        raise nothing_fits(constitution, FORMAT.name, "a comparison, or wordings from the template")
    first = [p for p in listed if p.category is None]
    lines = [f"# {_one_line(constitution.name)}", "", *_items(first)]
    order = [p.id for p in first]
    for category in constitution.categories:
        members = [p for p in listed if p.category == category.id]
        if members:
            title = _one_line(category.title or category.id)
            mark = "" if slug(title, otherwise="category") == category.id else f" {{#{category.id}}}"
            lines += [f"## {title}{mark}", "", *_items(members)]
            order += [p.id for p in members]
    return Rendered(
        files={f"{stem(constitution.name)}.md": "\n".join(lines)},
        order=tuple(order),
        left_out=(*left_out, *without([p for p in principles if p.comparison is None], "no comparison")),
    )


def _items(principles: list[Principle]) -> list[str]:
    return [f"- {_one_line(PRINCIPLE.statement(p) or p.comparison or '')}" for p in principles] + [""] * bool(
        principles
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _detect(given: Given) -> bool:
    if not given.is_text:
        return False
    found = blocks(given.text)
    words = Counter[str]()
    for block in found:
        words[block.kind] += len(block.text.split())
    said = sum(words[kind] for kind in SAID if kind != "heading")
    if words["item"]:
        return words["item"] >= 0.7 * said and words["item"] >= words["code"] + words["table"]
    by_line = _by_line(found)
    lines = [line for block in found if block.kind == "paragraph" for _, line in _lines(block, by_line)]
    return len(lines) > 1 and set(words) <= {"paragraph", "heading"} and all(_is_sentence(line) for line in lines)


def _is_sentence(line: str) -> bool:
    """One principle, by its looks: words, a capital letter first, no more than a few sentences."""
    return 3 <= len(line.split()) <= 60 and line[0].isupper() and len(re.findall(r"[.!?](?=\s)", line)) <= 2


FORMAT = Format(
    name="list",
    about="plain text, a principle on each line, or a Markdown list; headings are categories",
    detect=_detect,
    read=_read,
    render=_render,
)
