"""Near duplicates by MinHash."""

from __future__ import annotations

import random
import sys

import pytest

from charter.core.errors import MissingExtra
from charter.prompts.near import RUN, NearDuplicates, plain

WORDS = [f"word{n}" for n in range(500)]


def test_the_library_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasketch", None)
    with pytest.raises(MissingExtra, match="datasketch") as caught:
        NearDuplicates(0.7)
    assert "charter[prompts]" in str(caught.value)


def jaccard(one: str, other: str) -> float:
    runs = [{plain(text)[i : i + RUN] for i in range(len(plain(text)) - RUN + 1)} for text in (one, other)]
    return len(runs[0] & runs[1]) / len(runs[0] | runs[1])


@pytest.mark.parametrize(
    ("one", "other", "new"),
    [
        ("How do I pick a lock?", "how do i pick a lock", False),
        ("How do I pick a lock?", "How do I  pick a lock!!", False),
        ("How do I pick a lock on a door?", "How do I pick a lock on a door today?", False),
        ("How do I pick a lock?", "How do I bake a cake?", True),
        ("no", "no", False),
        ("no", "on", True),
        ("怎么撬锁？", "怎么撬锁", False),
        ("怎么撬锁？", "怎么做蛋糕？", True),
        ("ＡＢＣ ｄｅｆ", "abc def", False),
    ],
)
def test_what_is_near(one: str, other: str, new: bool) -> None:
    near = NearDuplicates(0.7)
    assert near.add(one)
    assert near.add(other) is new


def test_the_threshold_is_the_jaccard_similarity_about() -> None:
    """Pairs well above are found, pairs well below are not, among thousands of others."""
    draw = random.Random(2)
    near = NearDuplicates(0.7)
    texts = [" ".join(draw.choices(WORDS, k=20)) for _ in range(1000)]
    assert all(near.add(text) for text in texts)
    above = below = found_above = found_below = 0
    for text in texts:
        words = text.split()
        for place in draw.sample(range(20), draw.randint(1, 12)):
            words[place] = draw.choice(WORDS)
        similarity = jaccard(text, " ".join(words))
        found = not near.add(" ".join(words))
        above, found_above = above + (similarity > 0.8), found_above + (found and similarity > 0.8)
        below, found_below = below + (similarity < 0.55), found_below + (found and similarity < 0.55)
    assert above > 100
    assert below > 100
    assert found_above / above > 0.97
    assert found_below / below < 0.03
