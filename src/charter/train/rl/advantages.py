"""Generalised advantage estimation as a pure function (Schulman et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor


def gae(rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Advantages and returns of answers padded on the right; all tensors are (B, T).

    `values[:, t]` is the value of the state in which token t is drawn, `rewards[:, t]` what follows from drawing it.
    After an answer's last token the value is 0, whether the answer ended or was cut off: a cut is not excused by what
    might have come. Returns are advantages + values. Both are 0 on padding.
    """
    values = values * mask
    advantages = torch.zeros_like(values)
    running = torch.zeros_like(values[:, 0])
    next_value = torch.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        # On padding everything is 0, so the recursion begins afresh at each row's own last token.
        running = (delta + gamma * lam * running) * mask[:, t]
        advantages[:, t] = running
        next_value = values[:, t]
    return advantages, advantages + values
