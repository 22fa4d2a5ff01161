from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from reachlab.checks.algorithm import check_algorithm
from reachlab.checks.contract import ContractError
from reachlab.rl.advantages import centred
from reachlab.rl.algorithm import Algorithm, Scored
from reachlab.rl.algorithms import ALGORITHMS

DR_GRPO, PPO, REMAX = (ALGORITHMS[name] for name in ("dr_grpo", "ppo", "remax"))
PLUS = ALGORITHMS["reinforce_pp"]


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
def test_our_own_are_whole(algorithm: Algorithm) -> None:
    check_algorithm(algorithm)


def row(advantage: Any, **changes: Any) -> Algorithm:
    return replace(DR_GRPO, name="x", advantage=advantage, **changes)


def plain(scored: Scored) -> Tensor:
    """No baseline, and no care for what is unscored."""
    return scored.rewards_PM


def nan_as_wrong(scored: Scored) -> Tensor:
    rewards_PM = scored.rewards_PM.nan_to_num(0.0)
    return rewards_PM - rewards_PM.mean(1, keepdim=True)


def by_place(scored: Scored) -> Tensor:
    return centred(scored) * torch.tensor([1.0, 2.0, 3.0, 4.0])[: scored.kept_PM.shape[1]]


def by_first(scored: Scored) -> Tensor:
    found = centred(scored)
    return found * (1 + scored.rewards_PN[:, :1].nan_to_num(0.0))


def without_kl(scored: Scored) -> Tensor:
    return centred(replace(scored, penalty_PMT=None))


def of_this_process(scored: Scored) -> Tensor:
    found = centred(scored)
    return found / (found.abs().mean() + 1e-6)


def no_critic(scored: Scored) -> tuple[Tensor, Tensor]:
    return scored.rewards_PM, ~scored.rewards_PM.isnan()


BROKEN = {
    r"has advantages of shape \(3, 2\)": row(lambda s: centred(s).T),
    r"has advantages of shape \(2, 1\)": row(lambda s: centred(s)[:, :1]),
    "not finite where a rollout is unscored": row(plain, compares_rollouts=False),
    "gives an unscored rollout an advantage": row(nan_as_wrong),
    "values wrong answers no less": row(lambda s: -centred(s)),
    "says compares_rollouts=False, and of one rollout a prompt it learns nothing": row(
        centred, compares_rollouts=False
    ),
    "says compares_rollouts=True, and of one rollout a prompt it learns something": replace(
        REMAX, compares_rollouts=True
    ),
    "says per_token, and all tokens are alike": row(centred, per_token=True),
    "refuses normalise='all'": replace(PLUS, per_token=False),
    "says per_token, and takes normalise='all'": row(lambda s: centred(s)[:, :, None] * s.mask_PMT, per_token=True),
    "when the kept rollouts stand in another order": row(by_place),
    "when the rollouts stand in another order": row(by_first),
    "does not look at a KL in the reward": row(without_kl),
    "split over two processes": row(of_this_process),
    "has critic targets of shapes": replace(PPO, name="x", critic_targets=no_critic),
    "has no loss: ": row(centred, aggregate="sums"),
    "has a loss without gradient": row(lambda s: 1e-14 * centred(s)),
}


@pytest.mark.parametrize(("says", "algorithm"), BROKEN.items(), ids=BROKEN)
def test_what_is_broken_is_found(says: str, algorithm: Algorithm) -> None:
    with pytest.raises(ContractError, match=f"^the algorithm '{algorithm.name}' .*{says}"):
        check_algorithm(algorithm)
