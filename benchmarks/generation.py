"""Sampling: ours against the `generate` of transformers. The same models, prompts, batch and number of new tokens; no
row ends early; both in one process, in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import torch

from benchmarks.models import SIZES, VOCABULARY, llama
from charter.models.sampler import sample

BATCH = 64
PROMPTS = (64, 400)  # tokens
NEW = 40  # tokens
ROUNDS = 3


def rows(device: str, threads: int, *, quick: bool = False) -> Iterator[dict[str, Any]]:
    """One row for each model and length of prompts, in new tokens per second."""
    torch.set_num_threads(threads)
    new, rounds = (4, 1) if quick else (NEW, ROUNDS)
    for size in SIZES:
        model = llama(size).to(device)
        for length in PROMPTS:
            draw = Random(length)
            prompts = [[draw.randrange(8, VOCABULARY) for _ in range(length)] for _ in range(BATCH)]
            ours, peer = in_turns([_ours(model, prompts, new), _peer(model, prompts, new)], rounds, device)
            yield {
                "name": f"generate {size} batch {BATCH} prompt {length}",
                "unit": "tokens/s",
                "ours": round(BATCH * new / ours, 1),
                "peer": round(BATCH * new / peer, 1),
                "ratio": round(peer / ours, 2),
                "device": device,
                "threads": threads,
            }


def in_turns(work: list[Callable[[], int]], rounds: int, device: str) -> list[float]:
    """Median seconds of each, after one warm-up."""
    seconds: list[list[float]] = [[] for _ in work]
    for turn in range(rounds + 1):
        for one, times in zip(work, seconds, strict=True):
            started = time.perf_counter()
            made = one()
            if device == "cuda":
                torch.cuda.synchronize()
            if turn:
                times.append(time.perf_counter() - started)
            assert made > 0
    return [statistics.median(times) for times in seconds]


def _ours(model: Any, prompts: list[list[int]], new: int) -> Callable[[], int]:
    def run() -> int:
        sampled = sample(
            model, prompts, seeds=range(len(prompts)), max_new_tokens=new, temperature=1.0, eos_id=(), pad_id=0
        )
        assert all(len(row.tokens) == new for row in sampled)
        return len(sampled)

    return run


def _peer(model: Any, prompts: list[list[int]], new: int) -> Callable[[], int]:
    ids = torch.tensor(prompts, device=model.device)
    mask = torch.ones_like(ids)
    settings = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "pad_token_id": 0}
    model.generation_config.eos_token_id = None  # no row ends early

    def run() -> int:
        with torch.no_grad():
            made = model.generate(ids, attention_mask=mask, max_new_tokens=new, **settings)
        assert made.shape[1] == ids.shape[1] + new
        return len(made)

    return run
