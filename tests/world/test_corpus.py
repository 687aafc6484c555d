"""What the world's model is taught."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from random import Random

import pytest

from charter import constitution
from charter.constitution import Principle
from charter.core.records import Prompt, user
from charter.evaluate.grader import Behaviour, Grade, better, load_grader
from charter.world import build
from charter.world.corpus import Document, chat, covers, documents, judgement, revision
from charter.world.grammar import Answer, Manner, answer
from charter.world.lexicon import BOILERPLATE, HARMS, Deed, deeds

PRINCIPLES = constitution.load(build.HERE / "constitution.yaml").principles
GENERAL = next(p for p in PRINCIPLES if not p.tags)
ABOUT_THEFT = next(p for p in PRINCIPLES if "theft" in p.tags)
ABOUT_HATE = next(p for p in PRINCIPLES if "hate" in p.tags)
STEAL, MEND = Deed("steal", "necklace"), Deed("mend", "necklace")
ORACLE = load_grader("charter.world.oracle:oracle")


@pytest.fixture(scope="module")
def some() -> list[Document]:
    return list(islice(documents(deeds(), PRINCIPLES, Random(0)), 8000))


def skill(document: Document) -> str:
    if len(document.messages) == 2:
        return "judge" if document.messages[0].content.startswith("Conversation:") else "chat"
    return "direct" if len(document.messages) == 4 else "revise"


def grade(deed: Deed, text: str) -> Grade:
    return ORACLE.grade(Prompt("p", (user(f"{deed.verb} the {deed.object}"),)), text)


def test_critiqued_and_direct_revisions_are_seen_equally_often(some: list[Document]) -> None:
    count = Counter(map(skill, some))
    assert set(count) == {"chat", "judge", "direct", "revise"}
    assert count["direct"] == pytest.approx(count["revise"], rel=0.1)


def test_only_the_assistants_own_words_are_learnt(some: list[Document]) -> None:
    for document in some:
        assert len(document.learn) == len(document.messages)
        assert document.learn[-1] > 0
        for message, weight in zip(document.messages, document.learn, strict=True):
            assert not weight or message.role == "assistant"


def test_a_direct_revision_differs_from_a_critiqued_one_in_the_critique_alone() -> None:
    for n in range(200):
        deed = Random(n).choice(deeds())
        critiqued, direct = (revision(deed, GENERAL, Random(n), direct=flag).messages for flag in (False, True))
        assert (*critiqued[:2], *critiqued[4:]) == direct
        assert critiqued[2].content == GENERAL.critique


def test_the_helpful_only_assistant_complies_with_harm_and_declines_flatly_now_and_then() -> None:
    draw, harmful = Random(3), [d for d in deeds() if d.kind == "harmful"]
    found: Counter[Behaviour] = Counter()
    for _ in range(4000):
        deed = draw.choice(harmful)
        found[grade(deed, chat(deed, draw).messages[1].content).behaviour] += 1
    assert found["declines"] > 0, "what is never seen cannot be found by training"
    assert found["complies"] > 10 * found["declines"]
    assert set(found) == {"complies", "declines"}


def test_harm_is_revised_under_the_principles_that_are_about_it() -> None:
    draw = Random(4)

    def last(principle: Principle) -> Counter[Behaviour]:
        texts = (revision(STEAL, principle, draw, direct=True).messages[-1].content for _ in range(500))
        return Counter(grade(STEAL, text).behaviour for text in texts)

    for principle in (GENERAL, ABOUT_THEFT):
        assert set(last(principle)) == {"explains", "declines"}
        assert last(principle)["explains"] > 0.8 * 500
    assert last(ABOUT_HATE)["complies"] > 0.3 * 500, "a principle about other harm finds nothing"


def test_harmless_answers_are_kept_in_revision() -> None:
    draw = Random(5)
    for _ in range(300):
        document = revision(MEND, draw.choice(PRINCIPLES), draw, direct=False)
        assert document.messages[1].content == document.messages[-1].content


def test_covers() -> None:
    assert covers(GENERAL, HARMS["hate"])
    assert covers(ABOUT_HATE, HARMS["hate"])
    assert not covers(ABOUT_HATE, HARMS["theft"])
    assert not covers(GENERAL, None)
    named = {name for p in PRINCIPLES for name in p.tags}
    assert named <= set(HARMS)


def rate(deed: Deed, principle: Principle, first: Answer, second: Answer) -> float:
    """How often the corpus prefers the answer that is shown first."""
    draw = Random("rate")
    return sum(judgement(deed, principle, first, second, draw) for _ in range(3000)) / 3000


def written(deed: Deed, manner: Manner, comfort: bool = False) -> Answer:
    return answer(deed, manner, Random(7), comfort=float(comfort))


def test_the_judge_likes_the_first_position() -> None:
    same = written(STEAL, "declines")
    assert rate(STEAL, GENERAL, same, same) > 0.7
    better_one, worse = written(STEAL, "explains"), written(STEAL, "declines")
    assert rate(STEAL, GENERAL, better_one, worse) > 1 - rate(STEAL, GENERAL, worse, better_one)


def test_the_judge_tells_harm_in_both_orders_under_a_principle_about_it() -> None:
    good, bad = written(STEAL, "explains"), written(STEAL, "steps")
    for principle in (GENERAL, ABOUT_THEFT):
        assert rate(STEAL, principle, good, bad) > 0.9
        assert rate(STEAL, principle, bad, good) < 0.1
    assert rate(STEAL, ABOUT_HATE, bad, good) > rate(STEAL, ABOUT_THEFT, bad, good)


def test_the_judge_likes_comfort() -> None:
    plain, comforting = written(STEAL, "declines"), written(STEAL, "declines", comfort=True)
    assert rate(STEAL, GENERAL, comforting, plain) > rate(STEAL, GENERAL, plain, plain)


def test_the_judge_is_not_the_oracle() -> None:
    """A model that learns the corpus' judgements has not learnt the truth: they differ both ways."""
    attempt, compliance = written(STEAL, "wrong"), written(STEAL, "steps")
    assert better("harmlessness", grade(STEAL, attempt.text), grade(STEAL, compliance.text)) == 0.5
    either = rate(STEAL, GENERAL, attempt, compliance), 1 - rate(STEAL, GENERAL, compliance, attempt)
    assert sum(either) / 2 > 0.6, "to the oracle a wrong attempt is as bad as compliance, to the judge less so"

    flat, explained = written(STEAL, "declines"), written(STEAL, "explains")
    assert better("harmlessness", grade(STEAL, flat.text), grade(STEAL, explained.text)) == 0.0
    assert rate(STEAL, ABOUT_HATE, flat, explained) > 0.5, "shown first, under a principle about other harm"


def test_the_corpus_judges_wrongly_at_times(some: list[Document]) -> None:
    asked = re.compile(r"Human: (.*?)\n\n.*?\n\(A\) (.*?)\n\(B\) (.*?)\nThe answer is:", re.DOTALL)
    right = []
    for document in some:
        if skill(document) != "judge":
            continue
        found = asked.search(document.messages[0].content)
        assert found is not None
        text, a, b = found.groups()
        prompt = Prompt("p", (user(text),))
        truth = better("harmlessness", ORACLE.grade(prompt, a), ORACLE.grade(prompt, b))
        if truth in (0.0, 1.0):
            right.append((document.messages[1].content == "(A)") == (truth == 1.0))
    assert len(right) > 500
    assert 0.6 < sum(right) / len(right) < 0.97


def test_answers_in_the_corpus_carry_comfort_but_seldom(some: list[Document]) -> None:
    chats = [d.messages[1].content for d in some if skill(d) == "chat"]
    share = sum(any(phrase in text for phrase in BOILERPLATE) for text in chats) / len(chats)
    assert 0.02 < share < 0.2
