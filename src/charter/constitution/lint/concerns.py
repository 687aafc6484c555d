"""What a wording may ask of an answer, by its words: the concerns that CC104 keeps apart."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORDS: dict[str, tuple[str, ...]] = {
    "conduct": (
        r"harm(?:ful|less)(?:ly|ness)?", r"harming", r"less harm", r"no harm", r"do(?:es)? harm", r"causes? harm",
        r"safe(?:r|st|ly|ty)?", r"unsafe", r"dangerous", r"ethical(?:ly)?", r"unethical(?:ly)?", r"moral(?:ly)?",
        r"immoral(?:ly)?", r"legal(?:ly)?", r"illegal(?:ly)?", r"lawful", r"unlawful", r"toxic(?:ity)?", r"racis[tm]",
        r"sexis[tm]", r"fair(?:er|ness)?", r"unfair(?:ness)?", r"biased", r"unbiased", r"violent", r"sexual",
        r"privacy", r"age-appropriate", r"not for children", r"fit for children", r"suitable for children",
        r"unfit for children", r"unsuitable for children",
    ),
    "courtesy": (
        r"respect(?:ful(?:ly)?)?", r"disrespect(?:ful(?:ly)?)?", r"polite(?:r|ly|ness)?", r"impolite(?:ly)?",
        r"kind(?:er|ly|ness)", r"kind(?<!of kind)(?! of\b)", r"offensive(?:ness)?", r"friendl(?:y|ier)",
        r"courte(?:sy|ous|ously)", r"tactful(?:ly)?", r"rude(?:ly)?", r"insulting", r"accus(?:es?|ing|ation)",
        r"condescending", r"preachy",
    ),
    "warmth": (
        r"warm(?:er|ly|th)?", r"comforting", r"gentl(?:e|er|y)", r"compassion(?:ate)?", r"caring",
        r"empath(?:y|ic|etic)", r"encouraging", r"reassuring", r"calm(?:er|ly)?", r"supportive",
    ),
    "honesty": (
        r"honest(?:y|ly)?", r"dishonest(?:y|ly)?", r"truth(?:ful|fully|fulness)?", r"true", r"untrue",
        r"accura(?:te|cy|tely)", r"inaccura(?:te|cy|tely)", r"misleading", r"factual(?:ly)?", r"exact(?:ly)?",
        r"precise(?:ly)?", r"candid(?:ly)?", r"calibrated", r"deserved", r"undeserved", r"earned", r"unearned",
    ),
    "helpfulness": (
        r"helpful(?:ly|ness)?", r"useful(?:ly|ness)?", r"informative", r"practical(?:ly)?", r"relevan(?:t|ce)",
        r"(?:answers?|meets?|serves?) (?:the|their|what|its|a)\b[\w' ]{0,20}? (?:questions?|needs?|purposes?)",
        r"solves", r"better (?:equipped|informed|prepared|off)", r"evasive(?:ly|ness)?",
        r"(?:shows?|offers?|gives?|suggests?|points to) (?:a|an|the) (?:\w+ )?(?:way|alternative|next step)",
    ),
    "choice": (
        r"freer?(?! (?:of|from)\b)", r"freedom(?! of\b)", r"autonom(?:y|ous)", r"independen(?:t|ce|tly)",
        r"own (?:choice|decision)s?",
    ),
    "length": (
        r"short(?:er|est|ness)?", r"brief(?:er)?", r"brevity", r"concise(?:ly|ness)?", r"succinct(?:ly)?",
        r"long(?:er|est)", r"too long", r"lengthy", r"verbose", r"detailed", r"more detail", r"fewer words",
        r"more words", r"thorough(?:ly)?", r"complete(?:r|ness)?", r"length",
    ),
    "plainness": (
        r"simpl(?:e|er|est|icity)", r"plain(?:er|ly)?", r"clearer", r"clearly(?<!more clearly)(?<!most clearly)",
        r"eas(?:y|ier) to (?:read|understand|follow)", r"jargon",
    ),
    "form": (
        r"well[- ]formatted", r"formatting", r"markdown", r"grammar", r"grammatical(?:ly)?", r"spelling",
        r"punctuation", r"fluent(?:ly)?", r"well[- ]structured", r"emojis?", r"layout",
    ),
    "manner": (
        r"creative(?:ly)?", r"fun", r"funn(?:y|ier)", r"humorous", r"humour", r"witty", r"entertaining",
        r"formal(?:ly)?", r"casual(?:ly)?", r"poetic", r"original",
    ),
}  # fmt: skip

_GROUPS = (f"(?P<{name}>{'|'.join(words)})" for name, words in _WORDS.items())
_ANY = re.compile(rf"\b(?:{'|'.join(_GROUPS)})\b")

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


def concerns(text: str) -> dict[str, str]:
    """The concerns that a text in lower case names, each with the first words that name it."""
    found: dict[str, str] = {}
    for match in _ANY.finditer(text):
        found.setdefault(match.lastgroup or "", match.group())
    return found


def come_apart(some: Iterable[str], others: Iterable[str]) -> bool:
    """May an answer be ahead in any of these and behind in any of those?"""
    return all(one != other and frozenset((one, other)) not in _KIN for other in others for one in some)
