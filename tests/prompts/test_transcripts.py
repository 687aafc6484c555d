"""The Human/Assistant parser: nothing is lost, nothing is cut."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.core.records import assistant, user
from charter.prompts import transcripts
from charter.prompts.transcripts import parse, render

HH = Path(__file__).parents[2].parent / "shared" / "data" / "hh-rlhf" / "harmless-base.test.first1000.jsonl.gz"


def test_a_sound_transcript() -> None:
    transcript = parse("\n\nHuman: hello\n\nAssistant: hi\n\nHuman: bye")
    assert transcript.messages == (user("hello"), assistant("hi"), user("bye"))
    assert transcript.before == ""
    assert transcript.oddities == ()


def test_paragraphs_and_colons_stay_whole() -> None:
    """A parser that splits on empty lines or on ": " cuts such prompts to pieces."""
    question = "Two things:\n\n1. note: this\n\n2. that\n\n\nMany thanks: X"
    answer = "Sure: first, open it.\n\nHuman beings: do so often.\nHuman: said someone in the middle\n"
    transcript = parse(f"\n\nHuman: {question}\n\nAssistant: {answer}")
    assert transcript.messages == (user(question), assistant(answer))


@pytest.mark.parametrize(
    "text",
    [
        "Human: hello\n\nAssistant: hi",
        "\n\nHuman:hello\n\nAssistant:hi",
        "\r\n\r\nHuman: hello\r\n\r\nAssistant: hi",
        "\n\n\n Human: hello\n\nAssistant: hi",
    ],
)
def test_variants_of_the_markers(text: str) -> None:
    assert parse(text).messages == (user("hello"), assistant("hi"))
    assert render(parse(text)) == text


def test_only_the_one_space_after_the_colon_is_not_content() -> None:
    assert parse("\n\nHuman:  indented \n\nAssistant: ").messages == (user(" indented "), assistant(""))


@pytest.mark.parametrize(
    ("text", "oddities"),
    [
        ("", {transcripts.NO_TURNS}),
        ("just words", {transcripts.NO_TURNS, transcripts.TEXT_BEFORE}),
        ("Note.\n\nHuman: hello", {transcripts.TEXT_BEFORE}),
        ("\n\nAssistant: hi\n\nHuman: hello", {transcripts.ASSISTANT_FIRST}),
        ("\n\nHuman: \n\nAssistant: hi", {transcripts.EMPTY_TURN}),
        ("\n\nHuman: a\n\nHuman: b", {transcripts.TWO_HUMAN}),
        ("\n\nHuman: a\n\nAssistant: b\n\nAssistant: c", {transcripts.TWO_ASSISTANT}),
        ("\n\nHuman: a\n\nAssistant: Human: b", {transcripts.SPEAKER_INSIDE}),
        ("\n\nHuman: a\nAssistant: b", {transcripts.SPEAKER_INSIDE}),
    ],
)
def test_oddities_have_names(text: str, oddities: set[str]) -> None:
    assert set(parse(text).oddities) == oddities


def test_turns_in_a_row_become_one_message() -> None:
    assert parse("\n\nHuman: a\n\nHuman: b\n\nAssistant: c\n\nAssistant:  d").messages == (
        user("a\n\nb"),
        assistant("c\n\n d"),
    )


PIECES = st.lists(
    st.sampled_from(["\n", "\n\n", "\r\n", " ", "Human:", "Assistant:", "Human", ": ", "\n\nHuman: ", "\n\nAssistant:"])
    | st.text(max_size=5),
    max_size=12,
).map("".join)


@settings(max_examples=200, deadline=None)
@given(PIECES)
def test_render_undoes_parse(text: str) -> None:
    transcript = parse(text)
    assert render(transcript) == text
    assert all(turn.content in "".join(m.content for m in transcript.messages) for turn in transcript.turns)


CONTENT = st.text(min_size=1, max_size=40).filter(lambda s: "Human:" not in s and "Assistant:" not in s)


@settings(max_examples=100, deadline=None)
@given(st.lists(CONTENT.filter(lambda s: not s.endswith("\r")), min_size=1, max_size=5))
def test_parse_undoes_writing(contents: list[str]) -> None:
    names = ["Human", "Assistant"]
    text = "".join(f"\n\n{names[i % 2]}: {content}" for i, content in enumerate(contents))
    assert [m.content for m in parse(text).messages] == contents


@pytest.mark.skipif(not HH.is_file(), reason="the hh-rlhf rows are not here")
def test_all_real_rows_round_trip() -> None:
    with gzip.open(HH, "rb") as file:
        rows = [json.loads(line) for line in file]
    assert len(rows) == 1000
    for row in rows:
        for field in ("chosen", "rejected"):
            transcript = parse(row[field])
            assert render(transcript) == row[field]
            assert transcript.before == ""
            assert [m.role for m in transcript.messages] == ["user", "assistant"] * (len(transcript.messages) // 2)
