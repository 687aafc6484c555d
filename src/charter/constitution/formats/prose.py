"""A long document in prose, such as a model specification: its demands on the model are proposed as draft principles.

What is a demand is told by `demands.py`: precision comes before recall. Code, tables, quotations, examples and sections
for other readers are left alone. A list that is led in by the beginning of a demand ("The assistant must never:") is
read with it. No model is needed, and the same text gives the same drafts.

Each draft quotes the sentence in wordings from a template, has it unchanged as its rationale, and says where it comes
from. The sections of the document become categories.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from charter.constitution.formats.base import Format, Imported, build, count, distinct, slug
from charter.constitution.formats.demands import Demands
from charter.constitution.formats.given import Given
from charter.constitution.formats.markdown import SAID, Block, Outline, blocks, outline, plain, sentences
from charter.constitution.formats.templates import PRINCIPLE
from charter.core.errors import InputError

LONGEST = 600
"""In characters; a longer sentence is not one principle."""
FEWEST_SENTENCES, FEWEST_WORDS = 8, 120
"""A shorter text is not known as prose; it can still be read as it."""

_PASSED_OVER = re.compile(
    r"\b(?:examples?|glossary|definitions?|changelog|change log|history|references|acknowledge?ments|licen[cs]e"
    r"|contributing|about this|how to read|contents|appendix|for (?:the )?(?:users?|developers?|operators?|authors?"
    r"|contributors?|reviewers?|annotators?|readers?|maintainers?))\b",
    re.IGNORECASE,
)
"""Headings of sections that do not speak to the model."""

_SMALL_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an the it its they you i he she we and or but if when where that this these those to of in on at by for from"
        " with as be is are was were been has have had do does should must shall ought need needs will would can may"
        " also then so than not into assistant model chatbot bot agent ai system always expected required",
    )
)


@dataclass(frozen=True, slots=True)
class _Draft:
    statement: str
    """What is quoted in the wordings."""
    sentence: str
    """As it stands in the document."""
    line: int
    heading: str | None
    category: str | None


@dataclass
class _Reader:
    """Goes through a document, section by section."""

    shape: Outline
    demands: Demands
    drafts: dict[str, _Draft] = field(default_factory=dict)
    """By statement."""
    notes: Counter[str] = field(default_factory=Counter)
    categories: dict[str, str] = field(default_factory=dict)
    heading: str | None = None
    category: str | None = None
    passing: int = 0
    """The level of the heading under which nothing is proposed; 0 for none."""
    lead: str | None = None
    """What a list begins with that its items go on with."""
    lead_demands: bool = False

    def read(self, found: list[Block]) -> None:
        """Collect the drafts."""
        for block in found:
            self.demands.rest()
            if block.kind == "heading":
                self._heading(block)
            elif block.kind in SAID and not self.passing:
                self._block(block)
            else:
                self.lead = None

    def _heading(self, block: Block) -> None:
        self.lead, self.heading = None, plain(block.text[:LONGEST]) or None
        if not self.passing or block.level <= self.passing:
            is_title = self.shape.title is not None and block.level < self.shape.section
            self.passing = block.level if not is_title and _PASSED_OVER.search(block.text) else 0
        if block.level <= self.shape.section and self.heading:
            self.category = None
            if block.level == self.shape.section:
                self.category = block.id or slug(self.heading, otherwise="section")
                self.categories.setdefault(self.category, self.heading)

    def _block(self, block: Block) -> None:
        if block.kind == "item" and self.lead is not None:
            self._go_on(block, self.lead)
            return
        self.lead = None
        for line, sentence in sentences(block):
            if len(sentence) > LONGEST:
                self.notes["sentence too long to be a principle"] += 1
            elif sentence.endswith(":") and block.text.endswith(sentence):
                begins = self.demands.begins_here(sentence)
                self.lead, self.lead_demands = (None if begins is None else sentence), bool(begins)
            elif self.demands.is_one(sentence):
                self._propose(plain(sentence), sentence, line)

    def _go_on(self, block: Block, lead: str) -> None:
        """An item that ends the sentence that its list begins with."""
        if not self.lead_demands or block.level > 0:
            return
        sentence = next(text for _, text in sentences(block))
        rest = plain(sentence[: LONGEST + 1]).rstrip(";,")
        rest = re.sub(r",? (?:and|or)$", "", rest)
        rest = rest if rest[:2].isupper() else rest[:1].lower() + rest[1:]
        statement = f"{plain(lead).removesuffix(':')} {rest}" + "." * (rest[-1:] not in (".", "!"))
        if len(statement) <= LONGEST:
            self._propose(statement, f"{lead} {block.text}", block.line)

    def _propose(self, statement: str, sentence: str, line: int) -> None:
        if statement in self.drafts:
            self.notes["repeated sentence"] += 1
        else:
            self.drafts[statement] = _Draft(statement, sentence, line, self.heading, self.category)


def _read(given: Given) -> Imported:
    found = blocks(given.prose())
    shape = outline(found)
    reader = _Reader(shape, Demands(block.text for block in found if block.kind in SAID))
    reader.read(found)
    drafts = list(reader.drafts.values())
    if not drafts:
        cure = "write the demands as a list, and import it with --format list"
        raise InputError("no sentence here says what the model should do", where=given.path, cure=cure)
    names = distinct(_id(draft.statement) for draft in drafts)
    used = {draft.category for draft in drafts}
    constitution = build(
        [
            (given.line(draft.line), {"id": name, **_principle(draft, given.path.name)})
            for name, draft in zip(names, drafts, strict=True)
        ],
        name=shape.title or given.path.stem,
        categories=[{"id": key, "title": title} for key, title in reader.categories.items() if key in used],
    )
    return Imported(constitution, tuple(_notes(found, reader)))


def _principle(draft: _Draft, file: str) -> dict[str, object]:
    under = f", '{draft.heading}'" if draft.heading else ""
    return {
        "category": draft.category,
        **PRINCIPLE.of(draft.statement),
        "rationale": draft.sentence,
        "sources": [f"{file}, line {draft.line}{under}"],
        "status": "draft",
    }


def _id(statement: str) -> str:
    words = re.findall(r"[a-z0-9]+", statement.lower().replace("'", ""))
    return slug(" ".join(word for word in words if word not in _SMALL_WORDS), 6)


def _notes(found: list[Block], reader: _Reader) -> Iterator[str]:
    total = sum(1 for block in found if block.kind in ("paragraph", "item") for _ in sentences(block))
    found_in = f"{count(len(reader.drafts), 'draft')} from {count(total, 'sentence')}"
    yield f"{found_in}: read them, and read the text for what is missing"
    for what, number in sorted(reader.notes.items()):
        yield f"{count(number, what)}: not proposed"
    passed = Counter(block.kind for block in found if block.kind not in SAID)
    if passed:
        pieces = ", ".join(f"{kind} ({number})" for kind, number in sorted(passed.items()))
        yield f"passed over: {pieces}"


def _detect(given: Given) -> bool:
    if not given.is_text:
        return False
    found = blocks(given.text)
    words: Counter[str] = Counter()
    for block in found:
        words[block.kind] += len(block.text.split())
    ends = sum(1 for block in found if block.kind == "paragraph" for _ in sentences(block))
    mostly = words["paragraph"] > 0.4 * (words["paragraph"] + words["item"])
    return mostly and ends >= FEWEST_SENTENCES and words["paragraph"] >= FEWEST_WORDS


FORMAT = Format(
    name="prose",
    about="a long document in prose, such as a model specification: its demands are proposed as drafts",
    detect=_detect,
    read=_read,
    render=None,
)
