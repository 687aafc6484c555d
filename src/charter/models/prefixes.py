"""Keys and values of finished rows, kept so that the next call of the same conversation reads only what is new.

A chain's critique request extends prompt and response, its revision request extends both. A row that ended leaves its
keys and values here with the tokens that they belong to; a later prompt starts from the longest prefix that it shares
with any of them, token by token. What is found depends only on the calls before, in their order, so that the same
calls give the same texts. Whether a prefix was found shows in nothing but the rounding of the matrix products."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

BLOCK = 16  # tokens; prefixes are looked up at multiples, and shorter ones are not worth it
CPU_BYTES = 2**30
CUDA_SHARE = 1 / 8  # of the device's memory


def default_limit(device: torch.device) -> int:
    """How many bytes a pool may take: the same in every run on one machine."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory * CUDA_SHARE)
    return CPU_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """`tokens` and, for each layer, their keys and values [heads, tokens, head size]."""

    tokens: tuple[int, ...]
    layers: tuple[tuple[Any, Any], ...]

    @property
    def bytes(self) -> int:
        """The memory of the tensors."""
        return sum(tensor.nbytes for pair in self.layers for tensor in pair)


class PrefixPool:
    """The entries used last, up to `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self._entries: OrderedDict[Entry, None] = OrderedDict()  # the one used last comes last
        self._index: dict[int, Entry] = {}  # by the hash of the first k blocks: an entry that begins with them

    def find(self, tokens: Sequence[int]) -> tuple[int, Entry | None]:
        """How many of the tokens an entry begins with, and the entry; (0, None) where that is less than a block. At
        least one token is left to be read: its logits are wanted."""
        best: Entry | None = None
        for key in _keys(tokens):
            if key not in self._index:
                break
            best = self._index[key]
        if best is None:
            return 0, None
        shared = _common(best.tokens, tokens[:-1])
        if shared < BLOCK:
            return 0, None
        self._entries.move_to_end(best)
        return shared, best

    def add(self, entry: Entry) -> None:
        """Keep an entry in the place of one that it extends, and give up those that were not used for longest."""
        if entry.bytes > self.limit or len(entry.tokens) < BLOCK:
            return
        shared, known = self.find([*entry.tokens, -1])
        if known is not None and shared == len(entry.tokens):
            return
        if known is not None and shared == len(known.tokens):
            self._drop(known)
        while self.bytes + entry.bytes > self.limit:
            self._drop(next(iter(self._entries)))
        self._entries[entry] = None
        self.bytes += entry.bytes
        self._index.update(dict.fromkeys(_keys(entry.tokens), entry))

    def _drop(self, entry: Entry) -> None:
        del self._entries[entry]
        self.bytes -= entry.bytes
        for key in _keys(entry.tokens):
            if self._index.get(key) is entry:
                del self._index[key]


def _keys(tokens: Sequence[int]) -> Iterator[int]:
    """A hash of each prefix of whole blocks."""
    key = 0
    for end in range(BLOCK, len(tokens) + 1, BLOCK):
        key = hash((key, *tokens[end - BLOCK : end]))
        yield key


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike."""
    length = min(len(a), len(b))
    return next((i for i in range(length) if a[i] != b[i]), length)
