"""Prompts and comparisons from files: what is read, what is refused, what is reported."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from charter.core.errors import InputError
from charter.core.records import assistant, user
from charter.core.tables import write_records
from charter.prompts import load_comparisons, load_prompts, read_comparisons, read_prompts, rows, transcripts

HH = Path(__file__).parents[2].parent / "shared" / "data" / "hh-rlhf" / "harmless-base.test.first1000.jsonl.gz"
real = pytest.mark.skipif(not HH.is_file(), reason="the hh-rlhf rows are not here")

Q, A, B = "\n\nHuman: q: one\n\ntwo", "\n\nAssistant: a", "\n\nAssistant: b"


def write(folder: Path, *rows: Any, name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


# prompts -------------------------------------------------------------------------------------------------------------


def test_strings_and_conversations(tmp_path: Path) -> None:
    turns = [("system", "be kind"), ("user", "a"), ("assistant", "b"), ("user", "c")]
    path = write(
        tmp_path,
        {"prompt": "how?", "id": "p1", "kind": "harmful", "cluster": 3, "other": "columns are fine"},
        {"prompt": [{"role": role, "content": content} for role, content in turns], "id": 7},
        {"prompt": "why?"},
    )
    one, two, three = load_prompts(path, "red_team", None)
    assert (one.id, one.messages, one.source, one.kind, one.cluster) == (
        "p1",
        (user("how?"),),
        "red_team",
        "harmful",
        "3",
    )
    assert (two.id, two.text) == ("7", "c")
    assert [(m.role, m.content) for m in two.messages] == turns
    assert (three.kind, three.cluster) == (None, None)
    assert load_prompts(write(tmp_path, {"prompt": "why?"}, name="b.jsonl"), "helpful")[0].id == three.id
    assert load_prompts(path, "helpful")[0].source == "helpful"


def test_compressed_files(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"prompt": "how?"}\n\n{"prompt": "why?"}\n'))
    assert [p.text for p in load_prompts(path)] == ["how?", "why?"]


def test_damaged_compressed_files_are_refused(tmp_path: Path) -> None:
    data = gzip.compress(b'{"prompt": "how?"}\n' * 1000)
    path = tmp_path / "rows.jsonl.gz"
    for damaged in (data[:30], data[:20] + b"xxxxxxxx" + data[28:], b"not gzip"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="not whole gzip data"):
            load_prompts(path)


def test_line_separators_inside_a_text_do_not_end_the_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "one\u2028two\x85three"}\n', encoding="utf-8")
    assert load_prompts(path)[0].text == "one\u2028two\x85three"


def test_duplicates_are_dropped_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path, {"prompt": "how?"}, {"prompt": "why?"}, {"prompt": "how?"}, {"prompt": "how?", "id": "x"})
    prompts, report = read_prompts(path)
    assert [p.text for p in prompts] == ["how?", "why?"]
    assert report.duplicates == [3, 4]
    assert report.counts() == {"rows": 4, "taken": 2, "duplicates": 2, "odd": 0, "set_aside": 0}
    assert "duplicates, dropped: 2 (lines 3, 4)" in str(report)


def test_the_limit_counts_prompts(tmp_path: Path) -> None:
    path = write(tmp_path, {"prompt": "how?"}, {"prompt": "how?"}, {"prompt": "why?"}, {"prompt": "when?"})
    prompts, report = read_prompts(path, limit=2)
    assert [p.text for p in prompts] == ["how?", "why?"]
    assert (report.rows, report.taken) == (3, 2)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"question": "how?"}, r"the row has no prompt \(it has question\)"),
        ({}, r"the row has no prompt \(it has nothing\)"),
        ({"prompt": None}, "the row has no prompt"),
        ({"prompt": "  "}, "the prompt is empty"),
        ({"prompt": 3}, "a text or a list was expected, not int"),
        ({"prompt": []}, "the prompt has no messages"),
        (
            {"prompt": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]},
            "ends with the assistant",
        ),
        ({"prompt": [{"role": "user", "content": ""}]}, "the prompt is empty"),
        ({"prompt": [{"role": "human", "content": "q"}]}, r"prompt\[0\]: not a message: the role is 'human'"),
        ({"prompt": [{"role": "user"}]}, "no text in `content`"),
        ({"prompt": ["q"]}, "not a message"),
        ({"prompt": "q", "id": ["x"]}, "`id` must be a text"),
        ({"prompt": "q", "kind": True}, "`kind` must be a text"),
        ({"prompt": "other", "id": "first"}, "the id 'first' stands on line 1 already"),
        ({"transcript": 5}, "transcript: a text or a list was expected"),
    ],
)
def test_faulty_rows_are_placed(tmp_path: Path, row: dict[str, Any], words: str) -> None:
    path = write(tmp_path, {"prompt": "how?", "id": "first"}, row)
    with pytest.raises(InputError, match=words) as caught:
        load_prompts(path)
    assert str(caught.value.where).startswith(f"{path}:2")
    assert caught.value.cure


@pytest.mark.parametrize("line", ["{", "[1]", '"text"', "prompt: yaml"])
def test_bad_json_is_placed(tmp_path: Path, line: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "how?"}\n\n' + line + "\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_prompts(path)
    assert caught.value.where == f"{path}:3"
    assert caught.value.cure


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_empty_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(text, encoding="utf-8")
    for load in (load_prompts, load_comparisons):
        with pytest.raises(InputError, match="the file is empty"):
            load(path)


def test_transcripts(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"chosen": Q + A, "rejected": Q + B},
        {"chosen": "\n\nHuman: x\n\nAssistant: y\n\nHuman: z\n\nAssistant: a"},
        {"transcript": "\n\nHuman: ends with the human"},
        {"transcript": "\n\nHuman: cut\n\nAssistant: a\n\nHuman:"},
        {"prompt": "given", "chosen": "a", "rejected": "b"},
    )
    prompts, report = read_prompts(path)
    assert [p.text for p in prompts] == ["q: one\n\ntwo", "z", "ends with the human", "cut", "given"]
    assert prompts[1].messages == (user("x"), assistant("y"), user("z"))
    assert report.odd == {transcripts.EMPTY_TURN: [4]}


def test_odd_transcripts_are_kept_where_they_can_be_read(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"transcript": "Chat of today.\n\nHuman: one\n\nAssistant: a"},
        {"transcript": "\n\nHuman: two\n\nHuman: more\n\nAssistant: a"},
        {"chosen": "\n\nHuman: three\n\nAssistant: ", "rejected": "\n\nHuman: three\n\nAssistant: b"},
        {"chosen": "\n\nHuman: four" + A + "\n\nHuman: x" + A, "rejected": "\n\nHuman: four" + B + "\n\nHuman: x" + A},
        {"chosen": "\n\nHuman: five" + A, "rejected": "\n\nHuman: five" + A},
        {"chosen": "\n\nHuman: six" + A, "rejected": "\n\nHuman: seven" + A},
        {"chosen": "\n\nHuman: " + A, "rejected": "\n\nHuman: " + B},
        {"transcript": "no turns here"},
    )
    prompts, report = read_prompts(path)
    assert [p.text for p in prompts] == ["one", "two\n\nmore", "three", "four", "five"]
    assert report.odd == {
        transcripts.TEXT_BEFORE: [1, 8],
        transcripts.TWO_HUMAN: [2],
        transcripts.EMPTY_TURN: [3, 7],
        rows.DIVERGES_EARLY: [4],
        rows.IDENTICAL: [5],
        transcripts.NO_TURNS: [8],
    }
    assert report.set_aside == {rows.NO_SHARED_PREFIX: [6], rows.EMPTY_LAST: [7], rows.NO_HUMAN: [8]}
    assert report.counts() == {"rows": 8, "taken": 5, "duplicates": 0, "odd": 7, "set_aside": 3}
    assert f"set aside, {rows.NO_SHARED_PREFIX}: 1 (line 6)" in str(report)


def test_odd_conversations_are_reported(tmp_path: Path) -> None:
    def messages(*roles: str) -> dict[str, Any]:
        return {"prompt": [{"role": role, "content": f"{role} {i}"} for i, role in enumerate(roles)]}

    path = write(
        tmp_path,
        messages("assistant", "user"),
        messages("user", "user"),
        messages("user", "assistant", "assistant", "system", "user"),
        {"prompt": Q + A},
    )
    prompts, report = read_prompts(path)
    assert len(prompts) == 4
    assert len(prompts[1].messages) == 2
    assert report.odd == {
        transcripts.ASSISTANT_FIRST: [1],
        transcripts.TWO_HUMAN: [2],
        transcripts.TWO_ASSISTANT: [3],
        rows.LATE_SYSTEM: [3],
        rows.LIKE_TRANSCRIPT: [4],
    }


def test_a_file_without_any_usable_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of its 1 rows can be used") as caught:
        load_prompts(write(tmp_path, {"transcript": "no turns here"}))
    assert rows.NO_HUMAN in str(caught.value)


# comparisons ---------------------------------------------------------------------------------------------------------


def test_comparisons_with_a_prompt(tmp_path: Path) -> None:
    prompt = [{"role": "user", "content": "q"}]
    path = write(
        tmp_path,
        {"prompt": "q", "chosen": "good", "rejected": "bad", "id": "c1"},
        {
            "prompt": prompt,
            "chosen": [{"role": "assistant", "content": "better"}],
            "rejected": [*prompt, {"role": "assistant", "content": "worse"}],
        },
    )
    first, second = load_comparisons(path, "simulated", None)
    assert (first.comparison.id, first.comparison.a, first.comparison.b) == ("c1", "good", "bad")
    assert (first.p_a, first.source, first.labels, first.verdicts) == (1.0, "helpful", "simulated", ())
    assert first.comparison.prompt == second.comparison.prompt
    assert first.comparison.prompt.source == "helpful"
    assert (second.comparison.a, second.comparison.b) == ("better", "worse")


def test_comparisons_from_transcripts(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"chosen": Q + A, "rejected": Q + B},
        {"chosen": Q + B, "rejected": Q + A},
        {"chosen": Q + A, "rejected": Q + B},
        {"chosen": Q + A, "rejected": Q + A},
        {"chosen": Q + A + "\n\nHuman: x" + A, "rejected": Q + B + "\n\nHuman: x" + A},
        {"chosen": Q + A, "rejected": Q},
        {"prompt": "q", "chosen": "same", "rejected": "same"},
        {"prompt": "q", "chosen": "", "rejected": "bad"},
        {"prompt": "last", "chosen": "a", "rejected": "b"},
    )
    preferences, report = read_comparisons(path)
    found = [(p.comparison.prompt.text, p.comparison.a, p.comparison.b) for p in preferences]
    assert found == [
        ("q: one\n\ntwo", "a", "b"),
        ("q: one\n\ntwo", "b", "a"),
        ("q", "", "bad"),
        ("last", "a", "b"),
    ]
    assert report.duplicates == [3]
    assert report.set_aside == {rows.IDENTICAL: [4, 7], rows.DIVERGES_EARLY: [5, 6]}
    assert report.odd[transcripts.EMPTY_TURN] == [8]
    assert report.rows == report.taken + len(report.duplicates) + report.set_aside_rows


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"prompt": "q", "chosen": "a"}, "the row has no `rejected`"),
        ({"prompt": "q", "rejected": "a"}, "the row has no `chosen`"),
        ({"prompt": "q", "chosen": "a", "rejected": 3}, "rejected: a text or a list was expected, not int"),
        ({"prompt": "q", "chosen": [], "rejected": "b"}, "not an answer to the row's prompt"),
        (
            {
                "prompt": "q",
                "chosen": [{"role": "user", "content": "other"}, {"role": "assistant", "content": "a"}],
                "rejected": "b",
            },
            "not an answer to the row's prompt",
        ),
        ({"prompt": "other", "chosen": "a", "rejected": "b", "id": "first"}, "the id 'first' stands on line 1"),
    ],
)
def test_faulty_comparisons_are_placed(tmp_path: Path, row: dict[str, Any], words: str) -> None:
    path = write(tmp_path, {"prompt": "q", "chosen": "good", "rejected": "bad", "id": "first"}, row)
    with pytest.raises(InputError, match=words) as caught:
        load_comparisons(path)
    assert str(caught.value.where).startswith(f"{path}:2")


# records -------------------------------------------------------------------------------------------------------------


def test_records_of_a_run_are_read_as_they_are(tmp_path: Path) -> None:
    path = write(tmp_path, {"prompt": "how?", "kind": "harmful"}, {"prompt": "why?"}, {"prompt": "when?"})
    prompts = load_prompts(path, "helpful")
    write_records(tmp_path / "prompts.parquet", prompts)
    assert load_prompts(tmp_path / "prompts.parquet") == prompts
    assert read_prompts(tmp_path / "prompts.parquet", limit=2)[1].counts()["taken"] == 2
    pairs = load_comparisons(write(tmp_path, {"prompt": "q", "chosen": "a", "rejected": "b"}), "simulated")
    write_records(tmp_path / "pairs.parquet", pairs)
    assert load_comparisons(tmp_path / "pairs.parquet") == pairs
    with pytest.raises(InputError, match="the row has no prompt"):
        load_prompts(tmp_path / "pairs.parquet")


# the real rows -------------------------------------------------------------------------------------------------------


@real
@pytest.mark.parametrize(
    ("limit", "inside", "empty", "two"),
    [
        (None, 23, [87, 517, 926], [668, 764]),
        (200, 5, [87], []),
    ],
)
def test_real_rows(limit: int | None, inside: int, empty: list[int], two: list[int]) -> None:
    n = limit or 1000
    prompts, report = read_prompts(HH, "red_team", limit)
    assert len({p.id for p in prompts}) == len(prompts) == report.rows == n
    assert (report.set_aside, report.duplicates) == ({}, [])
    assert len(report.odd[transcripts.SPEAKER_INSIDE]) == inside
    assert report.odd[transcripts.EMPTY_TURN] == empty
    assert report.odd.get(transcripts.TWO_ASSISTANT, []) == two
    assert all(p.messages[-1].role == "user" for p in prompts)
    preferences = load_comparisons(HH, "human", limit)
    assert [p.comparison.prompt.id for p in preferences] == [p.id for p in prompts]


@real
def test_real_prompts_are_the_shared_beginning() -> None:
    with gzip.open(HH, "rb") as file:
        texts = [json.loads(line) for line in file]
    for row, preference in zip(texts, load_comparisons(HH), strict=True):
        comparison = preference.comparison
        shared = row["chosen"][: len(row["chosen"]) - len(comparison.a)]
        assert row["chosen"] == shared + comparison.a
        assert row["rejected"].endswith(comparison.b)
        assert comparison.prompt.text in shared
