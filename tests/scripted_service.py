"""A scripted model whose answers depend on what is asked, slow where that is wanted: the command line with it.

python scripted_service.py SECONDS charter's arguments ..."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict

from charter import cli
from charter.models.engine import Completion, GenerateRequest
from charter.models.scripted import ScriptedEngine


def reply(request: GenerateRequest) -> str:
    return f"answer {request.seed % 9973} to {request.messages[-1].content}"


def install(seconds: float = 0.0) -> None:
    """Every scripted engine answers so, one call at a time where calls take time."""
    turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
    scripted = ScriptedEngine.generate

    async def generate(self: ScriptedEngine, request: GenerateRequest) -> Completion:
        self._reply = reply
        if seconds:
            async with turns[id(asyncio.get_running_loop())]:
                await asyncio.sleep(seconds)
        return await scripted(self, request)

    ScriptedEngine.generate = generate  # type: ignore[method-assign]


if __name__ == "__main__":
    install(float(sys.argv[1]))
    cli.main(sys.argv[2:])
