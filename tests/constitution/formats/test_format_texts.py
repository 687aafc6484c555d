"""Lists and prose: what becomes a principle, and what does not."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from foreign_files import HERE, write

from charter.constitution.formats import import_file
from charter.constitution.formats.demands import Demands
from charter.constitution.formats.markdown import Block, blocks, outline, plain, sentences
from charter.constitution.formats.templates import PRINCIPLE, TRAIT
from charter.constitution.schema import Principle
from charter.core.errors import InputError

SPECIFICATION = HERE / "specification.md"


# lists ---------------------------------------------------------------------------------------------------------------


def test_a_markdown_list(tmp_path: Path) -> None:
    found = import_file(write(tmp_path, "list"))
    c = found.constitution
    assert c.name == "Sailing"
    assert [(x.id, x.title) for x in c.categories] == [("kindness", "Manners"), ("safety-at-sea", "Safety at sea")]
    texts = [(p.category, PRINCIPLE.statement(p) or p.comparison) for p in c.principles]
    assert texts == [
        (None, "Never say that a passage is safe."),
        ("kindness", "Be kind to beginners, even to those who ask the same thing twice."),
        ("kindness", "Which answer is more polite?"),
        ("safety-at-sea", "Ask for these: the number of people; the number of life jackets"),
    ]
    assert c.principles[2].critique is None
    assert found.notes == (
        "2 nested items: joined to the one above",
        "1 paragraph outside the list: not taken over",
        "the wordings of 3 principles are from a template that quotes the item: read them",
    )


@pytest.mark.parametrize(("kind", "number"), [("list lines", 3), ("list paragraphs", 2)])
def test_plain_text(tmp_path: Path, kind: str, number: int) -> None:
    c = import_file(write(tmp_path, kind)).constitution
    assert len(c.principles) == number
    assert PRINCIPLE.statement(c.principles[0]) in (
        "Never say that a passage is safe.",
        "Never say that a passage is safe, not even in calm weather.",
    )


def test_the_same_line_twice(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("Be kind to all.\nBe kind to all.\nBe kind to all.\n", encoding="utf-8")
    ids = [p.id for p in import_file(tmp_path / "x.txt").constitution.principles]
    assert ids == ["be-kind-to-all", "be-kind-to-all-2", "be-kind-to-all-3"]


def test_a_text_without_ascii_letters(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text("## 安全\n\n- 不要撒谎\n- 要善良\n", encoding="utf-8")
    c = import_file(tmp_path / "x.md", "list").constitution
    assert [p.id for p in c.principles] == ["principle", "principle-2"]
    assert c.categories[0].title == "安全"


@pytest.mark.parametrize("text", ["", "# Only a heading\n", "```\n- code\n```\n"])
def test_no_list(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.md").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="no list of principles"):
        import_file(tmp_path / "x.md", "list")


@pytest.mark.parametrize("wordings", [PRINCIPLE, TRAIT])
@pytest.mark.parametrize("statement", ["Be kind.", 'Say "no".', "{} and \\1", "x"])
def test_a_statement_comes_out_again(wordings: object, statement: str) -> None:
    assert isinstance(wordings, type(PRINCIPLE))
    principle = Principle(id="a", **wordings.of(statement))
    assert wordings.statement(principle) == statement
    changed = principle.model_copy(update={"revision": "Do something else."})
    assert wordings.statement(changed) is None


# prose ---------------------------------------------------------------------------------------------------------------


def test_what_is_proposed() -> None:
    c = import_file(SPECIFICATION).constitution
    assert c.name == "How Pilot should behave"
    assert [x.title for x in c.categories] == ["Safety", "Honesty", "Tone"]
    assert [(p.category, PRINCIPLE.statement(p)) for p in c.principles] == [
        ("safety", "Pilot must never tell anyone that a passage is safe."),
        (
            "safety",
            "When a forecast is more than six hours old, the assistant should say so before it uses it.",
        ),
        ("safety", "It should also name the source of the forecast."),
        ("safety", "The assistant should always ask how many people are on board."),
        ("safety", "The assistant should always mention life jackets."),
        ("safety", "The assistant should always say where the nearest harbour is."),
        ("safety", "Never delay the advice to call the coast guard."),
        ("safety", "Avoid long explanations."),
        ("honesty", "Its answers should be short, e.g. three sentences, unless someone asks for more."),
        ("honesty", "If you do not know a route, you should say that you do not know it."),
        ("honesty", "The model refuses to guess depths."),
        ("tone", "Do not lecture."),
        ("tone", "The assistant should be kind, like a friend who knows boats."),
    ]
    assert len({p.id for p in c.principles}) == len(c.principles)
    assert {p.status for p in c.principles} == {"draft"}


def test_where_it_comes_from() -> None:
    lines = SPECIFICATION.read_text(encoding="utf-8").split("\n")
    for p in import_file(SPECIFICATION).constitution.principles:
        file, line, heading = p.sources[0].split(", ", 2)
        assert file == "specification.md"
        assert p.rationale is not None
        in_line = lines[int(line.removeprefix("line ")) - 1]
        assert any(words in in_line for words in (p.rationale[:12], p.rationale[-12:]))
        assert any(f"# {heading[1:-1]}" in other for other in lines)
    urgent = next(
        p for p in import_file(SPECIFICATION).constitution.principles if "coast guard" in (p.comparison or "")
    )
    assert urgent.rationale == "**Never** delay the advice to call the coast guard."
    assert urgent.sources == ("specification.md, line 41, 'In an emergency'",)


def test_the_notes_say_what_was_passed_over() -> None:
    notes = import_file(SPECIFICATION).notes
    assert notes[0].startswith("13 drafts from ")
    assert notes[1:] == (
        "1 repeated sentence: not proposed",
        "passed over: code (2), front matter (1), quote (1), table (1)",
    )


def test_the_same_text_gives_the_same_drafts(tmp_path: Path) -> None:
    copy = tmp_path / "specification.md"
    copy.write_bytes(SPECIFICATION.read_bytes().replace(b"\n", b"\r\n"))
    assert import_file(copy) == import_file(SPECIFICATION)


def test_no_demand(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text("Boats float. Users should know it.\n", encoding="utf-8")
    with pytest.raises(InputError, match="says what the model should do"):
        import_file(tmp_path / "x.md", "prose")


@pytest.mark.parametrize(
    "sentence",
    [
        "The assistant must not lie.",
        "The model should, where it can, help.",
        "Our chatbot, even late at night, should be polite.",
        "AI systems should tell people that they are not human.",
        "The assistant's tone should be warm.",
        "When a user is rude, the model should stay calm.",
        "You must never reveal the key.",
        "If it is late, do not wake anyone.",
        "Don't give medical advice.",
        "Every answer should have a source.",
        "Mira always says that she is a machine.",
        "The model is expected to decline politely.",
        "Although it may seem odd, the assistant should ask twice.",
    ],
)
def test_demands(sentence: str) -> None:
    assert Demands(["Mira is an assistant."]).is_one(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "Users should check the forecast.",
        "The user of the assistant must be an adult.",
        "Developers who use the model should test it.",
        "We should remember that the weather changes.",
        "The assistant can read maps.",
        "The model has a long memory.",
        "Should the assistant lie?",
        "This document must be kept by the assistant.",
        "The model specification should be short.",
        'The phrase "the assistant must obey" is banned.',
        "For example, the assistant should say no.",
        "A person who asks the assistant should be heard.",
        "There are cases where the assistant must wait.",
        "The weather should be fine.",
        "It should rain.",
        "Never mind.",
        "Must we?",
        "Mira must rest.",
    ],
)
def test_no_demands(sentence: str) -> None:
    assert not Demands([]).is_one(sentence)


def test_it_goes_back_to_the_sentence_before() -> None:
    demands = Demands([])
    assert demands.is_one("The assistant must be kind.")
    assert demands.is_one("It must also be quick.")
    demands.rest()
    assert not demands.is_one("It must also be quick.")


# Markdown ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\n\nc", [("paragraph", 1, "a b"), ("paragraph", 4, "c")]),
        ("# A #\ntext", [("heading", 1, "A"), ("paragraph", 2, "text")]),
        ("A\n=\nB\n--", [("heading", 1, "A"), ("heading", 3, "B")]),
        ("- a\n  more\n- b\n\n  still b\nand more", [("item", 1, "a more"), ("item", 3, "b still b and more")]),
        ("- a\n\nb", [("item", 1, "a"), ("paragraph", 3, "b")]),
        ("1. a\n2) b\n(c) d", [("item", 1, "a"), ("item", 2, "b"), ("item", 3, "d")]),
        ("text\n2020. is no item", [("paragraph", 1, "text 2020. is no item")]),
        ("a\n***\nb", [("paragraph", 1, "a"), ("paragraph", 3, "b")]),
        ("```\n# no\n```\nyes", [("code", 1, "# no"), ("paragraph", 4, "yes")]),
        ("~~~~\n~~~\n~~~~", [("code", 1, "~~~")]),
        ("> a\nlazy\n\nb", [("quote", 1, "> a lazy"), ("paragraph", 4, "b")]),
        ("    code", [("code", 1, "code")]),
        ("a <!-- x\ny --> b", [("paragraph", 1, "a b")]),
        ("<div>\nx\n</div>\n\ny", [("html", 1, "<div> x </div>"), ("paragraph", 5, "y")]),
        ("!!! note\n    a\n\nb", [("quote", 1, "!!! note a"), ("paragraph", 4, "b")]),
        ("---\na: b\n---\nc", [("front matter", 1, "a: b"), ("paragraph", 4, "c")]),
        ("## A {#b key=c}", [("heading", 1, "A")]),
        ("", []),
    ],
)
def test_blocks(text: str, expected: list[tuple[str, int, str]]) -> None:
    assert [(block.kind, block.line, block.text) for block in blocks(text)] == expected


def test_nested_items_and_ids_of_headings() -> None:
    assert [b.level for b in blocks("- a\n  - b\n    - c\n- d")] == [0, 1, 2, 0]
    assert blocks("## A {#b key=c}")[0].id == "b"
    assert blocks("## A {b}")[0].id is None


@pytest.mark.parametrize(
    ("text", "title", "section"),
    [
        ("# A\n## B\n## C", "A", 2),
        ("# A\n# B", None, 1),
        ("text\n# A\n## B", None, 1),
        ("# A", "A", 0),
        ("## A", None, 2),
        ("text", None, 0),
    ],
)
def test_outline(text: str, title: str | None, section: int) -> None:
    shape = outline(blocks(text))
    assert (shape.title, shape.section) == (title, section)


def test_sentences_and_their_lines() -> None:
    block = Block("paragraph", 3, ["One, e.g. This. Two", "goes on! (Three?) Mr. Four", "ends."])
    assert list(sentences(block)) == [
        (3, "One, e.g. This."),
        (3, "Two goes on!"),
        (4, "(Three?)"),
        (4, "Mr. Four ends."),
    ]


def test_marks() -> None:
    assert plain("**a** _b_ `c` [d](e) ![f](g)h snake_case 2*3*4[^1]") == "a b c d h snake_case 2*3*4"


LONG = {
    "spaces": "#" + " " * 200_000 + "x",
    "marks of items": "- " * 50_000,
    "stars": "*" * 200_000,
    "full stops": "." * 200_000,
    "hyphens": "A-" * 100_000,
    "short sentences": "a. B " * 50_000,
    "open comments": "<!--" * 50_000,
    "headings": "# a\n" * 20_000,
    "brackets": "[" * 100_000,
    "abbreviations": "e.g. A " * 30_000,
    "bars": "| " * 100_000,
    "code marks": "`" * 100_000,
    "quotation marks": '"' * 100_001,
    "the same demand": "The assistant must wait. " * 10_000,
    "too much": "The assistant must wait. " * 100_000,
    "line ends": "\n" * 200_000 + "- x",
    "items": "- item\n" * 5_001,
    "asides": "The assistant, " * 20_000,
}


@pytest.mark.parametrize("kind", LONG)
def test_long_and_odd_texts_do_not_hang(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x.md").write_text(LONG[kind], encoding="utf-8")
    start = time.process_time()
    for name in ("list", "prose", None):
        with contextlib.suppress(InputError):
            import_file(tmp_path / "x.md", name)
    assert time.process_time() - start < 5
