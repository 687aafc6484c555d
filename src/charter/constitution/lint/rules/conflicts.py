"""CC201: principles of one tier that pull against each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from charter.constitution.lint.rule import Hit, Rule
from charter.constitution.lint.subject import Member, Subject
from charter.constitution.lint.text import Text
from charter.constitution.lint.words import PRIORITY, words


@dataclass(frozen=True)
class Axis:
    """Two opposed directions. A pole that is negated counts as the other one where `mirrored`."""

    one: str
    other: str
    one_words: re.Pattern[str]
    other_words: re.Pattern[str]
    mirrored: bool = True


_HARM_NEAR = (
    r"(?! (?:\w+ ){0,4}?(?:harm\w*|danger\w*|illegal|unethical|whatever|such|what|unsafe|violen\w*|immoral|criminal|"
    r"without|flatly|so|only))"
)

AXES = (
    Axis(
        "brevity",
        "detail",
        words(
            r"brief(?:er|ly)?", r"brevity", r"concise(?:ly|ness)?", r"succinct(?:ly)?",
            r"short(?:er|est)? (?:answer|response|reply|one)s?", r"shorter", r"shortest", r"terse(?:ly)?",
            r"fewe(?:r|st) words", r"to the point",
        ),
        words(
            r"in (?:more |great |greater |full |much )?(?:detail|depth)", r"more detail(?:ed|s)?", r"detailed",
            r"thorough(?:ly|ness)?", r"comprehensive(?:ly|ness)?", r"exhaustive(?:ly)?", r"longer", r"longest",
            r"elaborate[sd]?", r"more words", r"at length",
        ),
    ),
    Axis(
        "declining",
        "complying",
        words(
        rf"(?:refus|declin)(?:e|es|ing)(?: to (?:answer|help|comply))?{_HARM_NEAR}",
        r"turns? (?:down|away) (?:any|every|all|the) (?:request|question)s?", r"refusals?"),
        words(
            r"(?:complies|comply|complying) (?:more|most|fully|completely|better|with|as)",
            r"always (?:answers?|helps?|complies|comply)",
            r"does (?:exactly )?(?:what(?:ever)?|as) (?:the |it )?\w+ (?:asks?|wants?|says?)",
            r"follows? (?:every|all|any|the user's|the person's) (?:instruction|request|order|wish)\w*",
            r"answers? (?:every|any|all) (?:question|request)s?", r"obey\w*", r"obedien\w+",
        ),
    ),
    Axis(
        "reasons",
        "no reasons",
        words(
            r"(?:gives?|giving|offers?|states?|with) (?:its |a |the |their |good |clear |more |better |"
            r"clearer )?(?:reasons?|explanations?)",
            r"explain(?:s|ing)? (?:itself|why|its|the reasons?|the refusal|a refusal|better|more)\b",
            r"justif(?:y|ies|ying) (?:its|the|a)\w*", r"(?:say|says|saying) why", r"always explains?",
        ),
        words(
            r"(?:without|no|not? (?:give|offer|state)\w*(?: any)?|never (?:give|offer|state)s?(?: any)?|fewe(?:r|"
            r"st)|less) (?:an? |any |the |further )?(?:reasons?|explanations?|justifications?|explaining|justifying)",
            r"(?:not|never|without) explain(?:s|ing)?", r"unexplained",
        ),
        mirrored=False,
    ),
    Axis(
        "formality",
        "informality",
        words(
            r"formal(?:ly|ity)?", r"professional (?:tone|language|style|register)", r"more professional(?:ly)?",
            r"dignified",
        ),
        words(
            r"informal(?:ly|ity)?", r"casual(?:ly)?", r"colloquial(?:ly)?", r"slang", r"chatty", r"conversational",
            r"relaxed tone", r"like (?:a friend|friends) (?:talk|chat|would)\w*",
        ),
    ),
    Axis(
        "warnings",
        "no warnings",
        words(
            r"(?:adds?|adding|includes?|including|gives?|giving|more|with) (?:a |an |clear |explicit |more |"
            r"stern )?(?:warnings?|disclaimers?|caveats?)", r"warns? (?:more|of|about|the)",
        ),
        words(
            r"(?:no|without|fewe(?:r|st)|less|free of|avoids?|not? (?:add|include|give)\w*) (?:any |a |unneeded |"
            r"many )?(?:warnings?|disclaimers?|caveats?)",
        ),
        mirrored=False,
    ),
    Axis(
        "confidence",
        "hedging",
        words(
            r"confiden(?:t|tly|ce)", r"assertive(?:ly|ness)?", r"decisive(?:ly|ness)?",
            r"sound(?:s|ing)? (?:more )?certain",
        ),
        words(
            r"hedg(?:e|es|ed|ing)", r"tentative(?:ly)?",
            r"(?:states?|admits?|says?|express\w*|acknowledg\w*|open about) (?:\w+ )?(?:uncertain\w*|doubts?)",
            r"humbl(?:e|er|y)", r"humility", r"caveats?",
        ),
    ),
    Axis(
        "agreement",
        "challenge",
        words(
            r"agree(?:s|ing)? (?:more )?with (?:the |what )?\w+", r"validat(?:e|es|ing) (?:the |what |how )?\w+",
            r"go(?:es)? along with", r"affirm(?:s|ing)? (?:the )?(?:user|person|human)'s?", r"flatter(?:s|ing)?",
            r"prais(?:e|es|ing) the (?:user|person|human)",
        ),
        words(
            r"challeng(?:e|es|ing) (?:the |what )?\w+", r"disagree(?:s|ing)?",
            r"contradict(?:s|ing)? (?:the )?(?:user|person|human)", r"push(?:es|ing)? back",
            r"correct(?:s|ing)? (?:the )?(?:user|person|human|mistaken|false)\w*",
        ),
    ),
    Axis(
        "neutrality",
        "taking sides",
        words(
            r"neutral(?:ly|ity)?", r"impartial(?:ly|ity)?",
            r"(?:no|without|withholds?) (?:an |its own |a |its )?(?:opinion|view|stance)s?", r"both sides",
            r"balanced",
        ),
        words(
            r"tak(?:e|es|ing) (?:a |the |clear )?(?:side|sides|stand|stance|position)",
            r"(?:gives?|states?|shares?|expresses?|voices?) (?:its|his|a|an|clear|own|its own) (?:\w+ )?(?:opinion|"
            r"view|stance)s?", r"opinionated",
        ),
    ),
    Axis(
        "gentleness",
        "bluntness",
        words(
            r"gentl(?:e|er|y|est)", r"tactful(?:ly)?", r"diplomatic(?:ally)?", r"soft(?:er|ens?|ly)",
            r"spares? (?:the \w+|their|people's) feelings",
        ),
        words(
            r"blunt(?:ly|er|ness)?", r"brutal(?:ly)?(?: honest\w*)?", r"harsh(?:er|ly)?", r"unsparing(?:ly)?",
            r"pulls? no punches",
        ),
    ),
    Axis(
        "plain language",
        "technical language",
        words(
            r"(?:plain|simple|simpler|everyday|plainer) (?:words|language|terms|english)", r"layman'?s?(?: terms)?",
            r"non-?technical", r"easy for (?:a )?\w+ to (?:read|understand)",
        ),
        words(
            r"(?:technical|expert|specialist|scientific) (?:words|language|terms|vocabulary|terminology|detail)",
            r"jargon", r"more technical(?:ly)?",
        ),
    ),
    Axis(
        "humour",
        "seriousness",
        words(
            r"humou?r(?:ous|ously)?", r"funn(?:y|ier|iest)", r"playful(?:ly)?", r"witt(?:y|ier)", r"jokes?",
            r"light-?hearted",
        ),
        words(
            r"serious(?:ly|ness)?(?! (?:harm|crime|injur|risk|danger))", r"solemn(?:ly)?", r"sober(?:ly)?",
            r"earnest(?:ly)?",
        ),
    ),
)  # fmt: skip
"""Directions that cannot both be followed."""

_ANY = words(
    *(p.pattern.removeprefix(r"\b").removesuffix(r"\b") for axis in AXES for p in (axis.one_words, axis.other_words))
)


def _starts(text: Text) -> list[int]:
    """Where words of any axis stand: one search instead of one for each pole."""
    found: list[int] = []
    while match := _ANY.search(text.low, found[-1] + 1 if found else 0):
        found.append(match.start())
    return found


def direction(text: Text, axis: Axis, starts: Sequence[int]) -> int:
    """1 where a text pulls towards `one`, -1 where it pulls towards `other`, 0 for neither or both."""
    poles = {
        _sign(text, match, axis, sign)
        for sign, pattern in ((1, axis.one_words), (-1, axis.other_words))
        for start in starts
        if (match := pattern.match(text.low, start))
    }
    poles.discard(0)
    return poles.pop() if len(poles) == 1 else 0


def _sign(text: Text, match: re.Match[str], axis: Axis, sign: int) -> int:
    if not text.negated(match.start()):
        return sign
    return -sign if axis.mirrored else 0


def _conflicts(subject: Subject) -> Iterator[Hit]:
    tiers = subject.constitution.tiers
    poles: dict[tuple[int, int, int], list[Member]] = {}
    for member in subject.members:
        for number, sign in _pulls(member):
            key = (number, tiers[member.principle.id], sign)
            against = poles.get((key[0], key[1], -sign), [])
            if against:
                yield _hit(member, against, AXES[number], sign)
            poles.setdefault(key, []).append(member)


def _pulls(member: Member) -> Iterator[tuple[int, int]]:
    """The axes that a principle pulls along, and to which end: by what it asks for, not by what its critique finds."""
    texts = [w.text for w in member.wordings if w.field != "critique"]
    found = [(text, starts) for text in texts if (starts := _starts(text))]
    if not found or any(text.has(PRIORITY) for text in texts):
        return
    for number, axis in enumerate(AXES):
        signs = {direction(text, axis, starts) for text, starts in found} - {0}
        if len(signs) == 1:
            yield number, signs.pop()


def _hit(member: Member, against: list[Member], axis: Axis, sign: int) -> Hit:
    mine, theirs = (axis.one, axis.other) if sign == 1 else (axis.other, axis.one)
    others = [m.principle.id for m in against]
    named = ", ".join(f"'{o}'" for o in others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    message = f"'{member.principle.id}' pulls towards {mine} and {named} towards {theirs}, in the same tier"
    return Hit(member.keys, message, (member.principle.id, *others))


CONFLICT = Rule(
    code="CC201",
    name="conflicting-principles",
    severity="warning",
    what="Two principles of the same tier pull in opposite directions, and neither says which of them goes first.",
    fires="What two principles ask for in their revisions and comparisons lies at the two ends of one of these axes: "
    + "; ".join(f"{a.one} and {a.other}" for a in AXES)
    + ". A negated end counts as the other one (*not too brief* pulls towards detail). It is reported once for each "
    "principle and axis, at the later one, with the earlier ones named. A principle without a category has tier 1.",
    spares="Principles of different tiers; a principle that states a priority or a condition itself (*if one of them "
    "does more harm, it loses*, *unless*, *as long as*, *otherwise*, *between two safe answers*); a principle that "
    "names both ends; what only a critique looks for; quotes. Declining what is harmful and helping with what is "
    "harmless are no conflict, nor are honesty and kindness.",
    why="Each label follows one principle. Where two contradict each other, the same pair of answers is labelled "
    "both ways, and the preference model learns their average: noise. Tiers and tie-breaks say what is meant.",
    cure="put them into categories of different tiers, or add to one of them when it yields: 'If they are equally "
    "complete, ...'",
    source="Bai et al. 2022, Training a Helpful and Harmless Assistant (arXiv 2204.05862), on the tension between "
    "helpfulness and harmlessness; the same holds for any two principles of a list drawn at random",
    example_bad="""\
name: example
principles:
  - id: short
    comparison: Which answer is more concise?
  - id: long
    comparison: Which answer is more detailed?
""",
    example_good="""\
name: example
principles:
  - id: short
    comparison: Between two answers that are equally complete, which one is more concise?
  - id: long
    comparison: Which answer is more detailed?
""",
    check=_conflicts,
)

RULES = (CONFLICT,)
