"""The formats in JSON: llm-swarm, Constitutional-Evals, OpenCharacterTraining, LangChain. What each field becomes, what
is not taken over, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from foreign_files import (
    CONSTITUTIONAL_EVALS,
    LANGCHAIN,
    LLM_SWARM,
    OPEN_CHARACTER,
    OPEN_CHARACTER_LINES,
    REAL,
    write,
    write_json,
)

from charter.constitution import library
from charter.constitution.formats import export, import_file
from charter.constitution.load import load
from charter.constitution.schema import Constitution, Principle
from charter.core.errors import InputError

real = pytest.mark.skipif(not REAL.is_dir(), reason="needs the real files in ../shared/data")


def imported(folder: Path, name: str, data: Any) -> tuple[Constitution, tuple[str, ...]]:
    found = import_file(write_json(folder, data), name)
    return found.constitution, found.notes


# llm-swarm -----------------------------------------------------------------------------------------------------------


def test_llm_swarm(tmp_path: Path) -> None:
    c, notes = imported(tmp_path, "llm-swarm", LLM_SWARM)
    assert notes == ()
    assert [(p.id, p.critique, p.revision, p.comparison) for p in c.principles] == [
        ("principle-1", "Find the harm in the reply.", "Write it again without the harm.", None),
        ("principle-2", "Find the insult.", "Write it again with respect.", None),
    ]
    assert len(c.few_shot.critique_revision) == 1
    assert c.few_shot.critique_revision[0] == (
        "\n\nHuman: How do I sink a boat?\n\nAssistant: Drill a hole.\n\nThen wait."
        "\n\nCritiqueRequest: Find the harm in the reply.\n\nCritique: It helps to sink boats."
        "\n\nRevisionRequest: Write it again without the harm.\n\nRevision: I would rather not. "
    )


def test_llm_swarm_writes_its_chats_again(tmp_path: Path) -> None:
    c, _ = imported(tmp_path, "llm-swarm", LLM_SWARM)
    written = export(c, "llm-swarm", tmp_path / "out").paths[0]
    assert json.loads(written.read_text(encoding="utf-8")) == LLM_SWARM


def test_a_chat_that_is_no_example_is_named(tmp_path: Path) -> None:
    chat = LLM_SWARM["system_chat"][0]
    data = LLM_SWARM | {"system_chat": [chat[:4], chat, [{"role": "system", "content": "s"}, *chat]], "model": "m"}
    c, notes = imported(tmp_path, "llm-swarm", data)
    assert len(c.few_shot.critique_revision) == 1
    assert notes == (
        "`model`: the key is not known; not taken over",
        "2 chats of `system_chat`: not an answer, a critique and a revision in turn; not taken over",
    )


def test_an_example_that_would_not_come_back_is_lost_and_named(tmp_path: Path) -> None:
    c, _ = imported(tmp_path, "llm-swarm", LLM_SWARM)
    shots = ("\n\nHuman: only this\n\nHuman:", *c.few_shot.critique_revision)
    c = c.model_copy(update={"few_shot": c.few_shot.model_copy(update={"critique_revision": shots})})
    assert export(c, "llm-swarm", tmp_path / "out").lost == ("`few_shot` comes back changed",)


# Constitutional-Evals ------------------------------------------------------------------------------------------------


def test_constitutional_evals(tmp_path: Path) -> None:
    c, notes = imported(tmp_path, "constitutional-evals", CONSTITUTIONAL_EVALS)
    assert (c.name, c.version, c.licence) == ("Calm seas", "2.1.0", "CC-BY-4.0")
    assert (c.authors, c.sources) == (("A. Skipper",), ("The log",))
    assert c.description == "What a calm skipper says.\n\nAt length."
    assert [(p.id, p.category, p.comparison) for p in c.principles] == [
        ("criterion-1", None, "Prefer the response that keeps calm"),
        ("criterion-2", None, "Prefer the response that names the wind"),
        ("guideline-1", "guidelines", "Prefer the response that, in a storm, is short"),
    ]
    assert set(notes) == {
        "`id` ('calm-seas'): not taken over; the name is the title",
        "`valence` ('aligned'): not taken over",
        "`voices.first_person` (2 wordings): not taken over; a principle has no voices",
        '`role` ("anchor"): not taken over',
        "`in_basis` (true): not taken over",
        '`tradition` ("Sailing"): not taken over',
        "`changelog` (1 entry): not taken over",
        '`provenance.method` ("by hand"): not taken over',
        '`provenance.date` ("2026-01-01"): not taken over',
        "guidelines that do not say what to prefer (1): not taken over",
    }


def test_criteria_with_voices_or_reasons(tmp_path: Path) -> None:
    data = {
        "overview": "An overview.",
        "criteria": [
            {"comparative": "Prefer the response that is kind.", "first_person": "I am kind."},
            {"comparative": "Prefer the response that is true.", "reasoning": "Lies hurt.", "scenarios": ["a", "b"]},
        ],
        "guidelines": [{"comparative": "Prefer the response that, if asked, says so.", "third_person": "It says so."}],
    }
    c, notes = imported(tmp_path, "constitutional-evals", data)
    assert c.name == "given"
    assert [p.rationale for p in c.principles] == [None, "Lies hurt.", None]
    assert notes == (
        "`first_person` of criteria (1): not taken over",
        "`scenarios` of criteria (2): not taken over",
        "`third_person` of guidelines (1): not taken over",
    )


def test_a_misaligned_constitution_says_so(tmp_path: Path) -> None:
    c, notes = imported(tmp_path, "constitutional-evals", CONSTITUTIONAL_EVALS | {"valence": "misaligned"})
    assert all(p.tags == ("misaligned",) for p in c.principles)
    assert any("ask for bad behaviour" in note for note in notes)
    written = json.loads(export(c, "constitutional-evals", tmp_path / "out").paths[0].read_text(encoding="utf-8"))
    assert written["valence"] == "misaligned"


def check(schema: Any, value: Any, where: str = "") -> list[str]:
    """As much of JSON Schema as Constitutional-Evals' schema uses."""
    kinds: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool}
    wrong = [] if "type" not in schema or isinstance(value, kinds[schema["type"]]) else [f"{where}: type"]
    wrong += [f"{where}: const"] * ("const" in schema and value != schema["const"])
    wrong += [f"{where}: enum"] * ("enum" in schema and value not in schema["enum"])
    if isinstance(value, str):
        wrong += [f"{where}: pattern"] * (not re.search(schema.get("pattern", ""), value))
        wrong += [f"{where}: short"] * (len(value) < schema.get("minLength", 0))
    if isinstance(value, list):
        wrong += [f"{where}: few"] * (len(value) < schema.get("minItems", 0))
        wrong += [w for i, item in enumerate(value) for w in check(schema.get("items", {}), item, f"{where}[{i}]")]
    if isinstance(value, dict):
        known = schema.get("properties", {})
        wrong += [f"{where}: no {key}" for key in schema.get("required", []) if key not in value]
        wrong += [f"{where}: {k}?" for k in value if k not in known and schema.get("additionalProperties") is False]
        wrong += [w for k, v in value.items() if k in known for w in check(known[k], v, f"{where}.{k}")]
    for rule in schema.get("allOf", []):
        wrong += [] if check(rule["if"], value) else check(rule["then"], value, where)
    return wrong


@real
def test_the_check_agrees_with_the_real_files() -> None:
    schema = json.loads((REAL / "constitutional-evals.schema.json").read_text(encoding="utf-8"))
    kindness = json.loads((REAL / "constitutional-evals.kindness.json").read_text(encoding="utf-8"))
    assert check(schema, kindness) == []
    assert check(schema, kindness | {"in_basis": False})
    assert check(schema, kindness | {"criteria": []})
    assert check(schema, kindness | {"role": "personalized", "in_basis": False}) == [": no partner"]
    assert check(schema, kindness | {"id": "Not This", "more": 1})


@real
@pytest.mark.parametrize("name", library.names())
def test_the_library_is_written_validly(tmp_path: Path, name: str) -> None:
    schema = json.loads((REAL / "constitutional-evals.schema.json").read_text(encoding="utf-8"))
    path = export(load(f"library:{name}"), "constitutional-evals", tmp_path).paths[0]
    assert check(schema, json.loads(path.read_text(encoding="utf-8"))) == []


@real
def test_odd_names_and_versions_are_written_validly(tmp_path: Path) -> None:
    schema = json.loads((REAL / "constitutional-evals.schema.json").read_text(encoding="utf-8"))
    principle = Principle(id="a", category=None, comparison="Which?")
    c = Constitution(name="Ünïcode & 中文!", version="1.0.0-rc.1+b", principles=(principle,))
    path = export(c, "constitutional-evals", tmp_path).paths[0]
    assert check(schema, json.loads(path.read_text(encoding="utf-8"))) == []


# OpenCharacterTraining -----------------------------------------------------------------------------------------------


def test_open_character(tmp_path: Path) -> None:
    c, notes = imported(tmp_path, "open-character", OPEN_CHARACTER)
    trait = OPEN_CHARACTER[0]["trait"]
    assert [p.id for p in c.principles] == ["trait-1", "trait-2"]
    for p in c.principles:
        assert p.status == "draft"
    assert all(f'"{trait}"' in (text or "") for text in (c.principles[0].critique, c.principles[0].comparison))
    assert notes[1:] == (
        "2 questions: not taken over; they are prompts, and go in a prompts file",
        "`clarification` of 1 trait: not taken over",
    )


def test_open_character_lines(tmp_path: Path) -> None:
    found = import_file(write(tmp_path, "open-character lines"))
    assert len(found.constitution.principles) == 2
    assert "2 additional questions: not taken over; they are prompts, and go in a prompts file" in found.notes
    written = export(found.constitution, "open-character", tmp_path / "out").paths[0]
    traits = [row["trait"] for row in json.loads(written.read_text(encoding="utf-8"))]
    assert traits == [row["trait"] for row in OPEN_CHARACTER_LINES]


def test_a_principle_becomes_a_trait(tmp_path: Path) -> None:
    principles = (Principle(id="a", comparison="Which answer is kind?"), Principle(id="b", revision="Be kind."))
    written = export(Constitution(name="c", principles=principles), "open-character", tmp_path).paths[0]
    traits = [row["trait"] for row in json.loads(written.read_text(encoding="utf-8"))]
    assert traits[0].startswith("I ")
    assert "Which answer is kind?" in traits[0]
    assert "Be kind." in traits[1]


# LangChain -----------------------------------------------------------------------------------------------------------


def test_langchain(tmp_path: Path) -> None:
    c, notes = imported(tmp_path, "langchain", LANGCHAIN)
    assert [p.id for p in c.principles] == ["harm_1", "good-manners", "constitutional-principle"]
    assert [p.critique for p in c.principles] == [row["critique_request"] for row in LANGCHAIN]
    assert len(notes) == 1
    assert notes[0].startswith("2 names changed, to make ids of them: 'Good manners' to good-manners, 'Constitutional")


def test_langchain_mapping(tmp_path: Path) -> None:
    assert [p.id for p in import_file(write(tmp_path, "langchain mapping")).constitution.principles] == [
        "harm",
        "manners",
    ]


def test_the_same_name_twice(tmp_path: Path) -> None:
    c, _ = imported(tmp_path, "langchain", [LANGCHAIN[2], LANGCHAIN[2] | {"n": 1}, LANGCHAIN[0], LANGCHAIN[0]])
    assert [p.id for p in c.principles] == [
        "constitutional-principle",
        "constitutional-principle-2",
        "harm_1",
        "harm_1-2",
    ]


# bad files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("llm-swarm", [], "an object with keys was expected, not a list"),
        ("llm-swarm", {"a": 1}, "the key 'constitutions' is missing"),
        ("llm-swarm", {"constitutions": []}, "'constitutions': the list is empty"),
        ("llm-swarm", {"constitutions": [{"critic": "a"}]}, r"'constitutions\[0\]': the key 'revision' is missing"),
        (
            "llm-swarm",
            {"constitutions": [{"critic": 1, "revision": "b"}]},
            r"critic': a text was expected, not a number",
        ),
        ("llm-swarm", {"constitutions": [{"critic": " ", "revision": "b"}]}, r"critic': the text is empty"),
        (
            "llm-swarm",
            LLM_SWARM | {"system_chat": [[{"role": "x", "content": "y"}]]},
            r"'system_chat\[0\]\[0\].role': the",
        ),
        ("llm-swarm", LLM_SWARM | {"system_chat": 3}, "'system_chat': a list was expected, not a number"),
        ("constitutional-evals", {"criteria": []}, "'criteria': the list is empty"),
        ("constitutional-evals", {"criteria": [{"x": 1}]}, r"'criteria\[0\]': the key 'comparative' is missing"),
        (
            "constitutional-evals",
            {"criteria": ["a"], "schema_version": "9"},
            "'schema_version': this schema is not known",
        ),
        ("constitutional-evals", {"criteria": ["a"], "version": "one"}, "'version': a version has the form"),
        ("constitutional-evals", {"criteria": ["a"], "title": 3}, "'title': a text was expected"),
        ("constitutional-evals", {"criteria": ["a"], "provenance": []}, "'provenance': an object"),
        ("constitutional-evals", {"criteria": ["a"], "guidelines": [None]}, r"'guidelines\[0\]': a text was expected"),
        ("open-character", [], "the list is empty"),
        ("open-character", [{"trait": "a"}, {"questions": []}], r"'\[1\]': the key 'trait' is missing"),
        ("open-character", [{"trait": "a", "questions": "q"}], r"'\[0\].questions': a list was expected, not a text"),
        ("langchain", [{"name": "a", "critique_request": "b"}], r"'\[0\]': the key 'revision_request' is missing"),
        ("langchain", {"a": {"critique_request": "b"}}, "'a': the key 'revision_request' is missing"),
        ("langchain", [3], r"'\[0\]': an object with keys was expected, not a number"),
        ("langchain", [LANGCHAIN[0] | {"name": []}], r"'\[0\].name': a text was expected, not a list"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, data: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        imported(tmp_path, name, data)
    assert "given.json:1:" in str(caught.value)
    assert caught.value.cure


def test_the_place_is_the_field_s(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"constitutions": [\n  {"critic": "a",\n   "revision": 3}\n]}', encoding="utf-8")
    with pytest.raises(InputError, match=r"x\.json:3:4: 'constitutions\[0\]\.revision': a text was expected"):
        import_file(tmp_path / "x.json")


def test_the_place_in_json_lines(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"trait": "a"}\n\n{"trait": 3}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"x\.jsonl:3:2: '\[1\]\.trait': a text was expected"):
        import_file(tmp_path / "x.jsonl")
    (tmp_path / "x.jsonl").write_text('{"trait": "a"}\n{"trait": \n', encoding="utf-8")
    with pytest.raises(InputError, match=r"x\.jsonl:2:\d+: not JSON"):
        import_file(tmp_path / "x.jsonl")


def test_too_many_principles(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="5,001 principles are more than a constitution can use"):
        imported(tmp_path, "open-character", [{"trait": "a"}] * 5001)
