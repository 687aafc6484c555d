"""Preference models as folders and as functions: loading, and the scores of answers (section 4.1).

A preference model is an ordinary sequence-classification model with one label. The score of an answer is that label's
logit at the answer's last token, its end-of-sequence token. The heads of decoder models have no bias, so the mean and
the standard deviation of the scores on the training answers stand in the folder's config.json (`charter_score_mean`,
`charter_score_std`), and `score` subtracts the mean; differences of scores, which is what was trained, do not change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from charter.core.records import Conversation
from charter.models.chat import encode_answer
from charter.models.forward import last_scores
from charter.models.loading import is_reward_model, load_reward_model, load_tokenizer

HEAD_SCORE_STD = 0.2
"""The standard deviation of the scores of an untrained head, about: its first probabilities are near one half."""


def load_preference_model(path: Path, device: torch.device) -> tuple[Any, Any]:
    """A preference model's folder as (model in evaluation mode, tokenizer). Raises InputError for another folder."""
    return load_reward_model(path, dtype="float32", device=str(device)), load_tokenizer(path)


def start_preference_model(path: Path, device: torch.device, generator: torch.Generator) -> tuple[Any, Any]:
    """(model in training mode, tokenizer): a language model's folder with a fresh, small score head.

    The head is drawn from `generator`, on the CPU. A folder that is a preference model already keeps its head
    (preference-model pretraining).
    """
    from transformers import AutoModelForSequenceClassification

    tokenizer = load_tokenizer(path)
    if is_reward_model(path):
        model = load_reward_model(path, dtype="float32", device=str(device))
    else:
        model = AutoModelForSequenceClassification.from_pretrained(
            path, num_labels=1, dtype=torch.float32, use_safetensors=True, local_files_only=True
        ).to(device)
        _draw_head(model.score.weight, generator)
    # Who loads the folder with the library alone reads the score at the last token that is not padding: no answer may
    # end with the padding.
    if tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(_padding(tokenizer))
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return model.train(), tokenizer


def _draw_head(weight: Tensor, generator: torch.Generator) -> None:
    """Fill a head's (1, width) weights in place."""
    # The last hidden state is normalised, so its length is about sqrt(width), whatever the width.
    std = HEAD_SCORE_STD / math.sqrt(weight.shape[-1])
    with torch.no_grad():
        weight.copy_(torch.randn(weight.shape, generator=generator) * std)


def _padding(tokenizer: Any) -> int:
    """A token that never ends an answer."""
    candidates = (tokenizer.unk_token_id, tokenizer.bos_token_id, 0, 1)
    return next(token for token in candidates if token is not None and token != tokenizer.eos_token_id)


def score_rows(model: Any, pad_id: int, rows: Sequence[Sequence[int]], batch_size: int = 64) -> list[float]:
    """Raw scores of token rows, in their order; batches of similar length, without gradients."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    scores = [0.0] * len(rows)
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            values = last_scores(model, [rows[i] for i in batch], pad_id).tolist()
            for i, value in zip(batch, values, strict=True):
                scores[i] = value
    model.train(was_training)
    return scores


def score(model: Any, tokenizer: Any, answers: Sequence[tuple[Conversation, str]], batch_size: int = 64) -> list[float]:
    """The preference model's scores of (conversation, answer) pairs, centred on the mean of its training answers.

    One unit is one nat of log odds: an answer that scores 1 more is preferred with probability sigmoid(1) = 0.73.
    """
    rows = [[*prompt, *answer] for prompt, answer in (encode_answer(tokenizer, m, a) for m, a in answers)]
    mean = float(getattr(model.config, "charter_score_mean", 0.0))
    return [value - mean for value in score_rows(model, tokenizer.pad_token_id, rows, batch_size)]
