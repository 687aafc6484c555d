"""The schema: parts, ids, categories, and hashes over meaning."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from charter.constitution.schema import Category, Constitution, FewShot, Principle, Sampling

BOTH = Principle(id="both", category="safety", critique="look", revision="rewrite", comparison="which?")
ONE = Principle(id="one", comparison="which, again?")
SAFETY, HONESTY = Category(id="safety"), Category(id="honesty", tier=2)


def constitution(**changes: Any) -> Constitution:
    return Constitution.model_validate(
        {"name": "c", "categories": (SAFETY, HONESTY), "principles": (BOTH, ONE)} | changes
    )


def places(error: ValidationError) -> list[tuple[int | str, ...]]:
    return [problem["loc"] for problem in error.errors()]


def test_a_principle_knows_its_parts() -> None:
    assert BOTH.has("revision")
    assert BOTH.has("comparison")
    assert not ONE.has("revision")
    assert Principle(id="direct", revision="rewrite").has("revision")


@pytest.mark.parametrize(
    ("fields", "place", "words"),
    [
        ({"critique": "look"}, ("critique",), "needs a revision"),
        ({"critique": "look", "comparison": "which?"}, ("critique",), "needs a revision"),
        ({}, (), "`comparison`"),
        ({"comparison": "   "}, ("comparison",), "at least 1 character"),
        ({"comparison": "which?", "weight": -1}, ("weight",), "greater than or equal to 0"),
        ({"comparison": "which?", "weight": float("inf")}, ("weight",), "finite"),
        ({"comparison": "which?", "severity": "dire"}, ("severity",), "'low', 'medium' or 'high'"),
        ({"comparison": "which?", "colour": "red"}, ("colour",), "Extra inputs"),
    ],
)
def test_faulty_principles_are_refused(fields: dict[str, Any], place: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValidationError, match=words) as caught:
        Principle(id="p", **fields)
    assert places(caught.value) == [place]


@pytest.mark.parametrize("name", ["", "two words", "-dash", "ünique", "a\n"])
def test_ids_are_plain(name: str) -> None:
    with pytest.raises(ValidationError):
        Principle(id=name, comparison="which?")


def test_principles_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        BOTH.weight = 2.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"principles": ()}, ("principles",), "at least 1 item"),
        ({"principles": (ONE, ONE)}, ("principles", 1, "id"), r"principles\[0\] has this id already"),
        ({"categories": (SAFETY, SAFETY)}, ("categories", 1, "id"), r"categories\[0\] has this id already"),
        (
            {"principles": (ONE, Principle(id="x", category="safty", comparison="?"))},
            ("principles", 1, "category"),
            "did you mean 'safety'",
        ),
        ({"categories": ()}, ("principles", 0, "category"), "list it under `categories`"),
        ({"few_shot": {"chain_of_thought": ["{} and {}"]}}, ("few_shot", "chain_of_thought", 0), "exactly one {}"),
        ({"few_shot": {"chain_of_thought": ["none"]}}, ("few_shot", "chain_of_thought", 0), "exactly one {}"),
    ],
)
def test_faulty_constitutions_say_where(changes: dict[str, Any], place: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ValidationError, match=words) as caught:
        constitution(**changes)
    assert places(caught.value) == [place]


def test_all_problems_are_found_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        constitution(categories=(), principles=(BOTH, BOTH))
    assert sorted(places(caught.value), key=str) == [
        ("principles", 0, "category"),
        ("principles", 1, "category"),
        ("principles", 1, "id"),
    ]


def test_few_shot_examples_are_verbatim() -> None:
    text = "\n\nHuman: hello \n\nHuman:"
    assert constitution(few_shot={"critique_revision": [text]}).few_shot.critique_revision == (text,)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "another"},
        {"version": "2.0.0"},
        {"description": "what it is for"},
        {"principles": (ONE, BOTH)},
        {"principles": (BOTH.model_copy(update={"rationale": "why", "sources": ("s",), "tags": ("t",)}), ONE)},
        {"categories": (SAFETY.model_copy(update={"title": "Safety"}), HONESTY)},
    ],
)
def test_the_hash_stays_where_the_meaning_does(changes: dict[str, Any]) -> None:
    assert constitution(**changes).hash == constitution().hash


@pytest.mark.parametrize(
    "changes",
    [
        {"principles": (BOTH,)},
        {"principles": (BOTH.model_copy(update={"comparison": "which now?"}), ONE)},
        {"principles": (BOTH.model_copy(update={"weight": 2.0}), ONE)},
        {"principles": (BOTH.model_copy(update={"id": "renamed"}), ONE)},
        {"principles": (BOTH.model_copy(update={"severity": "high"}), ONE)},
        {"principles": (BOTH.model_copy(update={"category": "honesty"}), ONE)},
        {"categories": (HONESTY, SAFETY)},
        {"categories": (SAFETY, Category(id="honesty", tier=1))},
        {"sampling": Sampling(strategy="weight")},
        {"few_shot": FewShot(critique_revision=("x",))},
    ],
)
def test_the_hash_changes_with_the_meaning(changes: dict[str, Any]) -> None:
    assert constitution(**changes).hash != constitution().hash


def test_a_copy_has_its_own_hash() -> None:
    whole = constitution()
    assert BOTH.model_copy(update={"comparison": "which now?"}).hash != BOTH.hash
    assert whole.model_copy(update={"principles": (ONE,)}).hash != whole.hash


def test_the_principles_hash_is_over_its_wordings() -> None:
    assert Principle(id="other", tags=("x",), comparison="which, again?").hash == ONE.hash
    assert Principle(id="one", comparison=" which, again?\n").hash == ONE.hash
    assert Principle(id="one", revision="which, again?").hash != ONE.hash
