"""Sampling of a batch of prompts, written for speed where the library's `generate` is slow.

What makes the difference: the key-value cache is written in place (`cache.py`); equal prompts are read once; prompts
are read in groups of like length, so that few positions are padding; logits are computed for the last position alone;
one inverse-CDF draw per row replaces the library's chain of logits processors; rows that ended leave the batch.

Every row draws from its own stream of uniform numbers, a hash of its seed and the step. Its tokens depend on its
prompt and its seed, and not on the rows beside it or on their order (up to the rounding of the matrix products, whose
order of summation may change with the shape of the batch)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from charter.core.errors import InputError, WorkError
from charter.models.cache import InPlaceCache
from charter.models.forward import context_length, left_pad

PREFILL_ROWS = 32  # prompts read together: enough for the matrix products, few enough that lengths are alike
COMPACT_SHARE = 1 / 8  # rows that ended are dropped once they are this share of the batch

IntArray = np.ndarray[Any, np.dtype[np.int64]]
FloatArray = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Sampled:
    """One continuation. `tokens` are the ids as the policy emitted them, *with* the end-of-sequence token where there
    was one (`chat.decode_answer` leaves it out of the text); `logprobs` are their log-probabilities under the model
    at temperature 1, whatever the sampling temperature was; `truncated`: it ran into the limit and has no end
    token."""

    tokens: list[int]
    logprobs: list[float]
    truncated: bool


def sample(
    model: Any,
    prompts: Sequence[list[int]],
    *,
    seeds: Sequence[int],
    max_new_tokens: int,
    temperature: float,
    eos_id: int | Collection[int],
    pad_id: int,
) -> list[Sampled]:
    """Continue every prompt (token ids, not empty) until an end token or `max_new_tokens`; temperature 0 is greedy.

    The model is any causal language model with rotary or learned positions; a prompt that leaves less than
    `max_new_tokens` of the model's context stops earlier, as truncated. Raises InputError for a prompt that fills the
    context and WorkError where the logits are not finite."""
    if not prompts:
        return []
    was_training = model.training
    if was_training:
        model.eval()
    try:
        with torch.inference_mode():
            return _Batch(model, prompts, max_new_tokens, pad_id).run(
                uniforms(seeds, max_new_tokens), temperature, eos_id
            )
    finally:
        if was_training:
            model.train()


def uniforms(seeds: Sequence[int], steps: int) -> FloatArray:
    """Uniform numbers in [0, 1) of shape [seeds, steps]: the splitmix64 generator used as a counter-based hash, so
    that a longer stream begins with the shorter one. 53 random bits each."""
    step = np.uint64(0x9E3779B97F4A7C15) * np.arange(1, steps + 1, dtype=np.uint64)
    start = _mix(np.array([seed & (2**64 - 1) for seed in seeds], dtype=np.uint64))
    return np.asarray((_mix(start[:, None] + step[None, :]) >> np.uint64(11)) * 2.0**-53)


def _mix(x: Any) -> Any:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def pick(logits: torch.Tensor, uniform: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one token per row of `logits` [B, V] by inverting the cumulative distribution at `uniform` [B], double
    precision; also its log-probability at temperature 1. The sums are in double precision: a large vocabulary has a
    long tail. A token of probability 0 is never drawn."""
    shifted = logits.float()
    shifted = shifted - shifted.amax(-1, keepdim=True)
    weights = shifted.exp()
    if temperature == 0:
        total = weights.sum(-1, keepdim=True, dtype=torch.float64)
        tokens = shifted.argmax(-1, keepdim=True)
    else:
        cumulative = (weights if temperature == 1 else (shifted / temperature).exp()).cumsum(-1, dtype=torch.float64)
        target = uniform[:, None] * cumulative[:, -1:]
        tokens = torch.searchsorted(cumulative, target, right=True).clamp_(max=logits.shape[1] - 1)
        total = cumulative[:, -1:] if temperature == 1 else weights.sum(-1, keepdim=True, dtype=torch.float64)
    logprobs = shifted.gather(-1, tokens) - total.log()
    return tokens[:, 0], logprobs[:, 0]


class _Batch:
    """The state of one call: the cache and, for each of its rows, which prompt it is and where it stands."""

    def __init__(self, model: Any, prompts: Sequence[list[int]], max_new_tokens: int, pad_id: int) -> None:
        self.model, self.prompts, self.pad_id = model, prompts, pad_id
        self.device = model.device
        self.lengths: IntArray = np.array([len(prompt) for prompt in prompts], dtype=np.int64)
        self.width = int(self.lengths.max())
        self.context = context_length(model)
        room = self.context - self.lengths
        if not self.lengths.all() or room.min() < 1:
            full = f"a prompt of {self.width} tokens fills the model's context"
            what = full if self.lengths.all() else "a prompt is empty"
            raise InputError(what, cure="leave out prompts that are empty or as long as the model's context")
        self.limits: IntArray = np.minimum(max_new_tokens, room)
        self.rows: IntArray = np.argsort(self.lengths, kind="stable")
        self.masked = _Mask(model, self.lengths[self.rows], self.width, max_new_tokens)

    def run(self, uniform: FloatArray, temperature: float, eos_id: int | Collection[int]) -> list[Sampled]:
        """The loop: pick a token, note it, drop the rows that ended, read the token."""
        ends = np.array([eos_id] if isinstance(eos_id, int) else sorted(eos_id))
        steps = int(self.limits.max())
        tokens = np.full((len(self.rows), steps), self.pad_id, dtype=np.int64)
        logprobs = np.zeros((len(self.rows), steps))
        counts, ended = np.zeros(len(self.rows), dtype=np.int64), np.zeros(len(self.rows), dtype=bool)
        alive = np.ones(len(self.rows), dtype=bool)
        logits = self.prefill(steps)
        for step in range(steps):
            draws = torch.from_numpy(np.ascontiguousarray(uniform[self.rows, step])).to(self.device)
            picked, logprob = pick(logits, draws, temperature)
            picked_now, logprob_now = picked.cpu().numpy(), logprob.cpu().numpy()
            live = self.rows[alive]
            if not np.isfinite(logprob_now[alive]).all():
                cure = "look at how the model was trained and at its dtype"
                raise WorkError("the model's logits are not finite", cure=cure)
            tokens[live, step], logprobs[live, step] = picked_now[alive], logprob_now[alive]
            counts[live] = step + 1
            stop = np.isin(picked_now, ends)
            ended[live] = stop[alive]
            alive &= ~stop & (self.limits[self.rows] > step + 1)
            if not alive.any():
                break
            if (~alive).mean() >= COMPACT_SHARE:
                order = self.compact(alive, step)
                picked, alive = picked[torch.from_numpy(order).to(self.device)], np.ones(len(order), dtype=bool)
            logits = self.decode(picked, step)
        return [
            Sampled(tokens[i, : counts[i]].tolist(), logprobs[i, : counts[i]].tolist(), not ended[i])
            for i in range(len(counts))
        ]

    def prefill(self, steps: int) -> torch.Tensor:
        """Read all prompts, equal ones once, and return the logits [rows, vocabulary] after each."""
        ordered = [tuple(self.prompts[i]) for i in self.rows]
        place = {prompt: i for i, prompt in enumerate(dict.fromkeys(ordered))}
        unique = list(place)
        layers = self.model.config.get_text_config(decoder=True).num_hidden_layers
        self.cache = InPlaceCache(layers, len(unique), self.width + steps)
        last = []
        for start in range(0, len(unique), PREFILL_ROWS):
            group = unique[start : start + PREFILL_ROWS]
            ids, mask, positions = left_pad(group, self.pad_id, self.device)
            first = self.width - ids.shape[1]
            self.cache.look(slice(start, start + len(group)), first, first)
            output = self.model(
                input_ids=ids,
                attention_mask=None if len(group[0]) == ids.shape[1] else mask,
                position_ids=positions,
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=1,
            )
            last.append(output.logits[:, -1])
        logits = torch.cat(last)
        if len(unique) == len(ordered):
            return logits
        index = torch.tensor([place[prompt] for prompt in ordered], device=self.device)
        self.cache.expand(index)
        return logits[index]

    def decode(self, tokens: torch.Tensor, step: int) -> torch.Tensor:
        """Read the token that was picked at `step` in every row; logits [rows, vocabulary]."""
        filled = self.width + step
        self.cache.look(slice(0, len(self.rows)), 0, filled)
        # A row that ended at the end of the context may still be in the batch: its position must exist.
        positions = torch.from_numpy(np.minimum(self.lengths[self.rows] + step, self.context - 1)).to(self.device)
        output = self.model(
            input_ids=tokens[:, None],
            attention_mask=self.masked.until(filled + 1),
            position_ids=positions[:, None],
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def compact(self, alive: np.ndarray[Any, np.dtype[np.bool_]], step: int) -> IntArray:
        """Drop the rows that ended before the token of `step` is read; the old row of each new one."""
        order = self.cache.compact(alive, self.width + step)
        self.rows = self.rows[order]
        self.masked.select(order)
        return order


class _Mask:
    """The attention mask of the decoding steps, built once. Where the attention takes it, an additive mask [rows, 1,
    1, columns] that the model uses as it is; a model with sliding windows or another kernel gets the plain [rows,
    columns] mask and builds its own at every step."""

    def __init__(self, model: Any, lengths: IntArray, width: int, steps: int) -> None:
        columns = np.arange(width + steps)
        mask = torch.from_numpy(columns[None, :] >= (width - lengths)[:, None]).to(model.device)
        self.padded = bool((lengths < width).any())
        self.additive = _plain_attention(model)
        self.mask = mask.long()
        if self.additive:
            zeros = torch.zeros(mask.shape, dtype=model.dtype, device=model.device)
            self.mask = zeros.masked_fill(~mask, torch.finfo(model.dtype).min)[:, None, None, :]

    def until(self, column: int) -> torch.Tensor | None:
        """The mask of all columns before `column`; None where nothing is masked."""
        return self.mask[..., :column] if self.padded or not self.additive else None

    def select(self, order: IntArray) -> None:
        """Keep these rows."""
        self.mask = self.mask[torch.from_numpy(order).to(self.mask.device)]


def _plain_attention(model: Any) -> bool:
    config = model.config.get_text_config(decoder=True)
    if getattr(config, "layer_types", None):
        full = set(config.layer_types) == {"full_attention"}
    else:
        full = getattr(config, "sliding_window", None) is None
    return full and config._attn_implementation in ("sdpa", "eager")
