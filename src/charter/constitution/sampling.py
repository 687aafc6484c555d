"""Drawing principles: at random, but each draw on its own and the same for ever.

The paper draws one principle independently for every round of every chain and for every label (sections 3.1 and 4.1).
Here a draw is a pure function of its key (the run's seed, the prompt, the chain, the round, ...), by rendezvous
hashing: every principle gets a uniform number from the hash of key and principle id, and the best number wins. Hence

- a draw depends neither on other draws nor on the order in which they are made;
- when a principle is added, a draw either stays what it was or falls on the new one; when one is removed, only the
  draws that fell on it change; rewording or reordering changes none. What an edit leaves alone need not be made again.

With weights w the winner is the least -ln(u) / w: exponential races, won in proportion to w. All of the above holds.
With `category_weight` two races are run, one between the categories and one within the winner's.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from charter.constitution.schema import Constitution, Part, Principle
from charter.core.errors import InputError
from charter.core.seeds import derive

Key = tuple[int | str, ...]

_CURES = {
    "revision": "give a principle `critique` and `revision`",
    "comparison": "give a principle `comparison`",
}


def draw(constitution: Constitution, part: Part, key: Key, exclude: Collection[str] = ()) -> Principle:
    """One of the principles that can be drawn for `part`, leaving out the ids in `exclude` (unless that would leave
    none). Raises InputError where there is none."""
    drawable = constitution.drawable(part)
    if not drawable:
        raise InputError(_nothing(constitution, part), cure=_CURES[part])
    weights = _within(constitution)
    candidates = [p for p in drawable if p.id not in exclude] or list(drawable)
    if constitution.sampling.strategy == "category_weight":
        of_category = _categories(constitution, candidates)
        winner = min(of_category, key=lambda c: (_arrival("category", part, key, c, of_category[c]), c))
        candidates = [p for p in candidates if (p.category or "") == winner]
    return min(candidates, key=lambda p: (_arrival("principle", part, key, p.id, weights[p.id]), p.id))


def probabilities(constitution: Constitution, part: Part) -> dict[str, float]:
    """The probability of each principle, by id, in one draw that excludes nothing; 0 where it is never drawn."""
    drawable, weights = constitution.drawable(part), _within(constitution)
    shares: dict[str, float] = {p.id: 0.0 for p in constitution.principles}
    if constitution.sampling.strategy == "category_weight":
        of_category = _categories(constitution, drawable)
        total = sum(of_category.values())
        for category, weight in of_category.items():
            members = [p for p in drawable if (p.category or "") == category]
            among = sum(weights[p.id] for p in members)
            shares |= {p.id: weight / total * weights[p.id] / among for p in members}
        return shares
    total = sum(weights[p.id] for p in drawable)
    return shares | {p.id: weights[p.id] / total for p in drawable}


def _within(constitution: Constitution) -> dict[str, float]:
    """What each principle weighs among those that it is drawn against."""
    if constitution.sampling.strategy == "category_weight":
        return {p.id: p.weight for p in constitution.principles}
    return constitution.weights


def _categories(constitution: Constitution, principles: Iterable[Principle]) -> dict[str, float]:
    """The weights of the categories that some principles belong to; those without one are together, with weight 1."""
    weights = {c.id: c.weight for c in constitution.categories} | {"": 1.0}
    return {category: weights[category] for category in sorted({p.category or "" for p in principles})}


def _arrival(what: str, part: Part, key: Key, id: str, weight: float) -> float:  # noqa: A002
    """When this one arrives in the race: exponential with rate `weight`."""
    u = (derive(what, part, *key, id) + 0.5) / 2**63
    return -math.log(u) / weight


def _nothing(constitution: Constitution, part: Part) -> str:
    worded = [p for p in constitution.principles if p.has(part)]
    if not worded:
        return f"no principle of '{constitution.name}' has a {part}"
    return f"no principle of '{constitution.name}' with a {part} can be drawn: retired, of weight 0, or of other tags"
