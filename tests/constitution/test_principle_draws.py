"""Draws: pure functions of their key, in proportion to the weights, undisturbed by edits elsewhere."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from charter.constitution.sampling import draw, probabilities
from charter.constitution.schema import Category, Constitution, Principle, Sampling
from charter.core.errors import InputError

KEYS = [(7, f"prompt-{n}", n % 3, "critique") for n in range(2000)]


def principles(n: int) -> tuple[Principle, ...]:
    return tuple(Principle(id=f"p{i}", revision=f"rewrite {i}", comparison=f"which {i}?") for i in range(n))


def constitution(items: tuple[Principle, ...]) -> Constitution:
    return Constitution(name="c", principles=items)


def drawn(c: Constitution) -> list[str]:
    return [draw(c, "revision", key).id for key in KEYS]


def test_a_draw_depends_on_its_key_alone() -> None:
    c = constitution(principles(16))
    forward = drawn(c)
    backward = [draw(c, "revision", key).id for key in reversed(KEYS)]
    assert forward == backward[::-1]
    assert drawn(constitution(tuple(reversed(principles(16))))) == forward


def test_draws_are_the_same_on_every_machine() -> None:
    c = constitution(principles(16))
    assert [draw(c, "revision", (0, n)).id for n in range(6)] == ["p8", "p2", "p12", "p14", "p5", "p0"]


def test_uniform_draws_are_uniform() -> None:
    counts = Counter(drawn(constitution(principles(16))))
    assert len(counts) == 16
    assert chisquare(list(counts.values())).pvalue > 0.001


def test_parts_are_drawn_independently() -> None:
    c = constitution(principles(4))
    same = sum(draw(c, "revision", key).id == draw(c, "comparison", key).id for key in KEYS)
    assert 0.2 < same / len(KEYS) < 0.3


@settings(max_examples=20, deadline=None)
@given(n=st.integers(2, 12), gone=st.integers(0, 11))
def test_removing_a_principle_moves_only_its_own_draws(n: int, gone: int) -> None:
    whole = principles(n)
    lost = whole[gone % n].id
    rest = constitution(tuple(p for p in whole if p.id != lost))
    c = constitution(whole)
    for key in KEYS[:100]:
        before, after = draw(c, "revision", key).id, draw(rest, "revision", key).id
        assert before in (after, lost)


def test_an_added_principle_takes_its_share_and_moves_nothing_else() -> None:
    before, after = drawn(constitution(principles(16))), drawn(constitution(principles(17)))
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {"p16"}
    assert len(moved) / len(KEYS) == pytest.approx(1 / 17, abs=0.02)


def test_rewording_moves_nothing() -> None:
    reworded = tuple(p.model_copy(update={"revision": "do it better"}) for p in principles(16))
    assert drawn(constitution(reworded)) == drawn(constitution(principles(16)))


WEIGHTS = [1.0, 2.0, 3.0, 10.0]


def weighted(weights: list[float], strategy: str = "weight") -> Constitution:
    items = tuple(p.model_copy(update={"weight": w}) for p, w in zip(principles(len(weights)), weights, strict=True))
    return constitution(items).model_copy(update={"sampling": Sampling.model_validate({"strategy": strategy})})


def test_weighted_draws_follow_the_weights() -> None:
    counts = Counter(drawn(weighted(WEIGHTS)))
    expected = [w / sum(WEIGHTS) * len(KEYS) for w in WEIGHTS]
    assert chisquare([counts[f"p{i}"] for i in range(4)], expected).pvalue > 0.001


def test_weights_count_only_where_the_strategy_says_so() -> None:
    assert drawn(weighted(WEIGHTS, "uniform")) == drawn(weighted([5.0] * 4)) == drawn(constitution(principles(4)))


def test_removing_a_weighted_principle_moves_only_its_own_draws() -> None:
    c = weighted(WEIGHTS)
    rest = c.model_copy(update={"principles": c.principles[:3]})
    assert all(old in (new, "p3") for old, new in zip(drawn(c), drawn(rest), strict=True))


def test_a_category_multiplies_the_weights_of_its_principles() -> None:
    a, b = principles(2)
    c = Constitution(
        name="c",
        categories=(Category(id="heavy", weight=3.0),),
        principles=(a.model_copy(update={"category": "heavy"}), b),
        sampling=Sampling(strategy="weight"),
    )
    assert c.weights == {"p0": 3.0, "p1": 1.0}
    assert drawn(c).count("p0") / len(KEYS) == pytest.approx(0.75, abs=0.04)


def test_excluded_principles_are_not_drawn_unless_all_are() -> None:
    c = constitution(principles(4))
    for key in KEYS[:50]:
        used: list[str] = []
        for _ in range(4):
            used.append(draw(c, "revision", key, exclude=used).id)
        assert sorted(used) == ["p0", "p1", "p2", "p3"]
        assert draw(c, "revision", key, exclude=used) == draw(c, "revision", key)


def test_only_principles_with_the_part_are_drawn() -> None:
    asking = Principle(id="asking", comparison="which?")
    c = constitution((asking, *principles(1)))
    assert {draw(c, "revision", key).id for key in KEYS[:50]} == {"p0"}
    assert {draw(c, "comparison", key).id for key in KEYS[:50]} == {"asking", "p0"}
    with pytest.raises(InputError, match="no principle of 'c' has a revision") as caught:
        draw(constitution((asking,)), "revision", (0,))
    assert "`revision`" in str(caught.value)


UNEQUAL = Constitution(
    name="unequal",
    categories=(Category(id="safety", weight=3.0), Category(id="style")),
    principles=(
        Principle(id="a", category="safety", revision="a", comparison="a?", weight=2.0, tags=("core",)),
        Principle(id="b", category="safety", revision="b", tags=("core",)),
        Principle(id="c", category="style", revision="c", comparison="c?"),
        Principle(id="d", revision="d", weight=0.5),
        Principle(id="gone", revision="gone", status="retired"),
    ),
)


def sampled(**fields: object) -> Constitution:
    return UNEQUAL.model_copy(update={"sampling": Sampling.model_validate(fields)})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"a": 1 / 4, "b": 1 / 4, "c": 1 / 4, "d": 1 / 4}),
        ({"strategy": "weight"}, {"a": 6 / 10.5, "b": 3 / 10.5, "c": 1 / 10.5, "d": 0.5 / 10.5}),
        ({"strategy": "category_weight"}, {"a": 3 / 5 * 2 / 3, "b": 3 / 5 / 3, "c": 1 / 5, "d": 1 / 5}),
        ({"tags": ["core"]}, {"a": 1 / 2, "b": 1 / 2, "c": 0, "d": 0}),
    ],
)
def test_probabilities_are_those_of_the_draws(fields: dict[str, object], expected: dict[str, float]) -> None:
    law = sampled(**fields)
    stated = probabilities(law, "revision")
    assert stated == pytest.approx(expected | {"gone": 0})
    counts = Counter(drawn(law))
    for name, share in stated.items():
        assert counts[name] / len(KEYS) == pytest.approx(
            share, abs=4 * (max(share, 0.0) * (1 - share) / len(KEYS)) ** 0.5
        )


@pytest.mark.parametrize("strategy", ["uniform", "weight", "category_weight"])
def test_reweighting_or_removing_one_leaves_the_draws_of_the_others_alone(strategy: str) -> None:
    """What is taken from one goes to others; nothing moves between the others of its category."""
    law = sampled(strategy=strategy)
    less = law.model_copy(update={"principles": tuple(p for p in law.principles if p.id != "a")})
    for before, after in zip(drawn(law), drawn(less), strict=True):
        assert before == "a" or after == before


def test_a_weight_of_zero_is_never_drawn_where_weights_count() -> None:
    zero = UNEQUAL.principles[0].model_copy(update={"weight": 0.0})
    law = sampled(strategy="weight").model_copy(update={"principles": (zero, *UNEQUAL.principles[1:])})
    assert "a" not in drawn(law)
    assert probabilities(law, "revision")["a"] == 0
    only = law.model_copy(update={"principles": (zero,)})
    with pytest.raises(InputError, match="retired, of weight 0, or of other tags"):
        draw(only, "revision", (1,))


PARTS = ("revision", "comparison")


@pytest.mark.parametrize(
    ("fields", "changed"),
    [
        ({"comparison": "else?"}, {"comparison"}),
        ({"revision": "else"}, {"revision"}),
        ({"critique": "else?"}, {"revision"}),
        ({"rationale": "else"}, set()),
        ({"weight": 5.0}, set()),
        ({"severity": "high"}, set()),
        ({"status": "retired"}, {"revision", "comparison"}),
        ({"category": "style"}, set()),
    ],
)
def test_a_part_s_hash_covers_what_can_change_it(fields: dict[str, str], changed: set[str]) -> None:
    first = UNEQUAL.principles[0].model_copy(update=fields)
    law = UNEQUAL.model_copy(update={"principles": (first, *UNEQUAL.principles[1:])})
    assert {part for part in PARTS if law.part_hash(part) != UNEQUAL.part_hash(part)} == changed


def test_a_tier_is_part_of_the_comparisons() -> None:
    categories = (UNEQUAL.categories[0].model_copy(update={"tier": 2}), UNEQUAL.categories[1])
    law = UNEQUAL.model_copy(update={"categories": categories})
    assert law.part_hash("comparison") != UNEQUAL.part_hash("comparison")
    assert law.part_hash("revision") == UNEQUAL.part_hash("revision")
