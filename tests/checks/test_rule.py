from dataclasses import replace

import pytest
import torch
from torch import Tensor

from reachlab.checks.contract import ContractError
from reachlab.checks.rule import check_rule
from reachlab.rl.rules import RULES
from reachlab.rl.rules.max_reward import MAX_REWARD, max_reward
from reachlab.rl.rules.max_variance import MAX_VARIANCE
from reachlab.rl.rules.ordering import ordered
from reachlab.rl.rules.percentile import PERCENTILE
from reachlab.rl.rules.random import RANDOM
from reachlab.rl.rules.rule import Rule, enough_scored

Generator = torch.Generator | None


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_our_own_are_whole(rule: Rule) -> None:
    check_rule(rule)


def twice(rewards_PN: Tensor, m: int, generator: Generator) -> Tensor:
    return max_reward(rewards_PN, m, generator)[:, :1].expand(-1, m)


def narrow(rewards_PN: Tensor, m: int, generator: Generator) -> Tensor:
    return max_reward(rewards_PN, m, generator).int()


def transposed(rewards_PN: Tensor, m: int, generator: Generator) -> Tensor:
    return max_reward(rewards_PN, m, generator).T


def unscored_first(rewards_PN: Tensor, m: int, generator: Generator) -> Tensor:
    ordered(rewards_PN, m, generator)
    return rewards_PN.nan_to_num(1e9).argsort(dim=1, descending=True)[:, :m]


def first_of_equals(rewards_PN: Tensor, m: int, generator: Generator) -> Tensor:
    ordered(rewards_PN, m, generator)
    return rewards_PN.nan_to_num(-1e9).argsort(dim=1, descending=True, stable=True)[:, :m]


def own_chance(rewards_PN: Tensor, m: int, generator: Generator) -> Tensor:
    return max_reward(rewards_PN, m, None)


def by_the_batch(rewards_PN: Tensor, m: int, generator: Generator) -> Tensor:
    highest = rewards_PN.nan_to_num(0.0).sum() > 4
    return max_reward(rewards_PN if highest else -rewards_PN, m, generator)


def writes(rewards_PN: Tensor, m: int, generator: Generator) -> Tensor:
    kept_PM = max_reward(rewards_PN, m, generator)
    rewards_PN[0, 0] = 7.0
    return kept_PM


def lenient(rewards_PN: Tensor, m: int, generator: Generator) -> Tensor:
    return max_reward(rewards_PN.nan_to_num(posinf=9.0, nan=torch.nan), m, generator)


BROKEN = {
    "keeps a rollout twice; indices are distinct": Rule(name="x", keep=twice),
    r"returns \(3, 1\) torch.int32": Rule(name="x", keep=narrow),
    r"returns \(1, 3\) torch.int64": Rule(name="x", keep=transposed),
    "keeps unscored rollouts": Rule(name="x", keep=unscored_first),
    "with frequencies": Rule(name="x", keep=first_of_equals),
    "with the same generator": Rule(name="x", keep=own_chance),
    "prompts do not touch each other": Rule(name="x", keep=by_the_batch),
    "changes the rewards": Rule(name="x", keep=writes),
    "takes an infinite reward": Rule(name="x", keep=lenient),
    "takes M = 2 of N = 3, though it keeps all": replace(MAX_REWARD, keeps_all=True),
    "share_kept is the probability": Rule(name="x", keep=RANDOM.keep),
    "says it is saturated by .* keeps other rewards when": replace(MAX_REWARD, saturated=enough_scored),
    "leave it at `never`": replace(PERCENTILE, saturated=MAX_VARIANCE.saturated),
    "with fewer than M scored": replace(RANDOM, saturated=lambda r, m, low, high: torch.ones(len(r)).bool()),
    r"says \(56, 1\) torch.bool|says \(4, 1\) torch.bool": replace(
        MAX_REWARD, saturated=lambda r, m, low, high: MAX_REWARD.saturated(r, m, low, high)[:, None]
    ),
}


@pytest.mark.parametrize(("says", "rule"), BROKEN.items(), ids=BROKEN)
def test_what_is_broken_is_found(says: str, rule: Rule) -> None:
    with pytest.raises(ContractError, match=f"^the rule '{rule.name}' .*{says}") as error:
        check_rule(rule)
    assert "\n" not in str(error.value)
