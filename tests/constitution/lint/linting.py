"""Constitutions from text, for the linter's tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from charter.constitution.lint import Finding, lint
from charter.constitution.load import Source
from charter.constitution.schema import Constitution
from charter.core.config import parse
from charter.core.yaml import parse_yaml


def source(text: str) -> Source:
    """A constitution from YAML."""
    data, locate = parse_yaml(text, "example.yaml")
    constitution = parse(Constitution, data, Path("example.yaml"), locate)
    return Source(constitution, "example.yaml", locate, None)


def findings(text: str, *select: str, **options: Any) -> list[Finding]:
    return lint(source(text), select=select, **options)


def wording(field: str, text: str) -> Source:
    """A constitution of one principle with one wording."""
    fields = {field: text} | ({"revision": "Rewrite the answer."} if field == "critique" else {})
    constitution = Constitution.model_validate({"name": "c", "principles": [{"id": "p", **fields}]})
    return Source(constitution, "c.yaml", lambda _: None, None)


def comparisons(*texts: str, **head: Any) -> Source:
    """A constitution of comparisons p0, p1, ..."""
    principles = [{"id": f"p{i}", "comparison": text} for i, text in enumerate(texts)]
    return Source(
        Constitution.model_validate({"name": "c", "principles": principles} | head), "c.yaml", lambda _: None, None
    )


def codes(of: Source, *select: str) -> set[str]:
    return {f.code for f in lint(of, select=select)}
