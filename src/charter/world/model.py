"""The world's tokenizer and its tiny Llama, pretrained in minutes and saved as an ordinary Hugging Face folder."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from charter.core.files import atomic
from charter.world.corpus import Document

SPECIAL = ("<pad>", "<unk>", "<bos>", "<eos>", "<system>", "<user>", "<assistant>")
PAD, UNK, BOS, EOS = range(4)
CHECKPOINT_EVERY = 50  # steps
WORD = r"\([ab]\)|\w+|[^\w\s]"
CHAT_TEMPLATE = (
    "{{ '<bos>' }}{% for m in messages %}{{ '<' + m['role'] + '>' + m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ '<eos>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


def make_tokenizer(words: Iterable[str]) -> PreTrainedTokenizerFast:
    """One token for each word: lower case, punctuation apart, `(A)` and `(B)` whole."""
    vocabulary = {w: i for i, w in enumerate((*SPECIAL, *sorted(set(words) - set(SPECIAL))))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<bos>",
        eos_token="<eos>",
        additional_special_tokens=["<system>", "<user>", "<assistant>"],
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
        model_max_length=512,
    )


def split_words(text: str) -> list[str]:
    """The words as the tokenizer sees them."""
    return re.findall(WORD, text.lower())


@dataclass(frozen=True)
class Size:
    """The shape of the model and of its pretraining."""

    width: int = 96
    layers: int = 4
    heads: int = 4
    feed_forward: int = 256
    steps: int = 520
    rows: int = 30  # packed rows in a step
    row_length: int = 192  # tokens in a row
    muon_rate: float = 0.02
    adam_rate: float = 4e-3


def make_model(size: Size, vocabulary: int) -> LlamaForCausalLM:
    """A Llama with fresh weights."""
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        intermediate_size=size.feed_forward,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.05,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )
    return LlamaForCausalLM(config)


@dataclass(frozen=True)
class Batch:
    """Packed rows (R, L): ids, the document of each token (0 is padding), its position there, and each token's weight
    in the loss as a target."""

    ids_RL: Tensor
    documents_RL: Tensor
    positions_RL: Tensor
    weights_RL: Tensor

    @property
    def tokens(self) -> int:
        """Tokens that are not padding."""
        return int((self.documents_RL > 0).sum())


class Packer:
    """Packs documents into rows, first fit; each document sees itself alone."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, documents: Iterator[Document], size: Size) -> None:
        self.vocabulary = tokenizer.get_vocab()
        self.documents, self.size = documents, size
        self.waiting: list[tuple[list[int], list[float]]] = []

    def encode(self, document: Document) -> tuple[list[int], list[float]]:
        """The chat template, by hand for speed; a test compares it with the tokenizer's."""
        ids, weights = [BOS], [0.0]
        for message, weight in zip(document.messages, document.learn, strict=True):
            words = [self.vocabulary[w] for w in split_words(message.content)]
            turn = [self.vocabulary[f"<{message.role}>"], *words]
            weight_of_turn = [0.0, *([weight] * len(words))]
            if message.role == "assistant":
                turn.append(EOS)
                weight_of_turn.append(min(weight, 1.0))
            ids += turn
            weights += weight_of_turn
        return ids, weights

    def next(self) -> Batch:
        """The next batch."""
        rows, length = self.size.rows, self.size.row_length
        ids = torch.full((rows, length), PAD)
        docs, positions = torch.zeros(rows, length, dtype=torch.long), torch.zeros(rows, length, dtype=torch.long)
        weights = torch.zeros(rows, length)
        for r in range(rows):
            at, number = 0, 0
            while True:
                while len(self.waiting) < 24:
                    self.waiting += [self.encode(d) for d in islice(self.documents, 24)]
                fit = next((i for i, (d, _) in enumerate(self.waiting) if at + len(d) <= length), None)
                if fit is None:
                    break
                doc, weight = self.waiting.pop(fit)
                number, end = number + 1, at + len(doc)
                ids[r, at:end] = torch.tensor(doc)
                docs[r, at:end] = number
                positions[r, at:end] = torch.arange(len(doc))
                weights[r, at:end] = torch.tensor(weight)
                at = end
        return Batch(ids, docs, positions, weights)


def batch_loss(model: LlamaForCausalLM, batch: Batch) -> Tensor:
    """Mean weighted cross-entropy of the tokens to be learnt, each document attending to itself alone."""
    length = batch.ids_RL.shape[1]
    same = batch.documents_RL[:, :, None] == batch.documents_RL[:, None, :]
    mask = (same & torch.ones(length, length, dtype=torch.bool).tril())[:, None]
    hidden = model.model(
        input_ids=batch.ids_RL, attention_mask=mask, position_ids=batch.positions_RL, use_cache=False
    ).last_hidden_state
    targets, weights = batch.ids_RL[:, 1:], batch.weights_RL[:, 1:]
    learnt = weights > 0
    logits = model.lm_head(hidden[:, :-1][learnt])
    losses = nn.functional.cross_entropy(logits, targets[learnt], reduction="none")
    return (losses * weights[learnt]).sum() / weights[learnt].sum()


def optimizers(model: nn.Module, size: Size) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the embeddings and the norms."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim < 2 or "embed" in n]
    return [
        torch.optim.Muon(matrices, lr=size.muon_rate, momentum=0.95, weight_decay=0.0),
        torch.optim.AdamW(others, lr=size.adam_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


class Pretraining:
    """Pretraining that can be stopped anywhere and goes on to the same weights: everything it depends on is in `state`.

    `documents` must draw from `draw` alone."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, documents: Iterator[Document], draw: Random, size: Size, seed: int
    ) -> None:
        torch.manual_seed(seed)
        self.size, self.draw = size, draw
        self.model = make_model(size, len(tokenizer)).train()
        self.packer = Packer(tokenizer, documents, size)
        self.optims = optimizers(self.model, size)
        self.schedules = [torch.optim.lr_scheduler.LambdaLR(o, self._rate) for o in self.optims]
        self.step, self.tokens, self.seconds = 0, 0, 0.0

    def _rate(self, step: int) -> float:
        """The learning rate's factor: a short warm-up, flat, and a linear fall over the last 60%."""
        return min((step + 1) / 20, 1.0, max(self.size.steps - step, 0) / (0.6 * self.size.steps))

    def advance(self) -> float:
        """One step; returns its loss (nats per weighted token)."""
        started = time.monotonic()
        batch = self.packer.next()
        loss = batch_loss(self.model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optim, schedule in zip(self.optims, self.schedules, strict=True):
            optim.step()
            schedule.step()
            optim.zero_grad(set_to_none=True)
        self.step += 1
        self.tokens += batch.tokens
        self.seconds += time.monotonic() - started
        return loss.item()

    def state(self) -> dict[str, Any]:
        """All that the rest of the pretraining depends on."""
        return {
            "model": self.model.state_dict(),
            "optims": [o.state_dict() for o in self.optims],
            "schedules": [s.state_dict() for s in self.schedules],
            "draw": self.draw.getstate(),
            "waiting": self.packer.waiting,
            "at": (self.step, self.tokens, self.seconds),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken."""
        self.model.load_state_dict(state["model"])
        for optim, saved in zip(self.optims, state["optims"], strict=True):
            optim.load_state_dict(saved)
        for schedule, saved in zip(self.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(saved)
        self.draw.setstate(state["draw"])
        self.packer.waiting = state["waiting"]
        self.step, self.tokens, self.seconds = state["at"]


def pretrain(work: Pretraining, checkpoint: Path, report: Callable[[int], object]) -> None:
    """Run to the end, from the checkpoint if there is one; `report` is told how many steps more are done."""
    if checkpoint.exists():
        work.load_state(torch.load(checkpoint, weights_only=True))
        report(work.step)
    while work.step < work.size.steps:
        work.advance()
        report(1)
        if work.step % CHECKPOINT_EVERY == 0:
            with atomic(checkpoint) as temporary:
                torch.save(work.state(), temporary)


def save(work: Pretraining, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """An ordinary Hugging Face folder, and `pretraining.json` with what it took."""
    work.model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    parameters = sum(p.numel() for p in work.model.parameters())
    took = {"seconds": round(work.seconds, 1), "tokens": work.tokens, "parameters": parameters}
    (folder / "pretraining.json").write_text(json.dumps(took) + "\n", encoding="utf-8")
