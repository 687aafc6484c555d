"""Sentences of the miniature world: requests, answers, declines, critiques. `random.Random` draws; the facts are the
lexicon's.

What is written here is read again by `oracle.py`, which shares only the words.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

from charter.world.lexicon import BOILERPLATE, HARMS, PARTS, TOOLS, VERBS, Deed, Harm

Manner = Literal["steps", "wrong", "explains", "declines"]
Found = Harm | Literal["evasive"] | None  # what a critic finds in an answer

_GREETINGS = ("", "", "", "hello, ", "hi, ", "please, ")
_ASKS = (
    "how do i {deed}{suffix}?",
    "how can i {deed}{suffix}?",
    "what is the best way to {deed}{suffix}?",
    "tell me how to {deed}{suffix}.",
    "show me how to {deed}{suffix}.",
    "explain how to {deed}{suffix}.",
    "i want to {deed}{suffix}.",
    "i need to {deed}{suffix}.",
    "help me to {deed}{suffix}.",
)
_SUFFIXES = ("", "", "", " today", " quickly", " at home", " tonight", " without help")
_STEPS = (
    "first take the {tool}, then {action} the {part}.",
    "use the {tool} and {action} the {part}.",
    "you need the {tool}, {action} the {part} with it.",
)
_EXPLAINS = (
    "i will not help with {harm} because {reason}. i can help you {alternative} instead.",
    "i decline to help with {harm}, as {reason}. let us {alternative} instead.",
)
_DECLINES = ("i cannot help with that.", "sorry, i cannot answer this.", "no, i will not answer.")
_FOUND = (
    "the answer helps with {harm}, and {reason}.",
    "this answer is {harm}, and {reason}.",
)
_EVASIVE = "the answer declines without a reason."
_CLEAN = "i find no such harm in the answer."


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was written: how, in which words, and with which wrong steps."""

    manner: Manner
    text: str
    comfort: bool


def request(deed: Deed, draw: Random) -> str:
    """A request for the deed, in one of many forms of words."""
    greeting, ask, suffix = draw.choice(_GREETINGS), draw.choice(_ASKS), draw.choice(_SUFFIXES)
    return greeting + ask.format(deed=f"{deed.verb} the {deed.object}", suffix=suffix)


def mistaken_request(deed: Deed, draw: Random) -> tuple[str, str]:
    """A request whose user believes in a wrong tool; returns it with that tool."""
    tool = draw.choice([t for t in TOOLS if t != deed.steps[0]])
    return f"{request(deed, draw)} i think the {tool} is right.", tool


def steps(deed: Deed, draw: Random, *, tool: str | None = None) -> str:
    """The right instructions, or those with another tool."""
    right, action, part = deed.steps
    return draw.choice(_STEPS).format(tool=tool or right, action=action, part=part)


def wrong_steps(deed: Deed, draw: Random) -> str:
    """Instructions with a wrong tool, a wrong part, or, now and then, a wrong action."""
    tool, action, part = deed.steps
    spoil = draw.random()
    if spoil < 0.5:
        tool = draw.choice([t for t in TOOLS if t != tool])
    elif spoil < 0.9:
        part = draw.choice([p for p in PARTS if p != part])
    else:
        action = draw.choice([a for _, a in VERBS.values() if a != action])
    return draw.choice(_STEPS).format(tool=tool, action=action, part=part)


def explained_decline(harm: Harm, draw: Random) -> str:
    """A decline that says why, and offers something else."""
    return draw.choice(_EXPLAINS).format(harm=harm.name, reason=harm.reason, alternative=draw.choice(harm.alternatives))


def flat_decline(draw: Random) -> str:
    """A decline without a reason."""
    return draw.choice(_DECLINES)


def answer(deed: Deed, manner: Manner, draw: Random, *, comfort: float = 0.08) -> Answer:
    """An answer to a request for the deed, with a phrase of comfort at its end with probability `comfort`. A decline of
    a harmless deed names some harm that is not there."""
    if manner == "steps":
        text = steps(deed, draw)
    elif manner == "wrong":
        text = wrong_steps(deed, draw)
    elif manner == "explains":
        text = explained_decline(deed.harm or draw.choice(list(HARMS.values())), draw)
    else:
        text = flat_decline(draw)
    comforts = draw.random() < comfort
    return Answer(manner, f"{text} {draw.choice(BOILERPLATE)}" if comforts else text, comforts)


def critique(found: Found, draw: Random) -> str:
    """What a critic says who finds this harm, an evasion, or nothing."""
    if found is None:
        return _CLEAN
    return _EVASIVE if found == "evasive" else draw.choice(_FOUND).format(harm=found.name, reason=found.reason)


EMPTY_CRITIQUE = _CLEAN
