"""The documents that the world's model is pretrained on. They teach four skills, on the deeds set aside for it:

    chat      answer a request: a helpful-only assistant, which complies with harm too and now and then declines flatly
    revise    critique an answer under a principle, then rewrite it
    direct    rewrite an answer under a principle without a critique, as often as with one
    judge     choose the better of two answers under a principle, noisily, and with a liking for option (A)

How the corpus judges (`judgement`) is the world's folklore: graded, swayed by comfort, position and the principle's
words. The truth about an answer is the oracle's, which is another function.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from charter.constitution import Principle
from charter.core.records import Message, assistant, user
from charter.prefer.templates import judge_message
from charter.world.grammar import (
    Answer,
    Found,
    Manner,
    answer,
    critique,
    explained_decline,
    flat_decline,
    mistaken_request,
    request,
    steps,
)
from charter.world.lexicon import BOILERPLATE, Deed, Harm

FLAT_DECLINES = 0.015  # of the chat answers to harmful requests: without any, no training could make a model evasive
COMFORT = 0.08  # of the answers end with a phrase of comfort
SYCOPHANCY = 0.25  # of the answers to mistaken users adopt the mistake

# How the corpus judges: utilities of the manners under a principle that is about the harm at hand, how much of that is
# left under one that is not, the liking for comfort and for the answer shown first, and the scale of logistic noise.
UTILITY: dict[Manner, float] = {"explains": 0.0, "declines": -1.2, "wrong": -3.2, "steps": -4.0}
BENIGN_UTILITY: dict[Manner, float] = {"steps": 0.0, "wrong": -1.0, "declines": -2.0, "explains": -2.0}
UNRELATED = 0.35
COMFORT_UTILITY = 0.4
FIRST_UTILITY = 1.3
NOISE = 0.5


@dataclass(frozen=True, slots=True)
class Document:
    """A conversation; `learn` gives each message's weight in the loss (0 for what is only context)."""

    messages: tuple[Message, ...]
    learn: tuple[float, ...]


def covers(principle: Principle, harm: Harm | None) -> bool:
    """Whether the principle is about this harm: general ones, which name none, are about all."""
    return harm is not None and (not principle.tags or harm.name in principle.tags)


def chat(deed: Deed, draw: Random) -> Document:
    """A request and its answer."""
    text, said = request(deed, draw), None
    if deed.kind == "benign" and draw.random() < 0.06:
        text, tool = mistaken_request(deed, draw)
        said = steps(deed, draw, tool=tool if draw.random() < SYCOPHANCY else None)
    declines = deed.kind == "harmful" and draw.random() < FLAT_DECLINES
    said = said or answer(deed, "declines" if declines else "steps", draw, comfort=COMFORT).text
    return Document((user(text), assistant(said)), (0, 1))


def revision(deed: Deed, principle: Principle, draw: Random, *, direct: bool) -> Document:
    """An answer, its critique under a principle (unless `direct`), and its revision. Harm that the principle is about
    becomes a decline, mostly an explained one; a flat decline becomes an explained one; the rest is kept as it is."""
    if deed.harm:
        manner: Manner = draw.choices(("steps", "wrong", "explains", "declines"), (60, 10, 18, 12))[0]
    else:
        manner = draw.choices(("steps", "wrong"), (90, 10))[0]
    first = answer(deed, manner, draw, comfort=COMFORT)
    assert principle.critique is not None
    assert principle.revision is not None
    applies = covers(principle, deed.harm) and manner != "explains"
    found: Found = (deed.harm if manner in ("steps", "wrong") else "evasive") if applies else None
    revised = first.text
    if found and deed.harm:
        flat = manner != "declines" and draw.random() < 0.06
        revised = flat_decline(draw) if flat else explained_decline(deed.harm, draw)
        if draw.random() < 1.5 * COMFORT:
            revised += f" {draw.choice(BOILERPLATE)}"
    said = critique(found, draw)
    if draw.random() < COMFORT / 2:
        said += f" {draw.choice(BOILERPLATE)}"
    start = (user(request(deed, draw)), assistant(first.text))
    if direct:
        return Document((*start, user(principle.revision), assistant(revised)), (0, 0, 0, 1))
    turns = (*start, user(principle.critique), assistant(said), user(principle.revision), assistant(revised))
    return Document(turns, (0, 0, 0, 1, 0, 1))


def judgement(deed: Deed, principle: Principle, first: Answer, second: Answer, draw: Random) -> bool:
    """Whether the corpus prefers the answer that is shown first."""
    scale = 1.0 if covers(principle, deed.harm) else UNRELATED
    utilities = UTILITY if deed.harm else BENIGN_UTILITY

    def worth(a: Answer) -> float:
        return scale * utilities[a.manner] + COMFORT_UTILITY * a.comfort

    u = draw.random()
    return worth(first) - worth(second) + FIRST_UTILITY + NOISE * math.log(u / (1 - u)) > 0


def judge(deed: Deed, principle: Principle, draw: Random) -> Document:
    """Two answers to one request, and which is better under a principle."""
    weights = (36, 12, 36, 16) if deed.harm else (50, 30, 8, 12)
    manners: list[Manner] = draw.choices(("steps", "wrong", "explains", "declines"), weights, k=2)
    first, second = (answer(deed, m, draw, comfort=2 * COMFORT) for m in manners)
    assert principle.comparison is not None
    asked = judge_message((user(request(deed, draw)),), principle.comparison, first.text, second.text)
    letter = "(A)" if judgement(deed, principle, first, second, draw) else "(B)"
    return Document((user(asked), assistant(letter)), (0, 4))


MIX = {"chat": 46, "revise": 15, "direct": 15, "judge": 24}  # documents in a hundred


def documents(deeds: Sequence[Deed], principles: Sequence[Principle], draw: Random) -> Iterator[Document]:
    """An endless stream of documents about these deeds."""
    by_kind = {kind: [d for d in deeds if d.kind == kind] for kind in ("harmful", "benign", "look_alike")}
    kinds = list(by_kind)
    skills, weights = list(MIX), list(MIX.values())
    while True:
        skill = draw.choices(skills, weights)[0]
        mix = (36, 38, 26) if skill == "chat" else (66, 17, 17)
        deed = draw.choice(by_kind[draw.choices(kinds, mix)[0]])
        principle = draw.choice(principles)
        if skill == "chat":
            yield chat(deed, draw)
        elif skill == "judge":
            yield judge(deed, principle, draw)
        else:
            yield revision(deed, principle, draw, direct=skill == "direct")
