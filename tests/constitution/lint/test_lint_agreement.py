"""The linter against readers' verdicts, and the measure itself on verdicts made up here."""

from __future__ import annotations

from typing import Any

from benchmarks.lint_agreement import find, measure, table, verdicts

from charter.constitution.lint import RULES

LABEL = "library:harmless"


def row(code: str, fires: bool, principle: str | None = "violence", **changes: Any) -> dict[str, Any]:
    source = find(LABEL)
    assert source is not None
    constitution = source.constitution
    of = constitution.principle(principle) if principle else constitution
    return {"constitution": LABEL, "principle": principle, "hash": of.hash, "code": code, "fires": fires} | changes


def test_the_measure() -> None:
    rows = [
        row("CC101", False),
        row("CC106", True),
        row("CC301", False, None),
        row("CC205", True, status="draft"),
        row("CC101", True, hash="0000"),
        row("CC101", True, principle="violence", constitution="library:none"),
    ]
    found = measure(rows)
    assert (found.total.hits, found.total.misses, found.total.rest) == (1, 1, 2)
    assert found.total.precision == 1.0
    assert found.total.recall == 0.5
    assert found.left_out == {"stale": 1, "not there": 1}
    assert found.disagreements == [f"miss: {LABEL} violence CC106"]
    assert "CC205 unreviewed" in table(found)


def test_agreement_with_the_readers() -> None:
    """What is said is nearly always right; what is missed is mostly one rule's (docs/results/lint.md)."""
    found = measure(verdicts())
    assert found.total.hits + found.total.misses > 20
    assert found.total.precision is not None
    assert found.total.recall is not None
    assert found.total.precision >= 0.9
    assert found.total.recall >= 0.5
    assert set(found.rules) <= set(RULES)
