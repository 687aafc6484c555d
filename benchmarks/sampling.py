"""Sampling: ours against the `generate` of transformers, and a chain's later calls with the keys and values of its
earlier ones against without. The same model, prompts, batch and limits; both in one process, in turns.

A prompt of 64 or 400 tokens: all are equally long and no row ends early, which is the best case for `generate`; before
the times are taken, both must give the same greedy text. Ragged: prompts of 64 to 400 tokens, padded on the left, and
rows that end early; the tokens counted are those of the answers. Chain: conversations of unequal length are critiqued
and revised, with early ends; both ways must give the same text.

On one CPU thread the time is that of the processor, so that other processes count for less."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import torch

from benchmarks.models import VOCABULARY, llama
from charter.models.forward import left_pad
from charter.models.prefixes import PrefixPool
from charter.models.sampler import sample

SIZE = "1.1M"
BATCH = 64
PROMPTS = (64, 400)  # tokens
NEW = 96  # tokens: with the longest prompt, what the model's context of 512 takes
ROUNDS = 5
ENDS = tuple(range(3, 11))  # where rows may end early: after 64 tokens on average
REQUEST, ANSWER = 24, 32  # tokens of a request, and the limit of a critique and a revision
POOL = 2**30  # bytes


def rows(device: str, threads: int, *, quick: bool = False) -> Iterator[dict[str, Any]]:
    """One row for each case, in new tokens per second."""
    torch.set_num_threads(threads)
    new, rounds = (4, 1) if quick else (NEW, ROUNDS)
    model = llama(SIZE).to(device)
    clock = time.process_time if (device, threads) == ("cpu", 1) else time.perf_counter
    for length in PROMPTS:
        prompts = _draw([length] * BATCH, length)
        _same_greedy(model, prompts, min(new, 16))
        times = in_turns([_ours(model, prompts, new), _peer(model, prompts, new)], rounds, device, clock)
        yield _row(f"generate {SIZE} batch {BATCH} prompt {length}", BATCH * new, times, device, threads)
    prompts = _draw(_lengths(*PROMPTS), 1)
    ours = _ours(model, prompts, new, ENDS)
    times = in_turns([ours, _peer(model, prompts, new, ENDS)], rounds, device, clock)
    yield _row(f"generate {SIZE} batch {BATCH} ragged", ours(), times, device, threads)
    yield _row(f"chain {SIZE} batch {BATCH} prefix reuse", *_chains(model, rounds, device, clock), device, threads)


def in_turns(
    work: list[Callable[[], int]], rounds: int, device: str, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Median seconds of each, after one warm-up."""
    seconds: list[list[float]] = [[] for _ in work]
    for turn in range(rounds + 1):
        for one, times in zip(work, seconds, strict=True):
            started = clock()
            made = one()
            if device == "cuda":
                torch.cuda.synchronize()
            if turn:
                times.append(clock() - started)
            assert made > 0
    return [statistics.median(times) for times in seconds]


def _row(name: str, tokens: int, seconds: Sequence[float], device: str, threads: int) -> dict[str, Any]:
    ours, peer = (tokens / each for each in seconds)
    return {
        "name": name,
        "unit": "tokens/s",
        "ours": round(ours, 1),
        "peer": round(peer, 1),
        "ratio": round(ours / peer, 2),
        "device": device,
        "threads": threads,
    }


def _draw(lengths: Sequence[int], seed: int) -> list[list[int]]:
    draw = Random(seed)
    return [[draw.randrange(ENDS[-1] + 1, VOCABULARY) for _ in range(length)] for length in lengths]


def _lengths(least: int, most: int) -> list[int]:
    draw = Random(0)
    return [draw.randint(least, most) for _ in range(BATCH)]


def _ours(model: Any, prompts: list[list[int]], new: int, ends: tuple[int, ...] = ()) -> Callable[[], int]:
    def run() -> int:
        made = _sample(model, prompts, new, ends)
        assert ends or {len(tokens) for tokens in made} == {new}
        return sum(map(len, made))

    return run


def _sample(
    model: Any,
    prompts: list[list[int]],
    new: int,
    ends: tuple[int, ...] = (),
    temperature: float = 1.0,
    pool: PrefixPool | None = None,
) -> list[list[int]]:
    settings = {"max_new_tokens": new, "temperature": temperature, "eos_id": ends, "pad_id": 0, "pool": pool}
    return [row.tokens for row in sample(model, prompts, seeds=range(len(prompts)), **settings)]


def _peer(
    model: Any, prompts: list[list[int]], new: int, ends: tuple[int, ...] = (), *, greedy: bool = False
) -> Callable[[], Any]:
    ids, mask, _ = left_pad(prompts, 0, model.device)
    settings = {"do_sample": False} if greedy else {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}

    def run() -> Any:
        model.generation_config.eos_token_id = list(ends) or None
        with torch.no_grad():
            made = model.generate(ids, attention_mask=mask, max_new_tokens=new, pad_token_id=0, **settings)
        assert ends or made.shape[1] == ids.shape[1] + new
        return made[:, ids.shape[1] :].tolist() if greedy else len(made)

    return run


def _same_greedy(model: Any, prompts: list[list[int]], new: int) -> None:
    assert _sample(model, prompts, new, temperature=0) == _peer(model, prompts, new, greedy=True)(), "other text"


def _chains(model: Any, rounds: int, device: str, clock: Callable[[], float]) -> tuple[int, list[float]]:
    """The tokens of all critiques and revisions, and the median seconds with reuse and without. The answer's call is
    made before the clock runs: it leaves its keys and values behind."""
    prompts, seconds, texts = _draw(_lengths(230, 330), 2), ([], []), []  # type: ignore[var-annotated]
    for turn in range(rounds + 1):
        for times, pool in zip(seconds, (PrefixPool(POOL), None), strict=True):
            answers = _sample(model, prompts, ANSWER, ENDS, pool=pool)
            conversations = [a + b for a, b in zip(prompts, answers, strict=True)]
            started = clock()
            texts.append(_critique_and_revise(model, conversations, pool))
            if device == "cuda":
                torch.cuda.synchronize()
            if turn:
                times.append(clock() - started)
    assert all(text == texts[0] for text in texts), "the text depends on the reuse"
    return sum(len(tokens) for tokens in texts[0]), [statistics.median(times) for times in seconds]


def _critique_and_revise(model: Any, conversations: list[list[int]], pool: PrefixPool | None) -> list[list[int]]:
    made: list[list[int]] = []
    for request in _draw([REQUEST, REQUEST], 3):
        asked = [conversation + request for conversation in conversations]
        answers = _sample(model, asked, ANSWER, ENDS, pool=pool)
        conversations = [a + b for a, b in zip(asked, answers, strict=True)]
        made += answers
    return made
