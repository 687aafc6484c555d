"""An engine whose calls are kept in a stage's journal: a call that was made before a stage was interrupted is not made
again. The key of a call is the hash of all that decides its answer: the model and its settings, the conversation, the
seed, the sampling. Where a call is routed to does not count."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import orjson

from charter.core.errors import TooLong
from charter.core.journal import KEY_BYTES, Journal
from charter.core.records import Conversation
from charter.models.engine import Choice, ChooseRequest, Completion, GenerateRequest
from charter.models.runner import IN_FLIGHT
from charter.models.usage import Metered, Usage


class Journalled:
    """`engine` with a memory. What is remembered counts in `usage` as if it had been asked, so that a stage's counts
    do not depend on how often it was interrupted; `replayed` tells how much there was, `replay` what it used."""

    def __init__(self, engine: Metered, journal: Journal, identity: str) -> None:
        self.engine, self.journal, self.replayed = engine, journal, 0
        self.name, self.usage, self.replay = engine.name, engine.usage, Usage()
        self._identity = identity
        self.in_flight = getattr(engine, "in_flight", IN_FLIGHT)
        self.network = getattr(engine, "network", False)

    async def generate(self, request: GenerateRequest) -> Completion:
        """As the engine, or as it was."""
        r = request
        key = self._key("generate", r.messages, r.seed, r.max_new_tokens, r.temperature, r.stop)
        if known := self._known(key):
            completion = Completion(**known)
            self._count(completion.prompt_tokens, completion.completion_tokens, completion.truncated)
            return completion
        try:
            completion = await self.engine.generate(request)
        except TooLong as error:
            self._keep_refusal(key, error)
            raise
        self.journal.append(key, orjson.dumps(completion))
        return completion

    async def choose(self, request: ChooseRequest) -> Choice:
        """As the engine, or as it was."""
        key = self._key("choose", request.messages, request.options)
        if known := self._known(key):
            choice = Choice(**{**known, "logprobs": tuple(_number(x) for x in known["logprobs"])})
            self._count(choice.prompt_tokens)
            return choice
        try:
            choice = await self.engine.choose(request)
        except TooLong as error:
            self._keep_refusal(key, error)
            raise
        self.journal.append(key, orjson.dumps(choice))
        return choice

    async def score(self, messages: Conversation) -> float:
        """As the engine: preference models run in this process and are quick."""
        return await self.engine.score(messages)

    async def aclose(self) -> None:
        """Put what is left on the disk, and close the engine."""
        self.journal.flush()
        if hasattr(self.engine, "aclose"):
            await self.engine.aclose()

    def _key(self, *parts: Any) -> bytes:
        return blake2b(orjson.dumps((self._identity, self.name, *parts)), digest_size=KEY_BYTES).digest()

    def _known(self, key: bytes) -> dict[str, Any] | None:
        payload = self.journal.get(key)
        if payload is None:
            return None
        self.replayed += 1
        known: dict[str, Any] = orjson.loads(payload)
        if "too_long" in known:
            raise TooLong(known["too_long"], where=known["where"], cure=known["cure"])
        return known

    def _keep_refusal(self, key: bytes, error: TooLong) -> None:
        self.journal.append(key, orjson.dumps({"too_long": error.what, "where": error.where, "cure": error.cure}))

    def _count(self, prompt_tokens: int, completion_tokens: int = 0, truncated: bool = False) -> None:
        for usage in (self.usage, self.replay):
            usage.add(prompt_tokens, completion_tokens, truncated)


def _number(x: float | None) -> float:
    """JSON has no infinity: a log-probability of 0 is written as null."""
    return float("-inf") if x is None else x
