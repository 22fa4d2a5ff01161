import math
from dataclasses import replace

import pytest
import torch
from tests.rl.policy import CASES, Case, Rows, compare, every_case, mean

from reachlab.rl.algorithms.remax import REMAX, greedy_advantages


@pytest.mark.parametrize("beta", [0.0, 0.3])
@every_case
def test_value_and_gradient(given: Case, beta: float) -> None:
    old, reference = given.rows(given.logprobs(given.old_TV)), given.rows(given.logprobs(given.reference_TV))

    def paper(new: Rows) -> float:
        answers = []
        for p, rewards in enumerate(given.rewards()):
            for m, reward in enumerate(rewards):
                cost = 0.0
                for t, log_new in enumerate(new[p][m]):
                    later = sum(a - b for a, b in zip(old[p][m][t:], reference[p][m][t:], strict=True))
                    advantage = reward - given.greedy_P[p].item() - beta * later
                    cost -= math.exp(log_new - old[p][m][t]) * advantage
                answers.append(cost)
        return mean(answers)

    compare(REMAX, given, paper, beta)


@pytest.mark.parametrize("beta", [0.0, 0.3])
def test_without_a_baseline_there_is_no_advantage(beta: float) -> None:
    given = CASES["binary"]
    whole = greedy_advantages(given.scored(REMAX, beta))
    unscored = replace(given.scored(REMAX, beta), greedy_P=torch.tensor([math.nan, 0.25], dtype=torch.float64))
    found = greedy_advantages(unscored)
    assert not found[0].any()
    assert torch.equal(found[1], whole[1])
    assert found[1].any()


def test_needs_the_greedy_rewards() -> None:
    with pytest.raises(ValueError, match="greedy"):
        greedy_advantages(replace(CASES["binary"].scored(REMAX), greedy_P=None))
