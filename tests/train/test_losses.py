from __future__ import annotations

import math

import pytest
import torch

from charter.train.losses import (
    clipped_policy_loss,
    clipped_value_loss,
    kl_k1,
    kl_k3,
    masked_mean,
    masked_whiten,
    soft_bradley_terry,
)
from charter.train.rl.advantages import gae

MASK = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])


def test_soft_bradley_terry_by_hand() -> None:
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 0.0])
    p = torch.tensor([0.9, 0.3])
    sigmoid = 1 / (1 + math.exp(-2))
    first = -(0.9 * math.log(sigmoid) + 0.1 * math.log(1 - sigmoid))
    assert soft_bradley_terry(a, b, p).item() == pytest.approx((first + math.log(2)) / 2, rel=1e-6)
    assert soft_bradley_terry(b, a, 1 - p).item() == pytest.approx(soft_bradley_terry(a, b, p).item(), rel=1e-6)


def test_soft_bradley_terry_recovers_the_labels_probabilities() -> None:
    truth = torch.tensor([1.5, 0.3, -0.4, -1.4])
    pairs = torch.combinations(torch.arange(4))
    p = torch.sigmoid(truth[pairs[:, 0]] - truth[pairs[:, 1]])
    scores = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.Adam([scores], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        soft_bradley_terry(scores[pairs[:, 0]], scores[pairs[:, 1]], p).backward()
        optimizer.step()
    learned = torch.sigmoid(scores[pairs[:, 0]] - scores[pairs[:, 1]]).detach()
    assert (learned - p).abs().max() < 0.03


def test_masked_mean_and_whiten_ignore_padding() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 99.0]])
    assert masked_mean(x, MASK).item() == pytest.approx(3.0)
    white = masked_whiten(x, MASK)
    assert white[1, 2] == 0
    assert masked_mean(white, MASK).item() == pytest.approx(0, abs=1e-6)
    assert masked_mean(white**2, MASK).item() == pytest.approx(1, rel=1e-5)
    assert white[0, 0].item() == pytest.approx(-2 / math.sqrt(2), rel=1e-5)
    assert masked_whiten(torch.full_like(x, 0.25), MASK).abs().max() == 0
    assert masked_mean(x, torch.zeros_like(x)) == 0


def test_policy_loss_by_hand() -> None:
    """Ratios 1.5, 1.5, .5, .5, advantages +1, -1, +1, -1: the clip binds where the ratio went the wanted way."""
    old = torch.zeros(1, 4)
    new = torch.log(torch.tensor([[1.5, 1.5, 0.5, 0.5]])).requires_grad_()
    advantages = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
    loss, clipped = clipped_policy_loss(new, old, advantages, torch.ones(1, 4), 0.2)
    assert loss.item() == pytest.approx((-1.2 + 1.5 - 0.5 + 0.8) / 4, rel=1e-6)
    assert clipped.item() == pytest.approx(0.5)
    loss.backward()
    assert new.grad is not None
    assert (new.grad[0] != 0).tolist() == [False, True, True, False]


def test_value_loss_by_hand() -> None:
    """From 0 to 1, target 2: it counts as moved by .2 (error 3.24, worse than 1). Target 0: 1 is worse than .04."""
    values, old = torch.tensor([[1.0, 1.0, 7.0]]), torch.zeros(1, 3)
    returns, mask = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    loss, clipped = clipped_value_loss(values, old, returns, mask, 0.2)
    assert loss.item() == pytest.approx(0.5 * (3.24 + 1.0) / 2, rel=1e-6)
    assert clipped.item() == pytest.approx(0.5)


def test_kl_estimators_agree_in_expectation() -> None:
    p, q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.5, 0.3, 0.2])
    exact = (p * (p / q).log()).sum()
    assert (p * kl_k1(p.log(), q.log())).sum().item() == pytest.approx(exact.item(), rel=1e-5)
    assert (p * kl_k3(p.log(), q.log())).sum().item() == pytest.approx(exact.item(), rel=1e-5)
    assert (kl_k3(p.log(), q.log()) >= 0).all()
    assert kl_k3(p, p).abs().max() == 0


def test_gae_by_hand() -> None:
    """Row 0, gamma .5, lambda .5: deltas 1+.5*2-1=1, 0+.5*3-2=-.5, 4-3=1; advantages 1, then .25*1-.5, ... Row 1 ends
    after two tokens."""
    rewards = torch.tensor([[1.0, 0.0, 4.0], [0.0, 1.0, 0.0]])
    values = torch.tensor([[1.0, 2.0, 3.0], [0.5, 0.5, 9.0]])
    advantages, returns = gae(rewards, values, MASK, gamma=0.5, lam=0.5)
    assert advantages[0].tolist() == pytest.approx([1 + 0.25 * (-0.25), -0.5 + 0.25 * 1, 1.0])
    assert advantages[1].tolist() == pytest.approx([-0.25 + 0.25 * 0.5, 0.5, 0.0])
    assert returns[0].tolist() == pytest.approx([1.9375, 1.75, 4.0])
    assert returns[1, 2] == 0


def test_gae_with_lambda_one_is_reward_to_go_less_value() -> None:
    torch.manual_seed(0)
    rewards, values = torch.randn(2, 3) * MASK, torch.randn(2, 3)
    advantages, returns = gae(rewards, values, MASK, gamma=1.0, lam=1.0)
    to_go = rewards.flip(1).cumsum(1).flip(1)
    assert torch.allclose(returns, to_go * MASK, atol=1e-6)
    assert torch.allclose(advantages, (to_go - values) * MASK, atol=1e-6)
