"""Does a sentence say what a model should do? Found by its wording alone, with precision before recall.

It does where the model is the subject of the demand ("the assistant must ...", "its answers should ...", "you should
..."), or where it is an order ("Never ...", "Avoid ..."). It does not where somebody else is the subject, in a
question, in an example, in a subordinate clause, in quotation marks, or where the text speaks of itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from charter.constitution.formats.markdown import plain

_MODEL = r"(?:assistant|model|chatbot|bot|agent|ai(?: system| assistant| model)?|language model|system)"
_ADVERBS = (
    r"(?: (?:also|therefore|still|then|instead|only|itself|generally|usually|normally|ideally|simply|thus|always"
    r"|never))*"
)
_ASIDE = r"(?:, [^,;:.]{1,80},)?"
_MUST = (
    r"(?:should|must|shall|ought to|needs? to|ha(?:s|ve) to|(?:is|are) (?:expected|required|obliged|supposed|asked) to"
    r"|never|always|avoids?|refuses?|declines?|prefers?)\b"
)
_OWN = r"(?:'s (?:[\w-]+ ){0,2}[\w-]+)?"
_SPEECH = r"(?:answers?|responses?|repl(?:y|ies)|refusals?|explanations?)"
_START = r"(?:^|[,;:] |\b(?:and|but|so|then|that|want|expect|because) )"
_OTHERS = (
    r"(?:users?|developers?|operators?|people|persons?|humans?|customers?|readers?|reviewers?|authors?|contributors?"
    r"|annotators?|engineers?|companies|teams?|staff|we)"
)


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_PRONOUN = _compiled(rf"^(?:it|they){_ADVERBS} {_MUST}")
_SECOND_PERSON = _compiled(rf"{_START}(?:you|i){_ASIDE}{_ADVERBS} {_MUST}")
_ITS_SPEECH = _compiled(rf"{_START}(?:(?:its|the|every|all|any|each) )?(?:[\w-]+ )?{_SPEECH}{_ADVERBS} {_MUST}")
_ORDER = _compiled(
    r"^(?:(?:if|when|where|whenever|unless|before|after)\b[^,;:.]{1,120}, )?"
    r"(?:never|always|avoid|do not|don't|prefer|refuse|decline)\b(?! (?:was|were|is|are|mind)\b)"
)
_OF_THE_TEXT = _compiled(
    r"\b(?:this|the) (?:document|file|page|section|specification|spec|text|chapter|repository|licen[cs]e)\b"
    r"|\bsee (?:also|section|above|below)\b"
)
_OF_OTHERS = _compiled(rf"^(?:\W|\b(?:the|an?|all|any|our|other|every)\b)*{_OTHERS}\b[^,;:.]{{0,40}}\b{_MUST}")
_SUBORDINATE = _compiled(
    r"\b(?:who|which|whom|whose)\b[^,;:]*$"
    r"|\b(?:where|when|while|if|whether|how|why|although|though|unless|because|since|before|after|until|as)\W*$"
)
_EXAMPLE = _compiled(r"\W*(?:for example|for instance|examples?\b)")
_EXAMPLES_FOLLOW = _compiled(r"\b(?:for example|for instance|examples?|such as|e\.g\.)\W*$")
_OPEN = _compiled(rf"{_MUST}(?: not| never| always)?$")
_QUOTED = re.compile(r"\"[^\"]*\"|\u201c[^\u201d]*\u201d|(?<!\w)'[^']+'(?!\w)|\u2018[^\u2019]*\u2019(?!\w)|`[^`]*`")
_NAMED = re.compile(rf"\b([A-Z][\w-]+)(?: is|,) (?:an?|the|our) (?:[\w-]+ ){{0,3}}{_MODEL}\b")
_LOOKED_AT = 2_000
"""Characters of a paragraph in which the model's name is looked for."""
_NO_NAMES = {"It", "This", "That", "There", "He", "She", "What"}


class Demands:
    """Tells the demands of a text from the rest of it, sentence by sentence, in their order."""

    def __init__(self, texts: Iterable[str]) -> None:
        names = {name for text in texts for name in _NAMED.findall(text[:_LOOKED_AT])} - _NO_NAMES
        named = "".join(rf"|\b{re.escape(name)}" for name in sorted(names))
        self._subject = _compiled(
            rf"(?:\b(?:the|our|an?|this|your|every|any|all) (?:[\w-]+ )?{_MODEL}s?|\b{_MODEL}s\b{named})"
            rf"{_OWN}{_ASIDE}{_ADVERBS} {_MUST}"
        )
        self._last_was_one = False

    def rest(self) -> None:
        """A new paragraph begins: `it` no longer goes back to what was said."""
        self._last_was_one = False

    def is_one(self, sentence: str) -> bool:
        """Is it a demand on the model?"""
        bare, follows = _masked(sentence), self._last_was_one
        self._last_was_one = False
        if (
            len(bare.split()) < 3
            or bare.endswith("?")
            or any(pattern.search(bare) for pattern in (_OF_THE_TEXT, _OF_OTHERS))
        ):
            return False
        if _EXAMPLE.match(bare):
            return False
        found = [*self._subject.finditer(bare), *_SECOND_PERSON.finditer(bare)]
        self._last_was_one = (
            any(not _SUBORDINATE.search(bare[: one.start()]) for one in found)
            if found
            else follows and bool(_PRONOUN.search(bare))
        )
        return self._last_was_one or (not found and bool(_ITS_SPEECH.search(bare) or _ORDER.search(bare)))

    def begins_here(self, lead: str) -> bool | None:
        """Of what leads in a list: do its items go on with a demand on the model (True), with something else (False),
        or do they stand by themselves (None)?"""
        bare = _masked(lead.removesuffix(":"))
        if _OF_OTHERS.search(bare) or _EXAMPLES_FOLLOW.search(bare):
            return False
        return True if (self._subject.search(bare) or _SECOND_PERSON.search(bare)) and _OPEN.search(bare) else None


def _masked(sentence: str) -> str:
    """Without marks, and without what stands in quotation marks."""
    return _QUOTED.sub('""', plain(sentence))
