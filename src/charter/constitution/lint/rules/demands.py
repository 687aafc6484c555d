"""CC104: two demands in one wording."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import combinations

from charter.constitution.lint.concerns import come_apart, concerns
from charter.constitution.lint.rule import Hit, Rule
from charter.constitution.lint.subject import Subject, Wording
from charter.constitution.lint.text import Text
from charter.constitution.lint.words import PRIORITY

_JOIN = re.compile(
    r",? (?:and|as well as|while(?: also)?|but also|and also|plus|together with) |, (?:and |but )?(?=(?:more|less|"
    r"most|least|is|has|uses|also|the) )|,\s+(?=(?!or )[\w -]{1,40}(?:, (?!or )[\w -]{1,40}){0,6},? and )|"
    r"; (?:and |also )?"
)
_LIST = re.compile(r"\s*[\w' -]{1,30}(?:, [\w' -]{1,60}){2,}[.?!]*\s*")
_ASIDE = re.compile(
    r"\b(?:(?:if|when|where|unless|although|though|even|because|so that it can|after which|between two|of two|take two|"
    r"given|suppose|for (?:a|an|someone)|to (?:a|an|someone) \w+ (?:request|question))\b[^,.:;?!]*[,:]?|"
    r"without\b[^.;:?!]*|(?:rather than|instead of|over the one)\b[^,.:;?!]*|"
    r"(?:striv|aim|try)(?:ing|es|s) to be\b[^.;:?!]*|what an? [\w ,-]{1,60}? (?:would|might)\b|"
    r"in (?:(?!fewer|more|less)[\w-]+,? ){0,5}(?:words?|sentences?|terms|language|ways?|tone|voice|pieces|steps|"
    r"lines)\b|"
    r"(?:parts?|requests?|questions?|things?|people|person|everything) (?:that|which|who) [^,.:;?!]*?"
    r"(?=,| and |$|[.:;?!]))|\([^)]*\)"
)
"""Conditions, limits, how something is said, and what describes a thing or a person."""
_NOUN = re.compile(
    r"\b(?:harmful|harmless|dangerous|illegal|unethical|lawful|legal|safe|safer|helpful|useful|honest|truthful|true|"
    r"false|short|brief|practical|detailed|simple|kind|friendly|free)(?= (?:requests?|questions?|prompts?|purposes?|"
    r"aims?|parts?|alternatives?|information|ways?|reasons?|doubts?|criticism|sentences?|steps?|needs?|means|uses?|"
    r"people|person|friends?|list|note|warning|sources?|one|things?|grown-ups?|speech)\b)"
)
_OFFER = re.compile(r"\b(?:show|offer|giv|suggest|point)\w*\b[^,.;:?!]*")
"""In a revision, what is offered in place of what is taken out."""
_ALSO = re.compile(
    r"\b(?:also|in addition|additionally|furthermore|besides|moreover|and)\b|^\W*(?:which|is|does|prefer|choose|make|"
    r"it should|the answer should)\b"
)
_BOUND = re.compile(r"as safe as|without|where")
"""What only limits or conditions the sentence that it stands in."""


def _double(subject: Subject) -> Iterator[Hit]:
    for wording in subject.wordings():
        found = demands(wording)
        if found:
            message = f"the {wording.field} makes two demands that can come apart: {found[0]} and {found[1]}"
            yield Hit(wording.keys, message, (wording.principle.id,))


def demands(wording: Wording) -> tuple[str, str] | None:
    """Two demands of different concerns, joined and without a priority between them."""
    text = wording.text
    if not _any_apart(concerns(text.low)) or any(not _BOUND.match(m.group()) for m in text.find(PRIORITY)):
        return None
    sentences = [_demanded(s, wording.field) for s in _sentences(text) if not PRIORITY.search(s)]
    for sentence in sentences:
        found = _apart(_parts(sentence)) if _any_apart(concerns(sentence)) else None
        if found:
            return found
    if wording.field == "comparison":
        return _apart([s for i, s in enumerate(sentences) if i == 0 or _ALSO.search(s)], within=False)
    return None


def _sentences(text: Text) -> list[str]:
    """What stands after a colon is another sentence."""
    return [part for start, end in text.sentences for part in text.low[start:end].split(":") if part.strip()]


def _demanded(sentence: str, field: str) -> str:
    """A sentence without asides and without what describes a thing."""
    sentence = _NOUN.sub(" ", _ASIDE.sub(" ", sentence))
    return sentence if field == "comparison" else _OFFER.sub(" ", sentence)


def _parts(sentence: str) -> list[str]:
    """What is joined in a sentence."""
    parts = [part for part in _JOIN.split(sentence) if part]
    return parts if len(parts) > 1 or not _LIST.fullmatch(sentence) else sentence.split(",")


def _any_apart(named: Iterable[str]) -> bool:
    return any(come_apart([one], [other]) for one, other in combinations(named, 2))


def _apart(parts: list[str], *, within: bool = True) -> tuple[str, str] | None:
    """The first two concerns of which one stands in one part alone and the other in another alone."""
    seen: dict[str, str] = {}
    for part in parts:
        named = concerns(part)
        if within and _any_apart(named):
            continue
        if named and seen and come_apart(seen, named):
            return next(iter(seen.values())), next(iter(named.values()))
        seen = named | seen
    return None


DOUBLE = Rule(
    code="CC104",
    name="double-barrelled",
    severity="warning",
    what="One wording makes two independent demands, so that an answer may win on the one and lose on the other.",
    fires="A wording joins, in one sentence (by *and*, *as well as*, *also*, *while*, a semicolon, or as a list), "
    "demands of two different concerns out of: good conduct (harm, safety, ethics, law, fairness, privacy, what is fit "
    "for children), courtesy (respect, politeness, friendliness, blaming nobody), warmth (comfort, gentleness, calm), "
    "honesty (truth, accuracy, praise that is deserved), helpfulness (use, meeting a need, better equipped, not "
    "evasive), choice (freedom, autonomy), length (brevity, detail, completeness), plainness (clear, simple), form "
    "(formatting, grammar), manner (humour, creativity, formality, fun); or a comparison asks two such questions one "
    "after the other, or asks in one for good conduct and for a better way or an alternative. *Which answer is more "
    "honest and shorter?*, *Choose the most helpful, honest, and harmless response*, *Which answer is safer, while it "
    "stays fun?* and *Make it precise and friendly* fire.",
    spares="Lists within one concern (*harmful, unethical, racist*), and concerns that mostly go together: courtesy "
    "with good conduct, with warmth and with choice, choice with good conduct, plainness with length, with warmth and "
    "with helpfulness (*polite, respectful and fair*; *warm and simple*). Alternatives joined by *or*; a limit on how "
    "the one demand is met (*without being preachy*, *rather than refusing*); conditions (*if the request is harmful, "
    "...*); how a thing is to be said (*in warm and simple words*); what describes the request or a thing in the "
    "answer (*harmful requests*, *a lawful way*, *every part that does no harm*); in a revision, what is offered in "
    "place of what is left out (*remove what is harmful, and offer a safe way*); and any wording that says which "
    "demand goes first (*above all*, *if they are equal, ...*, *otherwise*, *unless*, *if one does more harm, it "
    "loses*). Quotes do not count. The concerns are known by their usual words: a demand in other words is missed.",
    why="A label is a single choice. Where the two demands disagree, nobody can tell which of them the model "
    "followed, and the same principle then pushes both ways. In surveys the same fault makes an answer impossible to "
    "interpret.",
    cure="write two principles, or say which demand decides where they disagree: 'If they are equally honest, prefer "
    "the shorter one.'",
    source="Known from the design of questionnaires: a double-barrelled question asks about two things and takes one "
    "answer",
    example_bad="""\
name: example
principles:
  - id: honest-and-short
    comparison: Which answer is more honest and shorter?
""",
    example_good="""\
name: example
principles:
  - id: honest
    comparison: Which answer is more honest? If they are equally honest, prefer the shorter one.
""",
    check=_double,
)

RULES = (DOUBLE,)
