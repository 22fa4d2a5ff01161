import math

import pytest
import torch
from tests.rl.policy import Case, Rows, clipped_cost, compare, deviation, every_case, mean

from reachlab.errors import ReachlabError
from reachlab.rl.algorithms.dapo import DAPO, informative, overlong_penalty


@every_case
def test_value_and_gradient(given: Case) -> None:
    old = given.rows(given.logprobs(given.old_TV))

    def paper(new: Rows) -> float:
        costs = []
        for p, rewards in enumerate(given.rewards()):
            for m, reward in enumerate(rewards):
                advantage = (reward - mean(rewards)) / (deviation(rewards) + 1e-6)
                for log_new, log_old in zip(new[p][m], old[p][m], strict=True):
                    costs.append(clipped_cost(log_new, log_old, advantage, 0.2, 0.28))
        return mean(costs)

    compare(DAPO, given, paper)


def test_overlong_by_hand() -> None:
    lengths = torch.tensor([[0, 80], [85, 90], [100, 200]])
    assert overlong_penalty(lengths, 100, 0.2).tolist() == [[0.0, 0.0], [-0.25, -0.5], [-1.0, -1.0]]
    assert overlong_penalty(lengths, 100, 1.0)[0].tolist() == pytest.approx([0.0, -0.8])
    assert not overlong_penalty(lengths, 100, 0.0).any()
    with pytest.raises(ReachlabError, match="choose 0"):
        overlong_penalty(lengths, 100, 1.5)


def test_informative_groups_differ_in_what_is_scored() -> None:
    nan = math.nan
    rewards = torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, nan, 0.0], [nan, nan, nan], [nan, 0.1, 0.2]])
    assert informative(rewards).tolist() == [True, False, False, False, True]
