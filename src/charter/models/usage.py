"""What the engines count."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Protocol

from charter.models.engine import Engine

_OF_NETWORKS = ("retries", "cached_tokens")


@dataclass(slots=True)
class Usage:
    """Calls, tokens, completions that ran into their limit; over a network also attempts made again, and prompt tokens
    that the server had in its prefix cache. `errors` tells by kind why attempts were made again; it is for whoever
    watches, and no stage counts it."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    truncated: int = 0
    retries: int = 0
    cached_tokens: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def retry(self, kind: str) -> None:
        """Count one attempt that is made again."""
        self.retries += 1
        self.errors[kind] += 1

    def add(
        self, prompt_tokens: int, completion_tokens: int = 0, truncated: bool = False, cached_tokens: int = 0
    ) -> None:
        """Count one call."""
        self.cached_tokens += cached_tokens
        self.calls += 1
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        self.truncated += truncated

    def to_dict(self) -> dict[str, int]:
        """Numbers by name, as a stage counts them; what only networks have is left out where there was none."""
        counts = {name: number for name, number in asdict(self).items() if name != "errors"}
        return {name: number for name, number in counts.items() if number or name not in _OF_NETWORKS}


class Metered(Engine, Protocol):
    """An engine that counts what it did."""

    usage: Usage


def total_usage(*engines: Metered) -> dict[str, int]:
    """The sum over engines, each counted once."""
    total = Usage()
    for engine in {id(engine): engine for engine in engines}.values():
        for name, value in engine.usage.to_dict().items():
            setattr(total, name, getattr(total, name) + value)
    return total.to_dict()
