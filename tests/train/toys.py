"""Records for the tests."""

from __future__ import annotations

from charter.core.records import Chain, Comparison, Message, Preference, Prompt, Round


def prompt(text: str, name: str = "", cluster: str | None = None) -> Prompt:
    return Prompt(name or text, (Message("user", text),), cluster=cluster)


def chain(text: str, response: str, *revisions: str) -> Chain:
    return Chain(prompt(text), 0, response, tuple(Round("p", "h", None, r) for r in revisions))


def preference(text: str, a: str, b: str, p_a: float | None, source: str = "harmless") -> Preference:
    return Preference(Comparison(f"{text}/{a}/{b}", prompt(text), a, b), p_a, source=source)
