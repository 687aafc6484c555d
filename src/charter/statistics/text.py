"""Measures of text that show collapse: length, diversity, and the phrase that is in every answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")


def words(text: str) -> list[str]:
    """The lower-cased words of a text, without punctuation; an apostrophe inside a word stays."""
    return _WORD.findall(text.lower())


def word_count(text: str) -> int:
    """How many words a text has."""
    return sum(1 for _ in _WORD.finditer(text))


def ngrams(text: str, n: int) -> Iterator[tuple[str, ...]]:
    """The runs of `n` words of a text, in order."""
    tokens = words(text)
    return zip(*(tokens[i:] for i in range(n)), strict=False)


def distinct_n(texts: Iterable[str], n: int) -> float:
    """Different n-grams of all texts together, over all n-grams; NaN where there are none."""
    seen: set[tuple[str, ...]] = set()
    total = 0
    for text in texts:
        for gram in ngrams(text, n):
            seen.add(gram)
            total += 1
    return len(seen) / total if total else float("nan")


def commonest_ngram(texts: Iterable[str], n: int) -> tuple[str, float]:
    """The n-gram that the most texts contain, and their share of all texts; ("", nan) where no text has one."""
    counts: Counter[tuple[str, ...]] = Counter()
    total = 0
    for text in texts:
        total += 1
        counts.update(set(ngrams(text, n)))
    if not counts:
        return "", float("nan")
    gram, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return " ".join(gram), count / total
