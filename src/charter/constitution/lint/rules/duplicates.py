"""CC202: principles that say nearly the same."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from charter.constitution.lint.rule import Hit, Rule
from charter.constitution.lint.subject import FIELDS, Field, Member, Subject
from charter.constitution.lint.text import WORD, Text

THRESHOLD = 0.75
"""The share of content words in common, from which on two wordings are nearly the same."""


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FRAME = _set(
    """
    a about above all also am an and answer answers any are as assistant assistants at based basis be been being
    best better both but by can choose comment compare consider content could criteria criterion critique decide
    degree did discuss do does each either every explain find for from give gives has have how human humans i
    identify if in into is it its itself last look make may might model more most much must note of on one ones or
    other others out people person pick please point preceding prefer preferred question read reply respond
    response responses revise rewrite s say see select should show shows so some something specific t take than
    that the their them then there these they thing think this those to two up user users was way ways we were
    what whatever when where whether which while who whose will with would write you your
    """
)
_NOT = _set(
    """
    avoid avoiding avoids cannot fewer fewest least less neither never no nor not refrain refrains remove
    removes removing without
    """
)
_TURN = frozenset(["but", "yet", "more", "most", "with", "instead"])
_ENDING = re.compile(
    r"(?:fulness|iveness|ations?|ically|fully|ingly|ness|less|ment|ally|ful|ing|ies|ity|ied|ism|ist|est|ers?|ed|es|"
    r"ly|al|ic|s|e|y)$"
)


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A crude stem: `harmful`, `harmfulness` and `harms` are one word."""
    while len(word) > 4 and (found := _ENDING.search(word)) and found.start() >= 4:
        word = word[: found.start()]
    return word


def content(text: Text) -> frozenset[str]:
    """The stems of a text's content words; what a negation covers is another word."""
    found, negated = set(), 0
    for word in text.words if text.unquoted == text.raw else WORD.findall(text.raw.lower()):
        if word in _NOT or word.endswith("n't"):
            negated = 8
        elif word in _TURN:
            negated = 0
        if word not in _FRAME and word not in _NOT:
            found.add(f"not {stem(word)}" if negated else stem(word))
        negated = max(0, negated - 1)
    return frozenset(found)


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of words in common (Jaccard); 0 where there are too few words to say."""
    union = len(one | other)
    return len(one & other) / union if union and min(len(one), len(other)) > 0 else 0.0


def _duplicates(subject: Subject) -> Iterator[Hit]:
    contents = {field: [_content(member, field) for member in subject.members] for field in FIELDS}
    nearest: dict[int, tuple[float, int]] = {}
    for later, earlier in sorted(_candidates(contents)):
        shared = [f for f in FIELDS if contents[f][later] and contents[f][earlier]]
        least = min((similarity(contents[f][later], contents[f][earlier]) for f in shared), default=0.0)
        if least >= THRESHOLD and least > nearest.get(later, (0.0, 0))[0]:
            nearest[later] = (least, earlier)
    for later, (least, earlier) in sorted(nearest.items()):
        one, other = subject.members[later], subject.members[earlier]
        ids = one.principle.id, other.principle.id
        yield Hit(
            one.keys, f"'{ids[0]}' says nearly the same as '{ids[1]}': {least:.0%} of their words are the same", ids
        )


def _content(member: Member, field: Field) -> frozenset[str]:
    text = member.wording(field)
    return content(text) if text else frozenset()


def _candidates(contents: dict[Field, list[frozenset[str]]]) -> set[tuple[int, int]]:
    """Pairs that can reach the threshold: sets that do share one of their rarest words, so only those are looked up."""
    pairs: set[tuple[int, int]] = set()
    for sets in contents.values():
        counts = Counter(word for words in sets for word in words)
        index: dict[str, list[int]] = {}
        for later, words in enumerate(sets):
            rare = sorted(words, key=lambda w: (counts[w], w))[: len(words) - math.ceil(THRESHOLD * len(words)) + 1]
            for word in rare:
                near = index.setdefault(word, [])
                pairs.update((later, earlier) for earlier in near[:MAX_CANDIDATES])
                near.append(later)
    return pairs


MAX_CANDIDATES = 50
"""Of the principles that share a word, how many are compared: the first; enough where hundreds are copies of one."""

DUPLICATE = Rule(
    code="CC202",
    name="near-duplicate",
    severity="warning",
    what="Two principles say nearly the same in nearly the same words.",
    fires="In every wording that two principles both have, at least three quarters of the content words are the same "
    "(shared words divided by all words of the two). Endings do not count (*harm*, *harmful*), nor do words of the "
    "frame (*which answer*, *rewrite*, *the assistant's last response*, *please*, *more*, *people*). Quoted words "
    "count here. It is reported at the later principle, with the nearest earlier one.",
    spares="Principles with the same words of which one is negated and the other is not (*avoids jargon*, *uses "
    "jargon*): those contradict each other. Principles of which one pair of wordings is alike and another is not; "
    "principles that share a subject in other words.",
    why="Principles are drawn at random: two copies of one give it double weight, without anybody having decided so.",
    cure="remove one of them, or say in each what the other does not; for more weight, set `weight`",
    source="Bai et al. 2022, Constitutional AI (arXiv 2212.08073), section 3.1: one principle is drawn at random for "
    "each step",
    example_bad="""\
name: example
principles:
  - id: harm
    comparison: Which answer is less harmful, dangerous or illegal?
  - id: harm-again
    comparison: Please choose the response that is less harmful, dangerous, or illegal.
""",
    example_good="""\
name: example
principles:
  - id: harm
    comparison: Which answer is less harmful, dangerous or illegal?
  - id: harm-again
    comparison: Please choose the response that is less hostile to the groups it mentions.
""",
    check=_duplicates,
)

RULES = (DUPLICATE,)
