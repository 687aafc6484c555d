"""Text measures, by hand, and on answers that are broken."""

from __future__ import annotations

import math

import pytest

from charter.statistics.text import commonest_ngram, distinct_n, word_count, words


def test_words() -> None:
    assert words("Don't PANIC, it's 3.5 km -- na\u00efve?") == ["don't", "panic", "it's", "3", "5", "km", "na\u00efve"]
    assert words("") == []
    assert words(" ... \n") == []
    assert word_count("Don't panic, friend.") == 3
    assert word_count("") == 0


def test_distinct_n() -> None:
    texts = ["a b a b", "a b c"]
    assert distinct_n(texts, 1) == pytest.approx(3 / 7)
    assert distinct_n(texts, 2) == pytest.approx(3 / 5)  # ab ba ab | ab bc
    assert math.isnan(distinct_n(["one"], 2))
    assert math.isnan(distinct_n([], 1))


def test_ngrams_do_not_cross_texts() -> None:
    assert distinct_n(["a b", "c d"], 2) == 1.0
    assert commonest_ngram(["a b", "b a"], 2) == ("a b", 0.5)


def test_commonest_ngram() -> None:
    texts = ["Here to support you.", "I am here to support you!", "no", "you you you you"]
    assert commonest_ngram(texts, 3) == ("here to support", 0.5)
    assert commonest_ngram(texts, 1) == ("you", 0.75)  # four times in one text count once
    gram, share = commonest_ngram(["x"], 4)
    assert gram == ""
    assert math.isnan(share)


def test_a_long_loop() -> None:
    loop = "again and " * 10_000
    assert word_count(loop) == 20_000
    assert distinct_n([loop], 2) == pytest.approx(2 / 19_999)
    assert commonest_ngram([loop], 2) == ("again and", 1.0)
