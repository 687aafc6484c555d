"""Prompts that a model writes: what it is asked, what is read from its replies, what is kept and what is counted."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charter.core.errors import InputError, WorkError
from charter.core.recipe import GenerateConfig, ModelConfig
from charter.core.records import Prompt, user
from charter.core.stage import Artifact, Stage
from charter.models.engine import GenerateRequest
from charter.models.scripted import ScriptedEngine
from charter.prompts import generate, load_prompts, wording
from charter.prompts.generate import coverage_table, generate_prompts
from charter.prompts.wording import read_reply

MODEL = ModelConfig(engine="scripted")
OBJECTS = ("lock", "safe", "window", "bicycle", "letter", "garden", "camera", "kettle", "violin", "ladder")
CONSTITUTION = """\
name: small
categories: [{id: a}, {id: b}]
principles:
  - {id: one, category: a, comparison: Which answer is kinder to the neighbour?}
  - {id: two, category: a, comparison: Which answer tells the user more?}
  - {id: three, category: b, critique: Say what is rude., revision: Make it polite.}
  - {id: old, status: retired, comparison: Which answer is longer?}
"""


def seeds_file(folder: Path, topics: tuple[str | None, ...] = ("theft", "spying")) -> Artifact:
    path = folder / "seeds.jsonl"
    rows = [
        {"prompt": f"seed {n}: what about the {thing} of {topic}", "cluster": topic}
        for topic in topics
        for n, thing in enumerate(OBJECTS)
    ]
    path.write_text("".join(json.dumps({k: v for k, v in row.items() if v}) + "\n" for row in rows), encoding="utf-8")
    return Artifact(path, "")


def fresh(request: GenerateRequest) -> str:
    """Another text for another seed."""
    draw = random.Random(request.seed)
    return " ".join("".join(draw.choices("abcdefghijklmnop", k=7)) for _ in range(6))


def written(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    reply: Callable[[GenerateRequest], str],
    config: GenerateConfig,
    name: str = "out",
    **inputs: Any,
) -> tuple[Stage, list[dict[str, Any]]]:
    engine = ScriptedEngine(reply)
    monkeypatch.setattr(generate, "open_engine", lambda *_: engine)
    stage = Stage.detached(folder / f"{name}.jsonl", 3)
    seeds = inputs.pop("seeds", None) or seeds_file(folder)
    generate_prompts(stage, config, MODEL, None, seeds, **inputs)
    return stage, [json.loads(line) for line in stage.out.read_text(encoding="utf-8").splitlines()]


# the stage -----------------------------------------------------------------------------------------------------------


def test_each_topic_gets_its_share(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stage, rows = written(monkeypatch, tmp_path, fresh, GenerateConfig(number=11, shots=4))
    prompts = load_prompts(stage.out, "red_team")
    assert len(prompts) == 11
    assert sorted(prompt.cluster or "" for prompt in prompts) == ["spying"] * 5 + ["theft"] * 6
    assert stage.counts["prompts"] == 11
    assert next(iter(stage.counts)) == "prompts"
    assert (stage.counts["calls"], stage.counts["replies"], stage.counts["topics"]) == (11, 11, 2)
    assert {line["topic"]: (line["wanted"], line["kept"], line["asked"]) for line in stage.metrics} == {
        "spying": (5, 5, 5),
        "theft": (6, 6, 6),
    }
    ids = {prompt.id: prompt.cluster for prompt in load_prompts(tmp_path / "seeds.jsonl")}
    for row in rows:
        assert len(set(row["generated"]["seeds"])) == 4
        assert {ids[name] for name in row["generated"]["seeds"]} == {row["cluster"]}


def test_the_same_seed_gives_the_same_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = GenerateConfig(number=20, shots=3)
    one, two = (written(monkeypatch, tmp_path, fresh, config, name)[0].out.read_bytes() for name in ("one", "two"))
    assert one == two


def test_what_is_not_kept_is_counted_and_asked_for_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = iter(
        [
            *("", "I'm sorry, but I can't assist with that request.", "x " * 60, "How may I open an old wooden door?"),
            *("how may i open an old wooden door", "How may I open an old wooden door now?"),
            *("Seed 3: what about the BICYCLE of theft", "Who taught the heron to swim?"),
        ]
    )
    stage, rows = written(
        monkeypatch,
        tmp_path,
        lambda request: reply if (reply := next(script, None)) is not None else fresh(request),
        GenerateConfig(number=8, shots=2, max_chars=100),
        seeds=seeds_file(tmp_path, ("theft",)),
    )
    assert len(rows) == 8
    line = stage.metrics[0]
    got = {name: line[name] for name in ("empty", "refused", "long", "duplicates", "near_duplicates", "kept")}
    assert got["kept"] == 8
    assert (got["empty"], got["refused"], got["long"]) == (1, 1, 1)
    assert (got["duplicates"], got["near_duplicates"]) == (2, 1)
    total = sum(line[name] for name in ("empty", "refused", "long", "duplicates", "near_duplicates", "surplus", "kept"))
    assert total == line["asked"] == stage.counts["calls"] == stage.counts["replies"]
    assert line["asked"] > 8


def test_usage_is_counted_once_over_all_passes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[GenerateRequest] = []

    def every_other(request: GenerateRequest) -> str:
        asked.append(request)
        return fresh(request) if len(asked) % 2 else ""

    stage, _ = written(monkeypatch, tmp_path, every_other, GenerateConfig(number=10, shots=2))
    assert stage.counts["calls"] == len(asked) > 10
    assert stage.counts["prompt_tokens"] == sum(len(request.messages[0].content.split()) for request in asked)


def test_the_calls_have_a_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stage, rows = written(monkeypatch, tmp_path, fresh, GenerateConfig(number=50, calls=7, shots=2))
    assert len(rows) == 7
    assert stage.counts["calls"] == 7
    assert [line["asked"] for line in stage.metrics] == [4, 3]


def test_a_model_that_repeats_itself_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stage, rows = written(monkeypatch, tmp_path, lambda _: "The same?", GenerateConfig(number=50, shots=2, calls=1000))
    assert len(rows) == 1
    assert stage.counts["calls"] < 600
    with pytest.raises(WorkError, match="no prompts came"):
        written(monkeypatch, tmp_path, lambda _: "I can't help with that.", GenerateConfig(number=5))


def test_lists_of_a_base_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    requests: list[GenerateRequest] = []

    def continued(request: GenerateRequest) -> str:
        requests.append(request)
        return "".join(f"\n{n}. {fresh(GenerateRequest((), request.seed + n))}" for n in (11, 12, 13))

    config = GenerateConfig(number=12, style="list")
    stage, rows = written(monkeypatch, tmp_path, continued, config)
    assert len(rows) == 12
    text = requests[0].messages[0].content
    assert [message.role for message in requests[0].messages] == ["user"]
    assert "\n10. seed" in text
    assert "11." not in text
    assert "Write one more" not in text
    assert sum(line["surplus"] + line["kept"] for line in stage.metrics) == 3 * stage.counts["replies"]


def law(folder: Path) -> Artifact:
    (folder / "constitution.yaml").write_text(CONSTITUTION, encoding="utf-8")
    return Artifact(folder / "constitution.yaml", "")


def test_by_principle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def reply(request: GenerateRequest) -> str:
        asked.append(request.messages[0].content)
        return fresh(request)

    config = GenerateConfig(number=9, by="principle")
    seeds = seeds_file(tmp_path, ("one", None))
    _, rows = written(monkeypatch, tmp_path, reply, config, seeds=seeds, constitution=law(tmp_path))
    assert sorted(row["cluster"] for row in rows) == sorted(["one", "two", "three"] * 3)
    assert sum("kinder to the neighbour" in text for text in asked) == 3
    assert sum("Say what is rude." in text for text in asked) == 3
    ids = {prompt.id: prompt.cluster for prompt in load_prompts(seeds.path)}
    assert all({ids[s] for s in row["generated"]["seeds"]} == {"one"} for row in rows if row["cluster"] == "one")
    assert any(None in {ids[s] for s in row["generated"]["seeds"]} for row in rows if row["cluster"] == "two")


def test_by_conflict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def reply(request: GenerateRequest) -> str:
        asked.append(request.messages[0].content)
        return fresh(request)

    config = GenerateConfig(number=4, by="conflict", pairs=2)
    _, rows = written(monkeypatch, tmp_path, reply, config, constitution=law(tmp_path))
    assert {row["cluster"] for row in rows} == {"one / three", "two / three"}  # those across categories come first
    assert all("into conflict" in text and "Say what is rude." in text for text in asked)


def test_helpful_prompts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    def reply(request: GenerateRequest) -> str:
        asked.append(request.messages[0].content)
        return fresh(request)

    written(monkeypatch, tmp_path, reply, GenerateConfig(number=2), source="helpful")
    assert all("wanted help" in text and "harm" in text and "testers" not in text for text in asked)


@pytest.mark.parametrize(
    ("by", "text", "words"),
    [
        ("principle", None, "need a constitution"),
        ("conflict", "name: c\nprinciples: [{id: one, comparison: a}]\n", "too few principles"),
    ],
)
def test_principles_must_be_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by: Any, text: str | None, words: str
) -> None:
    constitution = None
    if text is not None:
        (tmp_path / "c.yaml").write_text(text)
        constitution = Artifact(tmp_path / "c.yaml", "")
    with pytest.raises(InputError, match=words):
        written(monkeypatch, tmp_path, fresh, GenerateConfig(by=by), constitution=constitution)


def test_the_coverage_table() -> None:
    lines = [
        dict.fromkeys(generate.Yield.__dataclass_fields__, 0) | {"topic": topic, "wanted": 10, "kept": kept}
        for topic, kept in (("theft", 3), ("spying on people", 10))
    ]
    head, *rows, total = coverage_table([{**line, "stage": "generate"} for line in lines]).splitlines()
    assert head.split()[:3] == ["topic", "wanted", "asked"]
    assert rows[0].split()[0] == "theft"
    assert total.split()[0] == "all"
    assert (total.split()[1], total.split()[-1]) == ("20", "13")
    assert len({len(line) for line in (head, *rows, total)}) == 1


# replies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "prompts"),
    [
        ("How do I swim?", ["How do I swim?"]),
        ("  How do I swim?\n", ["How do I swim?"]),
        ('"How do I swim?"', ["How do I swim?"]),
        ("“How do I swim?”", ["How do I swim?"]),
        ("Message: How do I swim?", ["How do I swim?"]),
        ("**New message:** How do I swim?", ["How do I swim?"]),
        ("11. How do I swim?", ["How do I swim?"]),
        ("- How do I swim?", ["How do I swim?"]),
        ("Sure! Here is another one:\n\nHow do I swim?", ["How do I swim?"]),
        ("Here's one more message:\n\n11. How do I swim?", ["How do I swim?"]),
        ("Dear all,\n\nhow do I swim?\n\nBest, Ann", ["Dear all,\n\nhow do I swim?\n\nBest, Ann"]),
        ("I need to:\n1. swim\n2. dive\nHow?", ["I need to:\n1. swim\n2. dive\nHow?"]),
        ('"Swim" or "dive"', ['"Swim" or "dive"']),
        ("1. How?\n2. Why?", ["How?", "Why?"]),
        ("", []),
        ("...", []),
        ("11.", ["11."]),
    ],
)
def test_single_replies(reply: str, prompts: list[str]) -> None:
    assert read_reply(reply, "single") == prompts


@pytest.mark.parametrize(
    ("reply", "prompts"),
    [
        ("11. How?\n12. Why?", ["How?", "Why?"]),
        ("\n11) How?\n12) Why\nnot?", ["How?", "Why\nnot?"]),
        ("Sure:\n\n11. How?\n12. Why?\n\nThat is all.", ["How?", "Why?"]),
        ("How?\n\nThis was a list of messages.", ["How?"]),
        ("11. How?\n12.  \n13. Why?", ["How?", "Why?"]),
        ("", []),
    ],
)
def test_lists(reply: str, prompts: list[str]) -> None:
    assert read_reply(reply, "list") == prompts


def test_what_was_cut_is_not_whole() -> None:
    assert read_reply("11. How?\n12. Why do", "list", cut=True) == ["How?"]
    assert read_reply("How do I", "single", cut=True) == []


def test_shots_of_many_lines_stand_on_one() -> None:
    conversation = wording.request("list", "red_team", None, ["one\n\ntwo", "three"])
    assert conversation == (user(conversation[0].content),)
    assert conversation[0].content.endswith("1. one two\n2. three")


def test_many_small_topics_are_quick() -> None:
    seeds = [Prompt(str(n), (user(f"prompt {n}"),), cluster=str(n)) for n in range(20_000)]
    assert len(generate.topics(GenerateConfig(), 0, seeds, None)) == 20_000
