"""What the feedback model is asked: one message of plain words, so that a small vocabulary suffices (section 4.1)."""

from __future__ import annotations

from charter.core.records import Conversation

OPTIONS = ("(A)", "(B)")
"""The beginnings of the judge's answer: the first answer shown is better, or the second."""

_SPEAKERS = {"user": "Human", "assistant": "Assistant", "system": "System"}


def judge_message(conversation: Conversation, question: str, first: str, second: str) -> str:
    """The judge's question: the conversation, the principle's `question`, and two answers in the order shown."""
    turns = "\n\n".join(f"{_SPEAKERS[message.role]}: {message.content}" for message in conversation)
    return f"Conversation:\n{turns}\n\n{question}\n(A) {first}\n(B) {second}\nThe answer is:"
