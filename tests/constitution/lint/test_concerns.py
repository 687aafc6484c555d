"""The concerns that CC104 keeps apart."""

from __future__ import annotations

import pytest

from charter.constitution.lint.concerns import come_apart, concerns


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("which answer is safer and more honest?", {"conduct": "safer", "honesty": "honest"}),
        ("keep it short, then shorter", {"length": "short"}),
        ("meets the reader's needs", {"helpfulness": "meets the reader's needs"}),
        ("a kind of freedom of speech", {}),
        ("free from fault, more clearly put", {}),
        ("leaves them freer, and says so clearly", {"choice": "freer", "plainness": "clearly"}),
    ],
)
def test_named(text: str, expected: dict[str, str]) -> None:
    assert concerns(text) == expected


@pytest.mark.parametrize(
    ("some", "others", "expected"),
    [
        (["conduct"], ["honesty"], True),
        (["conduct"], ["conduct"], False),
        (["conduct"], ["courtesy"], False),
        (["courtesy"], ["conduct"], False),
        (["conduct"], ["warmth"], True),
        (["length", "honesty"], ["plainness"], False),
        (["length", "form"], ["warmth", "manner"], True),
    ],
)
def test_come_apart(some: list[str], others: list[str], expected: bool) -> None:
    assert come_apart(some, others) is expected
