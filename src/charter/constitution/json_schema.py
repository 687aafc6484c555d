"""The JSON Schema of a constitution's file, for editors that complete and check while one writes.

It is generated from `schema.py`: titles and descriptions are the fields' own words. What no schema can say (an unknown
category, an id that stands twice) is left to the reader.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from charter.constitution import schema as models
from charter.constitution.schema import Document, Principle
from charter.core.settings import field_words

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of a constitution's file, in YAML or JSON."""
    schema = Document.model_json_schema()
    schema["title"] = "A constitution"
    schema["anyOf"] = [{"properties": {"principles": {"minItems": 1}}, "required": ["principles"]}, _given("extends")]
    schema["dependentRequired"] = {"remove": ["extends"], "overrides": ["extends"]}
    schema["$defs"]["Principle"] |= {
        "anyOf": [_text("revision"), _text("comparison")],
        "if": _text("critique"),
        "then": _text("revision"),
    }
    _describe(schema["properties"], Document)
    for name, definition in schema["$defs"].items():
        _describe(definition["properties"], getattr(models, name))
    _describe(schema["$defs"]["Override"]["properties"], Principle)  # an override's fields are the principle's
    return {"$schema": DIALECT, **_on_one_line(schema)}


def _describe(properties: dict[str, Any], model: type[BaseModel]) -> None:
    """Give fields without a description the model's."""
    words = field_words(model)
    for name, field in properties.items():
        if name in words:
            properties[name] = {"description": words[name], **field}


def _given(field: str) -> dict[str, Any]:
    return {"required": [field]}


def _text(field: str) -> dict[str, Any]:
    """The field is there, and not null."""
    return {"properties": {field: {"type": "string"}}, "required": [field]}


def _on_one_line(value: Any) -> Any:
    """The same with every description on one line."""
    if isinstance(value, list):
        return [_on_one_line(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: " ".join(item.split()) if key == "description" and isinstance(item, str) else _on_one_line(item)
        for key, item in value.items()
    }
