"""The world's tokenizer, and pretraining that goes on where it stopped."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from charter import constitution
from charter.models import chat
from charter.world import build, model
from charter.world.corpus import Document, documents
from charter.world.lexicon import deeds
from charter.world.model import Packer, Pretraining, Size, make_tokenizer, pretrain, split_words

PRINCIPLES = constitution.load(build.HERE / "constitution.yaml").principles
TINY = Size(width=16, layers=1, heads=2, feed_forward=16, steps=9, rows=2, row_length=160)


@pytest.fixture(scope="module")
def some() -> list[Document]:
    return list(islice(documents(deeds(), PRINCIPLES, Random(0)), 6000))


@pytest.fixture(scope="module")
def tokenizer(some: list[Document]) -> Any:
    return make_tokenizer({word for d in some for m in d.messages for word in split_words(m.content)})


def test_the_packer_encodes_as_the_chat_template_does(some: list[Document], tokenizer: Any) -> None:
    packer, shapes = Packer(tokenizer, iter(some), TINY), set()
    for document in some[:600]:
        ids, weights = packer.encode(document)
        assert ids == chat.encode_chat(tokenizer, document.messages, add_generation_prompt=False)
        prompt, answer = chat.encode_answer(tokenizer, document.messages[:-1], document.messages[-1].content)
        assert ids == prompt + answer
        assert len(weights) == len(ids)
        assert all(weight > 0 for weight in weights[len(prompt) :])
        shapes.add((len(document.messages), document.messages[0].content[:13] == "Conversation:"))
    assert shapes == {(2, False), (2, True), (4, False), (6, False)}, "chat, judge, direct, revise"


def test_text_comes_back(some: list[Document], tokenizer: Any) -> None:
    for document in some[:600]:
        said = document.messages[-1].content
        ids = chat.encode_text(tokenizer, said)
        assert tokenizer.unk_token_id not in ids
        back = chat.decode_answer(tokenizer, [*ids, tokenizer.eos_token_id])
        assert back == said.lower()


def test_the_options_are_single_tokens(tokenizer: Any) -> None:
    for option in ("(A)", "(B)"):
        assert len(chat.encode_text(tokenizer, option)) == 1


def test_packed_rows(some: list[Document], tokenizer: Any) -> None:
    packer = Packer(tokenizer, iter(some), TINY)
    batch = packer.next()
    assert batch.ids_RL.shape == (TINY.rows, TINY.row_length)
    assert 0.5 * batch.ids_RL.numel() < batch.tokens <= batch.ids_RL.numel()
    for ids, numbers, positions, weights in zip(
        batch.ids_RL, batch.documents_RL, batch.positions_RL, batch.weights_RL, strict=True
    ):
        starts = (ids == model.BOS).nonzero().flatten()
        assert len(starts) == numbers.max() > 1
        assert positions[starts].eq(0).all()
        assert weights[numbers == 0].eq(0).all()


@torch.no_grad()
def test_documents_of_a_row_do_not_see_each_other(some: list[Document], tokenizer: Any) -> None:
    """The loss of a packed row is that of its documents alone."""
    torch.manual_seed(0)
    net = model.make_model(TINY, len(tokenizer)).eval()
    batch = Packer(tokenizer, iter(some), TINY).next()
    losses, weight = [], 0.0
    for row in range(TINY.rows):
        for number in range(1, int(batch.documents_RL[row].max()) + 1):
            chosen = batch.documents_RL[row] == number
            ids, weights = batch.ids_RL[row][chosen], batch.weights_RL[row][chosen]
            logits = net(input_ids=ids[None]).logits[0, :-1]
            each = torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none")
            losses.append((each * weights[1:]).sum())
            weight += float(weights[1:].sum())
    assert model.batch_loss(net, batch).item() == pytest.approx(float(sum(losses)) / weight, rel=1e-5)


def begin(tokenizer: Any, size: Size = TINY) -> Pretraining:
    draw = Random(5)
    return Pretraining(tokenizer, documents(deeds(), PRINCIPLES, draw), draw, size, seed=6)


def test_pretraining_goes_on_to_the_same_weights(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "CHECKPOINT_EVERY", 4)
    whole = begin(tokenizer)
    pretrain(whole, tmp_path / "whole.pt", lambda _: None)

    class Killed(Exception):
        pass

    seen = 0

    def kill(steps: int) -> None:
        nonlocal seen
        seen += steps
        if seen == 6:  # two steps after the checkpoint: they are lost
            raise Killed

    with pytest.raises(Killed):
        pretrain(begin(tokenizer), tmp_path / "torn.pt", kill)
    reported: list[int] = []
    torn = begin(tokenizer)
    torn.model.model.embed_tokens.weight.data.zero_()  # nothing of a fresh start is left
    pretrain(torn, tmp_path / "torn.pt", reported.append)
    assert reported == [4, 1, 1, 1, 1, 1]
    assert (torn.step, torn.tokens) == (whole.step, whole.tokens)
    ours, theirs = whole.model.state_dict(), torn.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    fresh = begin(tokenizer).model.state_dict()
    assert not all(torch.equal(ours[name], fresh[name]) for name in ours)


def test_pretraining_learns(tokenizer: Any) -> None:
    work = begin(tokenizer, replace(TINY, width=32, steps=60))
    losses = [work.advance() for _ in range(work.size.steps)]
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])
