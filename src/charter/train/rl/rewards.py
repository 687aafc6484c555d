"""Where the reward of an answer comes from (section 4.2), and its whitening."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from charter.core.records import Conversation
from charter.train.scoring import load_preference_model, score

Reward = Callable[[Sequence[tuple[Conversation, str]]], list[float]]
"""Raw rewards of (conversation, answer) pairs."""


def preference_model(path: Path, device: torch.device) -> Reward:
    """The scores of a preference model's folder. It reads text, so its tokenizer need not be the policy's."""
    model, tokenizer = load_preference_model(path, device)
    return lambda answers: score(model, tokenizer, answers)


def constant() -> Reward:
    """The control: every answer is worth 0, so there is nothing to learn."""
    return lambda answers: [0.0] * len(answers)


@dataclass(frozen=True, slots=True)
class Whitening:
    """Rewards in standard deviations from the initial policy's mean: `kl_coef` then means the same for every model."""

    mean: float = 0.0
    std: float = 1.0

    @classmethod
    def fit(cls, rewards: Sequence[float]) -> Whitening:
        """From the initial policy's rewards; where they are all equal, there is nothing to scale by."""
        return cls(statistics.fmean(rewards), statistics.pstdev(rewards) or 1.0)

    def __call__(self, reward: float) -> float:
        """One reward, whitened."""
        return (reward - self.mean) / self.std
