"""The text that lexical rules read: quotes, sentences, negations."""

from __future__ import annotations

import re

import pytest

from charter.constitution.lint.text import MAX_CHARACTERS, Text


@pytest.mark.parametrize(
    ("raw", "word", "expected"),
    [
        ("do not be preachy", "preachy", True),
        ("without refusing", "refusing", True),
        ("which answer is less formal?", "formal", True),
        ("avoid toxic, racist, or sexist words", "sexist", True),
        ("rather than a lecture", "lecture", True),
        ("it doesn't preach", "preach", True),
        ("it doesn’t preach", "preach", True),
        ("is it too long?", "long", True),
        ("prefer the one that answers over the one that refuses", "refuses", True),
        ("never be rude", "rude", True),
        ("be preachy", "preachy", False),
        ("do not lecture, but be frank", "frank", False),
        ("Do not lecture. Be frank.", "frank", False),
        ("without harm and with a reason", "reason", False),
        ("do not avoid detail", "detail", False),
        ("do not lecture and explain the reason", "explain", False),
        ("not short, not brief", "brief", True),
        ("nobody here would ever in all their life say such a thing as formal words", "formal", False),
    ],
)
def test_negation(raw: str, word: str, expected: bool) -> None:
    text = Text(raw)
    assert text.negated(text.low.index(word)) is expected


@pytest.mark.parametrize(
    ("raw", "visible"),
    [
        ('say "harm" twice', False),
        ("say “harm” twice", False),
        ("say 'harm' twice", False),
        ("say ‘harm’ twice", False),
        ("say `harm` twice", False),
        ("the users' harm is the people's harm", True),
        ("don't harm and don't stop", True),
        ('an open " and harm', True),
    ],
)
def test_quotes(raw: str, visible: bool) -> None:
    text = Text(raw)
    assert text.has(re.compile("harm")) is visible
    assert len(text.low) == len(raw)


def test_sentences() -> None:
    text = Text("Look at it, e.g. here. Is it so?  Then stop!\n\nA new one")
    assert [text.low[a:b].strip() for a, b in text.sentences] == [
        "look at it, e.g. here.",
        "is it so?",
        "then stop!",
        "a new one",
    ]


def test_odd_letters_keep_their_place() -> None:
    text = Text("İstanbul: NOT harm")
    assert len(text.low) == len(text.raw)
    assert text.negated(text.low.index("harm"))


def test_words_of_languages_without_spaces() -> None:
    assert Text("有害です").length == 4
    assert Text("don't be self-centred").length == 3


def test_only_the_beginning_of_an_endless_text_is_read() -> None:
    assert len(Text("word " * MAX_CHARACTERS).low) == MAX_CHARACTERS
