"""CC104: two demands in one wording."""

from __future__ import annotations

import re
from collections.abc import Iterator

from charter.constitution.lint.rule import Hit, Rule
from charter.constitution.lint.subject import Subject, Wording
from charter.constitution.lint.text import Text
from charter.constitution.lint.words import PRIORITY, words

CONCERNS: dict[str, re.Pattern[str]] = {
    "conduct": words(
        r"harm(?:ful|less)(?:ly|ness)?", r"(?:less|no|do(?:es)?|causes?) harm", r"harming", r"(?:un)?safe(?:r|st|ly|ty)?",
        r"dangerous", r"(?:un)?ethical(?:ly)?", r"(?:im)?moral(?:ly)?", r"(?:il)?legal(?:ly)?", r"(?:un)?lawful",
        r"toxic(?:ity)?", r"racis[tm]", r"sexis[tm]", r"(?:un)?fair(?:er|ness)?", r"(?:un)?biased", r"violent",
        r"sexual", r"privacy", r"age-appropriate", r"(?:not|unfit|fit|unsuitable|suitable|unsafe|safe) for children",
    ),
    "courtesy": words(
        r"(?:dis)?respect(?:ful(?:ly)?)?", r"(?:im)?polite(?:r|ly|ness)?", r"kind(?:er|ly|ness)", r"(?<!of )kind(?! of)",
        r"offensive(?:ness)?", r"friendl(?:y|ier)", r"courte(?:sy|ous|ously)", r"tactful(?:ly)?", r"rude(?:ly)?", r"insulting",
        r"accus(?:es?|ing|ation)", r"condescending", r"preachy",
    ),
    "warmth": words(
        r"warm(?:er|ly|th)?", r"comforting", r"gentl(?:e|er|y)", r"compassion(?:ate)?", r"caring", r"empath(?:y|ic|etic)",
        r"encouraging", r"reassuring", r"calm(?:er|ly)?", r"supportive",
    ),
    "honesty": words(
        r"(?:dis)?honest(?:y|ly)?", r"truth(?:ful|fully|fulness)?", r"(?:un)?true", r"(?:in)?accura(?:te|cy|tely)",
        r"misleading", r"exact(?:ly)?", r"precise(?:ly)?", r"factual(?:ly)?", r"candid(?:ly)?", r"calibrated", r"(?:un)?(?:deserved|earned)",
    ),
    "helpfulness": words(
        r"helpful(?:ly|ness)?", r"useful(?:ly|ness)?", r"informative", r"practical(?:ly)?", r"relevan(?:t|ce)",
        r"(?:answers?|meets?|serves?|addresses) (?:the|their|what|its|a)\b[\w' ]{0,20}? (?:questions?|needs?|purposes?|"
        r"requests?)",
        r"solves", r"better (?:equipped|informed|prepared|off)", r"evasive(?:ly|ness)?",
        r"(?:shows?|offers?|gives?|suggests?|points to) (?:a|an|the) (?:\w+ )?(?:way|alternative|next step)",
    ),
    "choice": words(
        r"freer?(?! (?:of|from)\b)", r"freedom(?! of\b)", r"autonom(?:y|ous)", r"independen(?:t|ce|tly)", r"own (?:choice|decision)s?",
    ),
    "length": words(
        r"short(?:er|est|ness)?", r"brief(?:er)?", r"brevity", r"concise(?:ly|ness)?", r"succinct(?:ly)?",
        r"long(?:er|est)", r"too long", r"lengthy", r"verbose", r"detailed", r"more detail", r"fewer words",
        r"more words", r"thorough(?:ly)?", r"complete(?:r|ness)?", r"length",
    ),
    "plainness": words(
        r"simpl(?:e|er|est|icity)", r"plain(?:er|ly)?", r"clearer|(?<!more )(?<!most )clearly", r"eas(?:y|ier) to (?:read|understand|follow)",
        r"jargon",
    ),
    "form": words(
        r"well[- ]formatted", r"formatting", r"markdown", r"grammar", r"grammatical(?:ly)?", r"spelling",
        r"punctuation", r"fluent(?:ly)?", r"well[- ]structured", r"emojis?", r"layout",
    ),
    "manner": words(
        r"creative(?:ly)?", r"fun", r"funn(?:y|ier)", r"humorous", r"humour", r"witty", r"entertaining", r"formal(?:ly)?",
        r"casual(?:ly)?", r"poetic", r"original",
    ),
}  # fmt: skip
"""Concerns that come apart: one answer of two may be ahead in the one and behind in the other."""

_KIN = {
    frozenset(pair)
    for pair in (
        ("conduct", "courtesy"),
        ("courtesy", "warmth"),
        ("warmth", "plainness"),
        ("plainness", "length"),
        ("plainness", "helpfulness"),
        ("choice", "conduct"),
        ("choice", "courtesy"),
    )
}
"""Concerns that mostly go together."""

_JOIN = re.compile(
    r",? (?:and|as well as|while(?: also)?|but also|and also|plus|together with) |, (?:and |but )?(?=(?:more|less|"
    r"most|least|is|has|uses|also|the) )|,\s+(?=(?!or )[\w -]{1,40}(?:, (?!or )[\w -]{1,40}){0,6},? and )|"
    r"; (?:and |also )?"
)
_LIST = re.compile(r"\s*[\w' -]{1,30}(?:, [\w' -]{1,60}){2,}[.?!]*\s*")
_ASIDE = re.compile(
    r"\b(?:if|when|where|unless|although|though|even|because|so that it can|after which|between two|of two|take two|"
    r"given|suppose|for (?:a|an|someone)|to (?:a|an|someone) \w+ (?:request|question))\b[^,.:;?!]*[,:]?|"
    r"\bwithout\b[^.;:?!]*|\b(?:rather than|instead of|over the one)\b[^,.:;?!]*|\([^)]*\)|"
    r"\b(?:striv|aim|try)(?:ing|es|s) to be\b[^.;:?!]*|\bwhat an? [\w ,-]{1,60}? (?:would|might)\b|\bin (?:(?!fewer|more|less)[\w-]+,? ){0,5}(?:words?|sentences?|terms|language|ways?|tone|voice|pieces|steps|lines)\b|"
    r"\b(?:parts?|requests?|questions?|things?|people|person|everything) (?:that|which|who) [^,.:;?!]*?(?=,| and |$|[.:;?!])"
)
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
    if len(concerns(text)) < 2 or any(not _BOUND.match(m.group()) for m in text.find(PRIORITY)):
        return None
    sentences = [_demanded(s, wording.field) for s in _sentences(text) if not PRIORITY.search(s)]
    for sentence in sentences:
        found = _apart(_parts(sentence))
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


def _apart(parts: list[str], *, within: bool = True) -> tuple[str, str] | None:
    """The first two concerns of which one stands in one part alone and the other in another alone."""
    seen: dict[str, str] = {}
    for part in parts:
        named = {concern: match.group() for concern, p in CONCERNS.items() if (match := p.search(part))}
        if within and any(not _near(a, b) for a in named for b in named):
            continue
        if named and seen and not any(_near(a, b) for a in named for b in seen):
            return next(iter(seen.values())), next(iter(named.values()))
        seen = named | seen
    return None


def _near(one: str, other: str) -> bool:
    return one == other or frozenset((one, other)) in _KIN


def concerns(text: Text) -> set[str]:
    """The concerns that a text names, outside quotes."""
    return {concern for concern, pattern in CONCERNS.items() if text.has(pattern)}


DOUBLE = Rule(
    code="CC104",
    name="double-barrelled",
    severity="warning",
    what="One wording makes two independent demands, so that an answer may win on the one and lose on the other.",
    fires="A wording joins, in one sentence (by *and*, *as well as*, *also*, or as a list), demands of two different "
    "concerns out of: good conduct (harm, safety, ethics, law, fairness, respect, courtesy, privacy), honesty, "
    "helpfulness, length, form (formatting, grammar), manner (humour, creativity, formality); or a comparison asks "
    "two such questions one after the other. *Which answer is more honest and shorter?*, *Choose the most helpful, "
    "honest, and harmless response* and *Remove what is harmful, and make it concise* fire.",
    spares="Lists within one concern (*harmful, unethical, racist*; *polite, respectful and fair*); alternatives "
    "joined by *or*; a limit on how the one demand is met (*without being preachy*, *rather than refusing*); "
    "conditions (*if the request is harmful, ...*); what describes the request or a thing in the answer (*harmful "
    "requests*, *a lawful way*); and any wording that says which demand goes first (*above all*, *if they are equal, "
    "...*, *otherwise*, *unless*, *if one does more harm, it loses*). Quotes do not count.",
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
