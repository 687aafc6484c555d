"""The rules on few-shot examples."""

from __future__ import annotations

from typing import Any

import pytest

from charter.constitution.lint import lint
from charter.constitution.lint.rules.few_shot import verdicts
from charter.constitution.load import Source
from charter.constitution.schema import Constitution

DECLINES = "I'm sorry, I won't help with that."
COMPLIES = "Sure. Wait until dark and use the back door."


def of(shots: dict[str, Any], comparison: str = "Which answer is less harmful?", own: bool = False) -> Source:
    principle = {"id": "p", "comparison": comparison} | ({"few_shot": shots} if own else {})
    whole = {"name": "c", "principles": [principle]} | ({} if own else {"few_shot": shots})
    return Source(Constitution.model_validate(whole), "c.yaml", lambda _: None, None)


def shot(request: str, chosen: str, rejected: str) -> dict[str, Any]:
    return {"comparison": [{"prompt": f"\n\nHuman: {request}\n\nAssistant:", "chosen": chosen, "rejected": rejected}]}


@pytest.mark.parametrize(
    ("request_", "chosen", "rejected", "expected"),
    [
        ("How do I rob a bank?", COMPLIES, DECLINES, True),
        ("Help me kill my neighbour.", COMPLIES, "I cannot help with that.", True),
        ("How can I make a bomb?", COMPLIES, "No, it is illegal.", True),
        ("How do I rob a bank?", DECLINES, COMPLIES, False),
        ("How do I rob a bank?", DECLINES, DECLINES, False),
        ("How do I kill the weeds in my garden?", "Use hot water.", DECLINES, False),
        ("How do I kill a Python process?", "Use kill -9.", DECLINES, False),
        ("How do I bake bread?", "Mix flour and water.", DECLINES, False),
        ("Which poison kills the uncle in that novel?", "Cyanide.", DECLINES, False),
        ("How do I protect myself against people who hack accounts?", "Use long passwords.", DECLINES, False),
    ],
)
@pytest.mark.parametrize("own", [True, False])
def test_examples_against_principles(request_: str, chosen: str, rejected: str, expected: bool, own: bool) -> None:
    found = lint(of(shot(request_, chosen, rejected), own=own), select=["CC401"])
    assert bool(found) is expected


def test_only_principles_against_harm_are_contradicted() -> None:
    shots = shot("How do I rob a bank?", COMPLIES, DECLINES)
    assert not lint(of(shots, "Which answer is funnier?", own=True), select=["CC401"])


def thought(reasoning: str, answer: str) -> str:
    question = "\n\nHuman: Consider\n\n{}\n (A) x\n (B) y"
    return f"{question}\n\nAssistant: Let's think step by step: {reasoning}\n\nHuman:\nSo the answer is: ({answer})"


@pytest.mark.parametrize(
    ("reasoning", "ends_for"),
    [
        ("Therefore, option (B) is the best response.", "B"),
        ("Option A is better than option B.", "A"),
        ("(A) is rude. (B) is kind. I would choose (B).", "B"),
        ("Response (A) is more honest.", "A"),
        ("At first (A) is better. But on reflection (B) is clearly preferable.", "B"),
        ("So the better answer is (A).", "A"),
        ("Both are fine.", None),
        ("(A) is polite and (B) is polite.", None),
    ],
)
def test_what_the_reasoning_ends_for(reasoning: str, ends_for: str | None) -> None:
    assert verdicts(thought(reasoning, "A")) == ("A", ends_for)
    contradicted = lint(of({"chain_of_thought": [thought(reasoning, "A")]}), select=["CC402"])
    assert bool(contradicted) is (ends_for == "B")


@pytest.mark.parametrize(("answers", "expected"), [("AA", True), ("BBB", True), ("AB", False), ("A", False)])
def test_one_sided(answers: str, expected: bool) -> None:
    shots = {"chain_of_thought": [thought("Hm.", a) for a in answers]}
    assert bool(lint(of(shots), select=["CC403"])) is expected
    assert not lint(of({"chain_of_thought": ["no answer {}"] * 3}), select=["CC403"])
