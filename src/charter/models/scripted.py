"""The engine of fixed answers: for tests, and for controls (a judge that always says the first option)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from charter.core.errors import InputError
from charter.core.recipe import ModelConfig
from charter.core.records import Conversation
from charter.models.engine import Choice, ChooseRequest, Completion, GenerateRequest
from charter.models.usage import Usage


class ScriptedEngine:
    """Answers by functions: `reply` gives the text of an answer, `choice` the probability of every option, `score`
    the score of a conversation. Tokens are words."""

    def __init__(
        self,
        reply: str | Callable[[GenerateRequest], str] = "",
        choice: Callable[[ChooseRequest], Sequence[float]] | None = None,
        score: Callable[[Conversation], float] | None = None,
        name: str = "scripted",
    ) -> None:
        self.name, self.usage = name, Usage()
        self._reply, self._choice, self._score = reply, choice, score

    @classmethod
    def from_config(cls, config: ModelConfig) -> ScriptedEngine:
        """The engine that a recipe describes: one reply, and one option or all alike."""
        return cls(config.reply, None if config.option is None else _always(config.option))

    async def generate(self, request: GenerateRequest) -> Completion:
        """The scripted reply, as it is."""
        text = self._reply if isinstance(self._reply, str) else self._reply(request)
        completion = Completion(text, False, _words(request.messages), len(text.split()))
        self.usage.add(completion.prompt_tokens, completion.completion_tokens)
        return completion

    async def choose(self, request: ChooseRequest) -> Choice:
        """The scripted probabilities; without a script all options are equally likely."""
        n = len(request.options)
        probabilities = self._choice(request) if self._choice else [1 / n] * n
        prompt_tokens = _words(request.messages)
        self.usage.add(prompt_tokens)
        logprobs = tuple(math.log(p) if p > 0 else -math.inf if p == 0 else math.nan for p in probabilities)
        return Choice(logprobs, sum(probabilities), prompt_tokens)

    async def score(self, messages: Conversation) -> float:
        """The scripted score; without a script 0."""
        self.usage.add(_words(messages))
        return self._score(messages) if self._score else 0.0


def _always(option: int) -> Callable[[ChooseRequest], list[float]]:
    def choose(request: ChooseRequest) -> list[float]:
        if option >= len(request.options):
            raise InputError(
                f"the scripted model chooses option {option}, but there are {len(request.options)}",
                cure="count options from 0",
            )
        return [float(i == option) for i in range(len(request.options))]

    return choose


def _words(messages: Conversation) -> int:
    return sum(len(message.content.split()) for message in messages)
