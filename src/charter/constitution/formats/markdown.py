"""As much of Markdown as is needed to find what a text says, and where: headings, paragraphs and list items, apart from
code, quotations, tables, comments and front matter. Plain text is Markdown without any."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["heading", "paragraph", "item", "code", "quote", "table", "html", "front matter"]
SAID: tuple[Kind, ...] = ("heading", "paragraph", "item")
"""The kinds that say something themselves."""

LONGEST_TITLE = 200
"""In characters."""

_HEADING = re.compile(r" {0,3}(#{1,6})(?=\s)")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})\s*$")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_QUOTE = re.compile(r" {0,3}>")
_ITEM = re.compile(r"(\s*)(?:[-*+\u2022]|\d{1,3}[.)]|\([0-9a-zA-Z]{1,3}\)|[a-z][.)])\s+(?=\S)(?:\[[ xX]\]\s+)?")
_HTML = re.compile(r" {0,3}</?[a-zA-Z][^>]*>?")
_REFERENCE = re.compile(r" {0,3}\[[^\]]+\]:\s*\S")

_ASIDE = ("!!!", "???", ":::")
_ID = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?: [^{}]*)?\}")

_MARKS = (
    (re.compile(r"\[\^[^\]]*\]"), ""),
    (re.compile(r"!\[([^\]]*)\]\([^)]*\)"), ""),
    (re.compile(r"\[([^\]]*)\]\([^)]*\)"), r"\1"),
    (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])([*_])(?=[^\s*_])([^*_]+?)(?<=\S)\1(?![\w*])"), r"\2"),
    (re.compile(r"`([^`]+)`"), r"\1"),
)


@dataclass
class Block:
    """A piece of a text."""

    kind: Kind
    line: int
    """Its first, from 1."""
    lines: list[str] = field(default_factory=list)
    """Without the marks of its kind."""
    level: int = 0
    """Of a heading from 1 to 6; of a list item how deep it stands in other items, from 0."""

    @property
    def text(self) -> str:
        """In one line; of a heading without its attributes."""
        text = " ".join(" ".join(self.lines).split())
        return text.rpartition("{#")[0].strip() if self.kind == "heading" and _attributes(text) else text

    @property
    def id(self) -> str | None:
        """What a heading is called by links: `Honesty {#honesty}`."""
        found = _attributes(" ".join(" ".join(self.lines).split()))
        return found[1] if found and self.kind == "heading" else None


def _attributes(text: str) -> re.Match[str] | None:
    return _ID.fullmatch(text.rpartition("{#")[2]) if "{#" in text else None


def blocks(text: str) -> list[Block]:
    """The pieces of a text, in their order."""
    return _Parser(_without_comments(text).split("\n")).run()


def _without_comments(text: str) -> str:
    """Comments as white space, so that lines stay where they are."""
    pieces, at = [], 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start)) >= 0:
        pieces += [text[at:start], "".join("\n" if c == "\n" else " " for c in text[start : end + 3])]
        at = end + 3
    return "".join([*pieces, text[at:]])


class _Parser:
    """Goes from line to line; `open` is the paragraph or item that the next line may go on with."""

    def __init__(self, lines: list[str]) -> None:
        self.lines, self.at = lines, 0
        self.found: list[Block] = []
        self.open: Block | None = None
        self.indents: list[int] = []  # of the items that the next line may stand in
        self.blank = True

    def run(self) -> list[Block]:
        if self.lines[0].rstrip() == "---" and "---" in (line.rstrip() for line in self.lines[1:]):
            self._until(lambda line: line.rstrip() == "---", "front matter")
        while self.at < len(self.lines):
            self._line(self.lines[self.at])
        return self.found

    def _line(self, line: str) -> None:
        if not line.strip():
            self.open, self.blank = None if self.open and self.open.kind == "paragraph" else self.open, True
            self.at += 1
        elif not (self._special(line) or self._underline(line) or self._item(line) or self._goes_on(line)):
            self._paragraph(line)

    def _special(self, line: str) -> bool:
        """Everything but items and paragraphs."""
        fence = _FENCE.match(line)
        heading = _HEADING.match(line)
        if fence:
            mark = fence[1]
            self._until(lambda other: other.strip().startswith(mark) and not other.strip().strip(mark[0]), "code")
        elif heading:
            self._add(Block("heading", self.at + 1, [_heading(line[heading.end() :])], len(heading[1])))
            self._close()
        elif _is_rule(line) and not (self.open and self.open.kind == "paragraph" and _UNDERLINE.match(line)):
            self.at += 1
            self._close()
        elif _QUOTE.match(line.lstrip() if self.indents else line) or line.lstrip().startswith(_ASIDE):
            self._while_filled("quote")
        elif _HTML.match(line):
            self._while_filled("html")
        elif "|" in line and self.at + 1 < len(self.lines) and _divides_table(self.lines[self.at + 1]):
            self._while_filled("table")
        elif _REFERENCE.match(line) and self.blank:
            self.at += 1
        elif self.blank and not self.indents and re.match(r" {4}|\t", line):
            self._while_filled("code")
        else:
            return False
        return True

    def _underline(self, line: str) -> bool:
        """A line that makes a heading of the paragraph above it."""
        if not (self.open and self.open.kind == "paragraph" and len(self.open.lines) == 1 and _UNDERLINE.match(line)):
            return False
        self.open.kind, self.open.level = "heading", 1 if line.strip().startswith("=") else 2
        self.at += 1
        self._close()
        return True

    def _item(self, line: str) -> bool:
        found = _ITEM.match(line.expandtabs(4))
        if not found or (self.open and self.open.kind == "paragraph" and not re.match(r"\s*([-*+\u2022]|1[.)])", line)):
            return False
        indent = len(found[1])
        while self.indents and indent < self.indents[-1]:
            self.indents.pop()
        block = Block("item", self.at + 1, [line.expandtabs(4)[found.end() :]], len(self.indents))
        self.indents.append(indent + 1)
        self._add(block)
        self.open, self.blank = block, False
        return True

    def _goes_on(self, line: str) -> bool:
        """Does the line belong to the open block?"""
        if self.open is None:
            return False
        if self.open.kind == "item" and self.blank and not line.startswith((" ", "\t")):
            return False
        self.open.lines.append(line.strip())
        self.at, self.blank = self.at + 1, False
        return True

    def _paragraph(self, line: str) -> None:
        self._close()
        self.open, self.blank = Block("paragraph", self.at + 1, [line.strip()]), False
        self._add(self.open)

    def _add(self, block: Block) -> None:
        self.found.append(block)
        self.at += 1

    def _close(self) -> None:
        self.open, self.indents, self.blank = None, [], True

    def _until(self, ends: Callable[[str], bool], kind: Kind) -> None:
        """Up to and with the line that ends it."""
        block = Block(kind, self.at + 1)
        self._add(block)
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            if ends(line):
                break
            block.lines.append(line)
        self.blank = True

    def _while_filled(self, kind: Kind) -> None:
        """Up to the next empty line."""
        block = Block(kind, self.at + 1)
        self.found.append(block)
        while self.at < len(self.lines) and self.lines[self.at].strip():
            block.lines.append(self.lines[self.at])
            self.at += 1
        self.open = None


def _heading(text: str) -> str:
    """Without the marks that may close it."""
    text = text.strip()
    bare = text.rstrip("#")
    return bare.rstrip() if not bare or bare[-1].isspace() else text


def _is_rule(line: str) -> bool:
    marks = "".join(line.split())
    return len(marks) > 2 and marks[0] in "-*_" and not marks.strip(marks[0])


def _divides_table(line: str) -> bool:
    return "|" in line and "-" in line and not line.strip("|:- \t") and not _ITEM.match(line)


def plain(text: str) -> str:
    """Without emphasis, links and code marks."""
    for mark, replacement in _MARKS:
        text = mark.sub(replacement, text)
    return text


# sentences -----------------------------------------------------------------------------------------------------------

_END = re.compile(r"(?<![.!?\u2026])[.!?\u2026]++[\"'\u2019\u201d)\]*_]*+(?=\s+[\"'\u2018\u201c(\[*_`]*[A-Z0-9])")
_NO_END = re.compile(r"(?:^|[\s(])(?:e\.g|i\.e|etc|vs|cf|no|nos|p|pp|Dr|Mr|Mrs|Ms|Prof|St|approx|[A-Z])\.$")


def sentences(block: Block) -> Iterator[tuple[int, str]]:
    """The sentences of a block, each with its line, in one line and otherwise as they stand."""
    text = "\n".join(block.lines)
    start, line = 0, block.line
    for end in [found.end() for found in _END.finditer(text)] + [len(text)]:
        if end < len(text) and _NO_END.search(text[max(start, end - 10) : end]):
            continue
        piece = text[start:end]
        sentence = " ".join(piece.split())
        if sentence:
            yield line + piece[: len(piece) - len(piece.lstrip())].count("\n"), sentence
        line, start = line + piece.count("\n"), end


# headings ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outline:
    """What the headings of a text say about it."""

    title: str | None
    """The one heading that stands above all others."""
    section: int
    """The level of the headings that divide it; 0 where there are none."""


def outline(found: list[Block]) -> Outline:
    """The title and the level of the sections."""
    headings = [block for block in found if block.kind == "heading" and block.text]
    levels = sorted({block.level for block in headings})
    if not headings:
        return Outline(None, 0)
    top = [block for block in headings if block.level == levels[0]]
    first = next(block for block in found if block.kind in SAID)
    if len(top) == 1 and top[0] is first and (levels[0] == 1 or len(levels) > 1):
        return Outline(plain(top[0].text[:LONGEST_TITLE]), levels[1] if len(levels) > 1 else 0)
    return Outline(None, levels[0])
