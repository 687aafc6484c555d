"""Forward passes with the in-place cache: one reads prompts, the other one token per row. This is the library's own
pass, which is right for every architecture; `llama.py` has a faster one for the most common.

Rows lie in the cache with their last token in the same column; row i begins at column `starts[i]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from charter.models.cache import InPlaceCache, IntArray
from charter.models.forward import context_length

PART = 16  # rows of like length that attend together


class Pass(Protocol):
    """How a model reads tokens into the cache; both methods return the logits [rows, vocabulary] that follow."""

    def prefill(self, rows: IntArray, ids: torch.Tensor, starts: IntArray, filled: int) -> torch.Tensor:
        """Read ids [rows, columns] from column `filled` on; what is before a row's start is padding."""
        ...

    def decode(self, tokens: torch.Tensor, view: View, filled: int) -> torch.Tensor:
        """Read one token in each of the cache's first rows, at column `filled`."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """Some neighbouring rows and the first column that one of them uses; `padded`: not all of them begin there."""

    rows: slice
    first: int
    padded: bool


class View:
    """What the decoding steps see of the cache, until rows leave: where rows begin, and masks for what is before."""

    def __init__(self, model: Any, starts: IntArray, columns: int) -> None:
        self.starts, self.first = starts, int(starts.min())
        self.last_position = context_length(model) - 1
        self.padded = bool((starts > self.first).any())
        self.parts = _parts(starts) if self.padded else [Part(slice(0, len(starts)), self.first, False)]
        self.mask = torch.from_numpy(np.arange(columns)[None, :] >= starts[:, None]).to(model.device)
        zeros = torch.zeros(self.mask.shape, dtype=model.dtype, device=model.device)  # not all models take a bool
        self.additive = zeros.masked_fill(~self.mask, torch.finfo(model.dtype).min)[:, None, None, :]

    def positions(self, column: int) -> torch.Tensor:
        """The position of the token in this column of every row. A row that ended at the end of the context may still
        be in the batch: its position must exist."""
        return torch.from_numpy(np.minimum(column - self.starts, self.last_position)).to(self.mask.device)


def _parts(starts: IntArray) -> list[Part]:
    parts = []
    for begin in range(0, len(starts), PART):
        some = starts[begin : begin + PART]
        parts.append(Part(slice(begin, begin + len(some)), int(some.min()), bool((some > some.min()).any())))
    return parts


class LibraryPass:
    """The model's own forward pass."""

    def __init__(self, model: Any, cache: InPlaceCache) -> None:
        self.model, self.cache = model, cache
        self.plain = full_attention(model) and model.config._attn_implementation in ("sdpa", "eager")

    def prefill(self, rows: IntArray, ids: torch.Tensor, starts: IntArray, filled: int) -> torch.Tensor:
        """Read prompts, or what follows the part that the cache holds already."""
        first = min(int(starts.min()), filled)
        columns = np.arange(first, filled + ids.shape[1])[None, :]
        positions = torch.from_numpy(np.maximum(columns[:, filled - first :] - starts[:, None], 0)).to(ids.device)
        needed = first < filled or bool((starts > first).any())
        mask = torch.from_numpy((columns >= starts[:, None]).astype(np.int64)).to(ids.device) if needed else None
        self.cache.look(neighbours(rows, ids.device), first, filled)
        return self._run(ids, mask, positions)

    def decode(self, tokens: torch.Tensor, view: View, filled: int) -> torch.Tensor:
        """Where the attention takes it, the mask is an additive one [rows, 1, 1, columns], which the model uses as it
        is; a model with sliding windows or another kernel gets the plain [rows, columns] and builds its own."""
        self.cache.look(slice(0, len(tokens)), view.first, filled)
        mask = view.additive if self.plain else view.mask.long()
        seen = mask[..., view.first : filled + 1] if view.padded or not self.plain else None
        return self._run(tokens[:, None], seen, view.positions(filled)[:, None])

    def _run(self, ids: torch.Tensor, mask: torch.Tensor | None, positions: torch.Tensor) -> torch.Tensor:
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits


def full_attention(model: Any) -> bool:
    """Whether every layer attends to everything before."""
    config = model.config.get_text_config(decoder=True)
    if getattr(config, "layer_types", None):
        return set(config.layer_types) == {"full_attention"}
    return getattr(config, "sliding_window", None) is None


def neighbours(rows: IntArray, device: Any) -> slice | torch.Tensor:
    """Rows as an index: a slice where they are neighbours."""
    if len(rows) == rows[-1] + 1 - rows[0]:
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return torch.from_numpy(rows).to(device)
