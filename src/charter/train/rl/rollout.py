"""Answers drawn from the policy, and one forward pass over them for log-probabilities and values.

Shapes: B rollouts, P tokens of the longest prompt, T tokens of the longest answer, V words. Prompts are padded on the
left and answers on the right, so that all answers begin at column P.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from charter.core.records import Prompt
from charter.models.chat import decode_answer
from charter.models.loading import end_ids
from charter.models.sampler import sample

ValueHead = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Rollout:
    """One answer of the policy. `answer_ids` are the tokens that it drew: they end with an end-of-sequence token unless
    the answer was cut off, and a cut answer is never given an end that it did not choose."""

    prompt: Prompt
    prompt_ids: list[int]
    answer_ids: list[int]
    truncated: bool
    text: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded rollouts: ids, attention and positions (B, P+T); answers (B, T) and their mask (B, T) in float32."""

    ids: Tensor
    attention: Tensor
    positions: Tensor
    answers: Tensor
    mask: Tensor


class Forward(NamedTuple):
    """Log-probabilities of the answers' tokens, values of the states in which they were drawn, and the entropies of the
    distributions that they were drawn from (nats); all (B, T). On padding they mean nothing: mask them."""

    logprobs: Tensor
    values: Tensor
    entropy: Tensor


def roll_out(
    policy: Any,
    tokenizer: Any,
    prompts: Sequence[tuple[Prompt, list[int]]],
    seeds: Sequence[int],
    max_new_tokens: int,
    temperature: float,
) -> list[Rollout]:
    """One answer to each (prompt, its tokens)."""
    sampled = sample(
        policy,
        [ids for _, ids in prompts],
        seeds=seeds,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        eos_id=end_ids(policy, tokenizer),
        pad_id=tokenizer.pad_token_id,
    )
    return [
        Rollout(prompt, prompt_ids, answer.tokens, answer.truncated, decode_answer(tokenizer, answer.tokens))
        for (prompt, prompt_ids), answer in zip(prompts, sampled, strict=True)
    ]


def collate(rollouts: Sequence[Rollout], pad_id: int, device: torch.device) -> Batch:
    """Pad rollouts to the longest prompt and the longest answer among them."""
    P = max(len(r.prompt_ids) for r in rollouts)
    T = max(len(r.answer_ids) for r in rollouts)
    ids, attention = [], []
    for r in rollouts:
        left, right = P - len(r.prompt_ids), T - len(r.answer_ids)
        ids.append([*[pad_id] * left, *r.prompt_ids, *r.answer_ids, *[pad_id] * right])
        attention.append([*[0] * left, *[1] * (P + T - left - right), *[0] * right])
    ids_BL = torch.tensor(ids, device=device)
    attention_BL = torch.tensor(attention, device=device)
    positions = (attention_BL.cumsum(1) - 1).clamp(min=0)
    return Batch(ids_BL, attention_BL, positions, ids_BL[:, P:], attention_BL[:, P:].float())


def forward(policy: Any, batch: Batch, temperature: float, value_head: ValueHead | None = None) -> Forward:
    """One pass of the policy, and of the value head on its last hidden state. Log-probabilities are those of the
    distribution that was sampled from, at `temperature`. Without a value head the values are 0."""
    T = batch.answers.shape[1]
    output = policy(
        input_ids=batch.ids,
        attention_mask=batch.attention,
        position_ids=batch.positions,
        logits_to_keep=T + 1,  # token t is drawn from the logits one column before it
        output_hidden_states=value_head is not None,
        use_cache=False,
    )
    log_p_BTV = torch.log_softmax(output.logits[:, :-1].float() / temperature, dim=-1)
    logprobs = log_p_BTV.gather(-1, batch.answers.unsqueeze(-1)).squeeze(-1)
    with torch.no_grad():
        entropy = -(log_p_BTV.exp() * log_p_BTV).sum(-1)
    values = torch.zeros_like(logprobs)
    if value_head is not None:
        values = value_head(output.hidden_states[-1][:, -T - 1 : -1].float()).squeeze(-1)
    return Forward(logprobs, values, entropy)
