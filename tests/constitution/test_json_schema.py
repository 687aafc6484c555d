"""The JSON Schema, by a small validator of the keywords that it uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from charter.constitution import library
from charter.constitution.json_schema import json_schema
from charter.constitution.schema import Document
from charter.core.yaml import parse_yaml, read_yaml

SCHEMA = json_schema()
KINDS: dict[str, Any] = {
    "string": str,
    "object": dict,
    "array": list,
    "null": type(None),
    "boolean": bool,
    "integer": int,
    "number": (int, float),
}
ANNOTATIONS = {"$schema", "$defs", "title", "description", "default"}


def faults(value: Any, schema: dict[str, Any]) -> Iterator[str]:
    """What the schema has against a value. A keyword that is not known here fails the test."""
    for keyword, rule in schema.items():
        if keyword not in ANNOTATIONS | {"then"}:
            yield from CHECKS[keyword](value, rule, schema)


def valid(value: Any, schema: dict[str, Any]) -> bool:
    return not list(faults(value, schema))


def kind(value: Any, rule: str, _: Any) -> Iterator[str]:
    if not isinstance(value, KINDS[rule]) or (isinstance(value, bool) and rule in ("integer", "number")):
        yield f"{value!r} is not of type {rule}"


def properties(value: Any, rule: dict[str, Any], _: Any) -> Iterator[str]:
    for name in set(rule) & set(value):
        yield from faults(value[name], rule[name])


def additional(value: Any, rule: Any, schema: dict[str, Any]) -> Iterator[str]:
    for name in set(value if isinstance(value, dict) else ()) - set(schema.get("properties", ())):
        yield from [f"unknown key {name}"] if rule is False else faults(value[name], rule)


def condition(value: Any, rule: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    if valid(value, rule):
        yield from faults(value, schema["then"])


def simple(fails: Any) -> Any:
    def check(value: Any, rule: Any, _: Any) -> Iterator[str]:
        if fails(value, rule):
            yield f"{value!r} breaks {rule!r}"

    return check


CHECKS: dict[str, Any] = {
    "type": kind,
    "properties": properties,
    "additionalProperties": additional,
    "if": condition,
    "$ref": lambda value, rule, _: faults(value, SCHEMA["$defs"][rule.rpartition("/")[2]]),
    "items": lambda value, rule, _: (fault for item in value or () for fault in faults(item, rule)),
    "anyOf": simple(lambda value, rule: not any(valid(value, one) for one in rule)),
    "enum": simple(lambda value, rule: value not in rule),
    "pattern": simple(lambda value, rule: not isinstance(value, str) or not re.search(rule, value)),
    "minLength": simple(lambda value, rule: not isinstance(value, str) or len(value) < rule),
    "maxLength": simple(lambda value, rule: not isinstance(value, str) or len(value) > rule),
    "minItems": simple(lambda value, rule: len(value) < rule),
    "minimum": simple(lambda value, rule: not isinstance(value, int | float) or value < rule),
    "required": simple(lambda value, rule: not set(rule) <= set(value)),
    "dependentRequired": simple(lambda value, rule: any(k in value and not set(rule[k]) <= set(value) for k in rule)),
}


@pytest.mark.parametrize("name", library.names())
def test_the_library_is_valid(name: str) -> None:
    data, _ = read_yaml(library.path(name))
    assert list(faults(data, SCHEMA)) == []


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("{name: a, principles: [{id: b, comparison: c}]}", True),
        ("{name: a, principles: [{id: b, comparison: c, critique: null, rationale: null}]}", True),
        ("{name: a, extends: ['library:harmless'], overrides: [{id: b, severity: high}], remove: [c]}", True),
        ("{name: a, principles: [{id: b, critique: c, comparison: d}]}", False),
        ("{name: a, principles: [{id: b}]}", False),
        ("{name: a, principles: []}", False),
        ("{name: a}", False),
        ("{name: a, principles: [{id: b, comparison: c}], remove: [d]}", False),
        ("{name: a, principles: [{id: 'b c', comparison: c}]}", False),
        ("{name: a, version: one, principles: [{id: b, comparison: c}]}", False),
        ("{name: a, principles: [{id: b, comparison: c, severity: worst}]}", False),
        ("{name: a, principles: [{id: b, comparison: c, wieght: 1}]}", False),
        ("{name: a, principles: [{id: b, comparison: c, weight: -1}]}", False),
        ("{name: a, categories: [{id: d, tier: 0}], principles: [{id: b, comparison: c}]}", False),
    ],
)
def test_it_says_what_the_reader_says(text: str, allowed: bool) -> None:
    data, _ = parse_yaml(text, "text")
    assert valid(data, SCHEMA) == allowed
    assert accepted(data) == allowed


def accepted(data: Any) -> bool:
    try:
        Document.model_validate(data)
    except ValueError:
        return False
    return True


def described(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, field in schema["properties"].items():
        yield f"{path}{name}", field.get("description", "")


def test_every_field_is_explained_on_one_line() -> None:
    found = [
        *described(SCHEMA),
        *(row for name, part in SCHEMA["$defs"].items() for row in described(part, f"{name}.")),
    ]
    assert len(found) > 50
    assert [name for name, text in found if not text or "\n" in text] == []


def test_the_published_file_is_current() -> None:
    import json

    published = Path(__file__).parents[2] / "docs" / "constitution.schema.json"
    assert json.loads(published.read_text(encoding="utf-8")) == SCHEMA
