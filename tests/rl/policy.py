"""A policy small enough to write every algorithm's loss out in loops: a row of logits a position, whatever came before.

An algorithm's test gives its paper's loss as a function of log-probabilities in nested lists, with advantages, ratios
and means in plain Python. `compare` checks our value against it, and our gradient against its finite differences.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from reachlab.rl.algorithm import Algorithm, Scored
from reachlab.rl.kl import estimate_kl
from reachlab.rl.losses import LossForm, policy_loss

Rows = list[list[list[float]]]
"""A number a token of each kept answer: [prompt][answer][token]."""

MAX_TOKENS = 5


@dataclass
class Case:
    """Kept answers of two prompts, and the policies that drew them, that are being judged by, and that learn."""

    rewards_PN: Tensor
    kept_PM: Tensor
    tokens_PMT: Tensor
    mask_PMT: Tensor
    old_TV: Tensor
    reference_TV: Tensor
    logits_TV: Tensor
    values_PMT: Tensor
    greedy_P: Tensor

    def logprobs(self, logits_TV: Tensor) -> Tensor:
        """(P, M, T)."""
        all_PMTV = logits_TV.log_softmax(dim=1).expand(*self.tokens_PMT.shape, -1)
        return all_PMTV.gather(3, self.tokens_PMT[..., None])[..., 0]

    def rows(self, x_PMT: Tensor) -> Rows:
        """As nested lists without the padding."""
        lengths = self.mask_PMT.sum(dim=2).tolist()
        return [
            [row[:length] for row, length in zip(x, ls, strict=True)]
            for x, ls in zip(x_PMT.tolist(), lengths, strict=True)
        ]

    def rewards(self) -> list[list[float]]:
        """Of the kept answers."""
        return self.rewards_PN.gather(1, self.kept_PM).tolist()

    def scored(self, algorithm: Algorithm, beta: float = 0.0) -> Scored:
        """What the algorithm's advantages are computed from."""
        penalty_PMT = None
        if beta and algorithm.kl_place == "reward":
            log_ratio_PMT = self.logprobs(self.old_TV) - self.logprobs(self.reference_TV)
            penalty_PMT = beta * estimate_kl(log_ratio_PMT, algorithm.kl_estimator).masked_fill(~self.mask_PMT, 0.0)
        return Scored(
            rewards_PN=self.rewards_PN,
            kept_PM=self.kept_PM,
            mask_PMT=self.mask_PMT,
            penalty_PMT=penalty_PMT,
            values_PMT=self.values_PMT,
            greedy_P=self.greedy_P,
        )


def case(rewards_PN: list[list[float]], seed: int = 0) -> Case:
    """Two prompts of four rollouts, three of them kept, of 1 to 3 tokens; policies apart enough for clipping to act."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    old_TV = normal(3, 4)
    return Case(
        rewards_PN=torch.tensor(rewards_PN, dtype=torch.float64),
        kept_PM=torch.tensor([[0, 2, 3], [3, 1, 0]]),
        tokens_PMT=torch.randint(4, (2, 3, 3), generator=generator),
        mask_PMT=torch.arange(3) < torch.tensor([[3, 1, 2], [2, 3, 3]])[..., None],
        old_TV=old_TV,
        reference_TV=old_TV + 0.3 * normal(3, 4),
        logits_TV=old_TV + 0.4 * normal(3, 4),
        values_PMT=0.5 * normal(2, 3, 3),
        greedy_P=torch.tensor([1.0, 0.25], dtype=torch.float64),
    )


REWARDS = {
    "binary": [[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0]],
    "partial": [[0.5, 0.0, 1.0, 0.25], [0.75, 0.5, 0.0, 0.25]],
    "noisy": [[1.13, 0.02, -0.11, 0.87], [-0.04, 0.93, 0.07, 1.08]],
}
CASES = {name: case(rewards, seed) for seed, (name, rewards) in enumerate(REWARDS.items())}
every_case = pytest.mark.parametrize("given", CASES.values(), ids=CASES.keys())


def ours(algorithm: Algorithm, given: Case, beta: float = 0.0) -> tuple[Tensor, Tensor]:
    """Our loss and its gradient with respect to the logits."""
    logits_TV = given.logits_TV.clone().requires_grad_()
    advantages = algorithm.advantage(given.scored(algorithm, beta))
    in_loss = bool(beta) and algorithm.kl_place == "loss"
    loss, _ = policy_loss(
        given.logprobs(logits_TV).flatten(0, 1),
        given.logprobs(given.old_TV).flatten(0, 1),
        advantages.flatten(0, 1),
        given.mask_PMT.flatten(0, 1),
        LossForm.of(algorithm, MAX_TOKENS, beta),
        ref_logprobs_BT=given.logprobs(given.reference_TV).flatten(0, 1) if in_loss else None,
    )
    return loss.detach(), torch.autograd.grad(loss, logits_TV)[0]


def compare(algorithm: Algorithm, given: Case, paper: Callable[[Rows], float], beta: float = 0.0) -> None:
    """Our value and gradient are those of the paper's loss, written in loops over log π of the kept tokens."""

    def at(logits_TV: Tensor) -> float:
        return paper(given.rows(given.logprobs(logits_TV)))

    loss, gradient_TV = ours(algorithm, given, beta)
    assert loss.item() == pytest.approx(at(given.logits_TV), rel=1e-5)
    step = 1e-5
    for t, v in torch.cartesian_prod(torch.arange(3), torch.arange(4)).tolist():
        nudge_TV = torch.zeros(3, 4, dtype=torch.float64)
        nudge_TV[t, v] = step
        slope = (at(given.logits_TV + nudge_TV) - at(given.logits_TV - nudge_TV)) / (2 * step)
        assert gradient_TV[t, v].item() == pytest.approx(slope, rel=1e-4, abs=1e-7)
    assert gradient_TV.abs().max() > 1e-3


def clipped_cost(log_new: float, log_old: float, advantage: float, low: float, high: float) -> float:
    """−min(ρ A, clip(ρ) A)."""
    ratio = math.exp(log_new - log_old)
    return -min(ratio * advantage, min(max(ratio, 1 - low), 1 + high) * advantage)


def mean(values: list[float]) -> float:
    """Arithmetic."""
    return sum(values) / len(values)


def deviation(values: list[float]) -> float:
    """The population's."""
    return math.sqrt(mean([(v - mean(values)) ** 2 for v in values]))


def with_rewards(given: Case, rewards_PN: list[list[float]]) -> Case:
    """The same answers, judged otherwise."""
    return replace(given, rewards_PN=torch.tensor(rewards_PN, dtype=torch.float64))
