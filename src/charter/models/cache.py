"""A key-value cache that is written in place.

The library's dynamic cache copies every key and value at every step. Here the buffers are allocated once, a step
writes one column, and attention reads a view of the filled part. Rows are prompts, columns are positions; prompts are
padded on the left, so that all rows write the same column.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import Cache, CacheLayerMixin


@dataclass(slots=True)
class Window:
    """The part of the buffers that the next forward pass sees: `rows`, and the columns from `first` to `filled`."""

    rows: slice
    first: int
    filled: int


@dataclass(slots=True)
class Shape:
    """The size of the buffers, shared by all layers, and the window on them."""

    rows: int
    columns: int
    window: Window = field(default_factory=lambda: Window(slice(0, 0), 0, 0))


class InPlaceLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """One layer: keys and values of shape [rows, heads, columns, head size], allocated at the first update."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shape = shape
        self.keys: Any = None
        self.values: Any = None

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate. Zeros, not empty memory: a masked position counts 0 times its value, and 0 times NaN is NaN."""
        size = (self.shape.rows, key_states.shape[1], self.shape.columns)
        self.keys = key_states.new_zeros((*size, key_states.shape[3]))
        self.values = value_states.new_zeros((*size, value_states.shape[3]))
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write [rows of the window, heads, new columns, head size]; return views of all that the window sees."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        window = self.shape.window
        end = window.filled + key_states.shape[2]
        self.keys[window.rows, :, window.filled : end] = key_states
        self.values[window.rows, :, window.filled : end] = value_states
        return self.keys[window.rows, :, window.first : end], self.values[window.rows, :, window.first : end]

    def get_seq_length(self) -> int:
        """Columns that the window sees already."""
        return self.shape.window.filled - self.shape.window.first

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Columns that the next pass attends to, and their offset."""
        return self.get_seq_length() + query_length, 0

    def get_max_length(self) -> int:
        """Columns there are."""
        return self.shape.columns


class InPlaceCache(Cache):
    """A cache of `layers` layers for `rows` prompts and `columns` positions. Sliding-window layers keep everything: the
    mask does the rest."""

    def __init__(self, layers: int, rows: int, columns: int) -> None:
        self.shape = Shape(rows, columns)
        self.stores = [InPlaceLayer(self.shape) for _ in range(layers)]
        super().__init__(layers=list(self.stores))

    def look(self, rows: slice, first: int, filled: int) -> None:
        """Set the window of the next forward pass. It writes from column `filled` on."""
        self.shape.window = Window(rows, first, filled)

    def expand(self, index: torch.Tensor) -> None:
        """Row i becomes a copy of the old row `index[i]`."""
        self.shape.rows = len(index)
        for layer in self.stores:
            layer.keys, layer.values = layer.keys[index], layer.values[index]

    def compact(self, alive: np.ndarray[Any, np.dtype[np.bool_]], filled: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Bring the rows that are alive to the front by moving the last of them into the holes, as far as the columns
        are `filled`, and return the old row of each new one. Few rows are copied, and nothing is allocated."""
        count = int(alive.sum())
        order = np.arange(count)
        holes, tail = np.flatnonzero(~alive[:count]), count + np.flatnonzero(alive[count:])
        order[holes] = tail
        for layer in self.stores:
            for buffer in (layer.keys, layer.values):
                to, source = torch.from_numpy(holes).to(buffer.device), torch.from_numpy(tail).to(buffer.device)
                buffer[to, :, :filled] = buffer[source, :, :filled]
        return order
