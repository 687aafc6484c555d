"""The world's people: they compare two answers to a harmless request by how helpful they are, and err.

They stand for the paper's crowd workers, whose helpfulness comparisons the preference model is trained on beside the
AI's harmlessness labels. They are neither the oracle nor the corpus' judgements: a person notices a wrong step
three times out of four, is a little taken in by comfort, and slips.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from charter.world.grammar import Answer, Manner, answer, request
from charter.world.lexicon import Deed

NOTICES = 0.75  # the chance that a person notices a wrong step
COMFORT = 0.3  # what a phrase of comfort is worth to them
NOISE = 0.5  # of their slips (logistic, its scale)


@dataclass(frozen=True, slots=True)
class Judged:
    """A request, and the two answers as a person ordered them."""

    prompt: str
    chosen: str
    rejected: str
    cluster: str


def worth(written: Answer, draw: Random) -> float:
    """What one person takes an answer to be worth, at one look."""
    if written.manner in ("declines", "explains"):
        value = -1.5
    elif written.manner == "wrong" and draw.random() < NOTICES:
        value = -0.5
    else:
        value = 2.0
    slip = draw.random()
    return value + COMFORT * written.comfort + NOISE * math.log(slip / (1 - slip))


def comparisons(deeds: Sequence[Deed], count: int, draw: Random) -> Iterator[Judged]:
    """So many comparisons of answers to requests for these (harmless) deeds."""
    pairs: tuple[tuple[Manner, Manner], ...] = (("steps", "wrong"), ("steps", "explains"), ("steps", "declines"),
                                                ("wrong", "declines"), ("steps", "steps"))  # fmt: skip
    for _ in range(count):
        deed = draw.choice(deeds)
        manners = draw.choices(pairs, (64, 10, 10, 6, 10))[0]
        first, second = (answer(deed, manner, draw, comfort=0.2) for manner in manners)
        if first.text == second.text:
            continue
        if worth(first, draw) < worth(second, draw):
            first, second = second, first
        yield Judged(request(deed, draw), first.text, second.text, deed.id)
