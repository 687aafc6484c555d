"""Drawing principles: at random, but each draw on its own and the same for ever.

The paper draws one principle independently for every round of every chain and for every label (sections 3.1 and 4.1).
Here a draw is a pure function of its key (the run's seed, the prompt, the chain, the round, ...), by rendezvous
hashing: every principle gets a uniform number from the hash of key and principle id, and the best number wins. Hence

- a draw depends neither on other draws nor on the order in which they are made;
- when a principle is added, a draw either stays what it was or falls on the new one; when one is removed, only the
  draws that fell on it change; rewording or reordering changes none. What an edit leaves alone need not be made again.

With weights w the winner is the least -ln(u) / w: exponential races, won in proportion to w. All of the above holds.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from charter.constitution.schema import Constitution, Part, Principle
from charter.core.errors import InputError
from charter.core.seeds import derive

_CURES = {
    "revision": "give a principle `critique` and `revision`",
    "comparison": "give a principle `comparison`",
}


def draw(
    constitution: Constitution, part: Part, key: tuple[int | str, ...], exclude: Collection[str] = ()
) -> Principle:
    """One of the principles that have `part`, leaving out the ids in `exclude` (unless that would leave none).

    Raises InputError where no principle has the part.
    """
    having = [p for p in constitution.principles if p.has(part)]
    if not having:
        raise InputError(f"no principle of '{constitution.name}' has a {part}", cure=_CURES[part])
    weights = constitution.weights
    fresh = [p for p in having if p.id not in exclude]
    return min(fresh or having, key=lambda p: (_arrival(part, key, p.id, weights[p.id]), p.id))


def _arrival(part: Part, key: tuple[int | str, ...], id: str, weight: float) -> float:  # noqa: A002
    """When this principle arrives in the race: exponential with rate `weight`."""
    u = (derive("principle", part, *key, id) + 0.5) / 2**63
    return -math.log(u) / weight
