"""What Charter is compared with, each in a process of its own: bare aiohttp without a journal, alone or with a barrier
after each call of the chains, the `openai` SDK, and distilabel."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from benchmarks.generation.work import MAX_TOKENS, Ask, Measure, Turn, chain, judgement, prompt, run, workers


@asynccontextmanager
async def _bare(url: str) -> AsyncIterator[Ask]:
    """Post and parse; 429 is tried again after a random pause of up to 0.2 s, without end."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(turns: list[Turn], seed: int) -> str:
            body = {"model": "simulated", "seed": seed, "max_tokens": MAX_TOKENS, "messages": _messages(turns)}
            data = orjson.dumps(body)
            while True:
                async with session.post(f"{url}/chat/completions", data=data) as answer:
                    read = await answer.read()
                    if answer.status == 200:
                        text: str = orjson.loads(read)["choices"][0]["message"]["content"]
                        return text
                    if answer.status != 429:
                        raise RuntimeError(f"{answer.status}: {read[:200]!r}")
                await asyncio.sleep(random.uniform(0, 0.2))

        yield ask


def _messages(turns: list[Turn]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turns]


def bare(url: str, count: int, concurrency: int) -> dict[str, Any]:
    """Depth first, as Charter, but nothing is kept: what the server can give."""
    measure = Measure()

    async def main() -> None:
        async with _bare(url) as ask:

            async def one(i: int) -> None:
                await chain(ask, i)
                measure.finished()

            await workers(one, range(count), concurrency)

    run(main())
    return measure.result()


def barrier(url: str, count: int, concurrency: int) -> dict[str, Any]:
    """All first calls, then all second ones, then all third ones."""
    measure = Measure()
    turns: list[list[Turn]] = [[("user", prompt(i))] for i in range(count)]

    async def main() -> None:
        async with _bare(url) as ask:
            for step in range(3):

                async def one(i: int, step: int = step) -> None:
                    text = await ask(turns[i], 3 * i + step)
                    turns[i] = [*turns[i], ("assistant", text), ("user", "Go on.")]
                    if step == 2:
                        measure.finished()

                await workers(one, range(count), concurrency)

    run(main())
    return measure.result()


def _sdk(url: str) -> Any:
    """The client as it comes; it allows a thousand connections."""
    import openai

    return openai.AsyncOpenAI(base_url=url, api_key="none")


def openai_sdk(url: str, count: int, concurrency: int) -> dict[str, Any]:
    """asyncio chains over `openai.AsyncOpenAI`."""
    client = _sdk(url)
    measure = Measure()

    async def ask(turns: list[Turn], seed: int) -> str:
        answer = await client.chat.completions.create(
            model="simulated", messages=_messages(turns), seed=seed, max_tokens=MAX_TOKENS
        )
        text: str = answer.choices[0].message.content
        return text

    async def one(i: int) -> None:
        await chain(ask, i)
        measure.finished()

    run(workers(one, range(count), concurrency))
    return measure.result()


def openai_sdk_labels(url: str, count: int, concurrency: int) -> dict[str, Any]:
    """One token with its log-probabilities."""
    client = _sdk(url)
    measure = Measure()

    async def one(i: int) -> None:
        answer = await client.chat.completions.create(
            model="simulated",
            messages=_messages([("user", judgement(i))]),
            max_tokens=1,
            temperature=0,
            logprobs=True,
            top_logprobs=20,
        )
        top = {token.token: token.logprob for token in answer.choices[0].logprobs.content[0].top_logprobs}
        assert top["A"] < 0 > top["B"]
        measure.finished()

    run(workers(one, range(count), concurrency))
    return measure.result()


def distilabel(url: str, count: int, concurrency: int) -> dict[str, Any]:
    """A pipeline of three steps in batches of its default size, which is what limits the calls at a time. Its rows come
    all at the end."""
    from distilabel.models import OpenAILLM
    from distilabel.pipeline import Pipeline
    from distilabel.steps import LoadDataFromDicts
    from distilabel.steps.tasks import TextGeneration

    del concurrency
    measure = Measure()
    with Pipeline("chains") as pipeline:
        previous = LoadDataFromDicts(data=[{"prompt": prompt(i)} for i in range(count)])
        columns = ["prompt"]
        for name in ("answer", "critique", "revision"):
            step = TextGeneration(
                name=name,
                llm=OpenAILLM(
                    model="simulated",
                    base_url=url,
                    api_key="none",
                    generation_kwargs={"max_new_tokens": MAX_TOKENS},
                ),
                columns=list(columns),
                template="\n".join(f"{{{{ {column} }}}}" for column in columns),
                output_mappings={"generation": name},
            )
            previous >> step
            previous = step
            columns.append(name)
    made = pipeline.run(use_cache=False)["default"]["train"]
    for row in made:
        assert row["revision"]
        measure.finished()
    return measure.result()
