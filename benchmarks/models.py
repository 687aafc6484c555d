"""The models that are timed: Llamas with fresh weights of the sizes that the miniature world uses."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import torch

from charter import constitution
from charter.world.build import HERE
from charter.world.corpus import documents
from charter.world.lexicon import deeds
from charter.world.model import Size, make_model, make_tokenizer, split_words

SIZES = {
    "0.5M": Size(width=96, layers=4, heads=4, feed_forward=256),
    "1.1M": Size(width=128, layers=5, heads=4, feed_forward=352),
}
VOCABULARY = 512


def llama(name: str, vocabulary: int = VOCABULARY) -> Any:
    """The model of this size, the same each time."""
    torch.manual_seed(0)
    model = make_model(SIZES[name], vocabulary)
    model.train(False)
    return model


def folder(path: Path, name: str) -> Path:
    """The model with the world's tokenizer, as a folder."""
    principles = constitution.load(HERE / "constitution.yaml").principles
    some = islice(documents(deeds(), principles, Random(0)), 4000)
    tokenizer = make_tokenizer({word for d in some for m in d.messages for word in split_words(m.content)})
    llama(name, len(tokenizer)).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path
