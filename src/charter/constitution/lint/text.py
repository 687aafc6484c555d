"""A wording as the lexical rules read it: quoted examples left out, sentences, words, and what a negation covers.

Everything is found by position in the original text. Patterns are plain regular expressions over `low`, which has the
length of the original: what stands in quotes is blank there, so that an example of bad wording is not bad wording.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

_QUOTED = re.compile(r'"[^"]{1,400}"|“[^”]{1,400}”|«[^»]{1,400}»|(?<!\w)[\'‘][^\'’\n]{2,200}[\'’](?!\w)|`[^`]{1,200}`')
_STATEMENT = re.compile(r"(?i:\b(?:principle|statement|rule|trait|itself)[:?]) *([\"“])(?=[^\n]*[\"”]\s*$)")
WORD = re.compile(r"[぀-ヿ㐀-鿿가-힯]|\w+(?:['’-]\w+)*")
_STOP = re.compile(
    r"[.!?\n](?:(?<=\n)\s*\n|(?<!\n)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bcf\.)(?<!\bvs\.)(?<!\bmr\.)(?<!\bdr\.)(?<!\bjr\.)"
    r"[.!?]*[\"”')\]]*(?=\s|$))"
)
_NEGATOR = re.compile(
    r"\b(?:not|never|no|nor|neither|none|nothing|nobody|without|cannot|avoid\w*|refrain\w*|less|least|fewer|fewest|"
    r"rather than|instead of|free (?:of|from)|remov\w+|drop(?:s|ping)?|stop(?:s|ping)?|prevent\w*|lack(?:s|ing)?|"
    r"reject(?:s|ing)?|resist(?:s|ing)?|over the one|leaves? out|leaving out|cut out|hardly|\w+n['’]t)\b"
)
_EXCESS = re.compile(r"\b(?:too|overly|excessive\w*|unduly|needless\w*)\b")
_BARRIER = re.compile(
    r"[.;:?!—–()\n]|\b(?:but|yet|however|while|though|although|with|so that|then|because|if|unless|where|when)\b|"
    r"\b(?:and|but) (?:explain|offer|say|give|state|answer|keep|help|name|point|speak|show|ask|use|do|make|be|is|are|"
    r"more|most|gives|explains|says|offers|uses|keeps|helps|answers)\b|,(?= *(?:not|never|no|without|avoid\w*|and|"
    r"but) )|\b(?:and|or) (?=(?:not|never|no|without|avoid\w*) )"
)
_REACH = 8  # words that a negator covers at most
MAX_CHARACTERS = 20_000  # of a wording that are read: what is longer has other troubles


class Text:
    """One wording."""

    def __init__(self, raw: str) -> None:
        self.raw = raw[:MAX_CHARACTERS]

    @cached_property
    def unquoted(self) -> str:
        """The text with all that stands in quotes blanked out; but a quotation that the wording ends with and names as
        its principle is what it asks for."""
        raw = self.raw
        statement = _STATEMENT.search(raw) if '"' in raw or "“" in raw else None
        if statement:
            start, end = statement.start(1), len(raw.rstrip()) - 1
            raw = f"{raw[:start]} {raw[start + 1 : end]} {raw[end + 1 :]}"
        return _QUOTED.sub(lambda match: " " * len(match.group()), raw)

    @cached_property
    def low(self) -> str:
        """`unquoted` in lower case, of the same length."""
        text = self.unquoted.lower()
        if len(text) != len(self.raw):
            text = "".join(c.lower() if len(c.lower()) == 1 else c for c in self.unquoted)
        return text.replace("’", "'")

    @cached_property
    def words(self) -> list[str]:
        """The words outside quotes, in lower case; each Chinese, Japanese or Korean character counts as one."""
        return WORD.findall(self.low)

    @cached_property
    def length(self) -> int:
        """The number of words, quoted ones too."""
        return len(self.words) if self.unquoted == self.raw else len(WORD.findall(self.raw))

    @cached_property
    def sentences(self) -> list[tuple[int, int]]:
        """Start and end of each sentence."""
        ends = [match.end() for match in _STOP.finditer(self.low)]
        starts = [0, *ends]
        return [(a, b) for a, b in zip(starts, [*ends, len(self.low)], strict=True) if self.low[a:b].strip()]

    def find(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Where a pattern stands outside quotes."""
        return pattern.finditer(self.low)

    def has(self, pattern: re.Pattern[str]) -> bool:
        """Does the pattern stand anywhere outside quotes?"""
        return pattern.search(self.low) is not None

    def asserts(self, pattern: re.Pattern[str]) -> bool:
        """Does the pattern stand somewhere outside quotes and outside the reach of a negation?"""
        return any(not self.negated(match.start()) for match in pattern.finditer(self.low))

    def negated(self, position: int) -> bool:
        """Is what stands here within the reach of a negation (`not`, `without`, `less`)? Two make none.
        Excess (`too`, `overly`) is one where there is no other: `not too brief` asks for what `too brief` asks for."""
        start = max(0, position - 120)
        ends = [match.end() for match in _BARRIER.finditer(self.low, start, position + 20) if match.start() < position]
        scope = self.low[min(ends[-1] if ends else start, position) : position]
        negators = [m for m in _NEGATOR.finditer(scope) if len(scope[m.end() :].split()) <= _REACH]
        return len(negators) % 2 == 1 if negators else _EXCESS.search(scope) is not None

    def sentence_at(self, position: int) -> str:
        """The sentence around a position, in lower case and without quotes."""
        for start, end in self.sentences:
            if start <= position < end:
                return self.low[start:end]
        return self.low


def shorten(text: str, width: int = 60) -> str:
    """At most so many characters of a text, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"
