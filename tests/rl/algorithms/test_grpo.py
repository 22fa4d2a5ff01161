import math

import pytest
from tests.rl.policy import Case, Rows, clipped_cost, compare, deviation, every_case, mean

from reachlab.rl.algorithms.grpo import GRPO


@pytest.mark.parametrize("beta", [0.0, 0.3])
@every_case
def test_value_and_gradient(given: Case, beta: float) -> None:
    old, reference = given.rows(given.logprobs(given.old_TV)), given.rows(given.logprobs(given.reference_TV))

    def paper(new: Rows) -> float:
        answers = []
        for p, rewards in enumerate(given.rewards()):
            for m, reward in enumerate(rewards):
                advantage = (reward - mean(rewards)) / (deviation(rewards) + 1e-6)
                costs = []
                for log_new, log_old, log_ref in zip(new[p][m], old[p][m], reference[p][m], strict=True):
                    k3 = math.exp(log_ref - log_new) - (log_ref - log_new) - 1
                    costs.append(clipped_cost(log_new, log_old, advantage, 0.2, 0.2) + beta * k3)
                answers.append(mean(costs))
        return mean(answers)

    compare(GRPO, given, paper, beta)
