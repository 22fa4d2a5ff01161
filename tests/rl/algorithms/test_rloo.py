import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given as drawn
from hypothesis import strategies as st
from tests.rl.policy import CASES, Case, Rows, compare, every_case, mean

from reachlab.rl.algorithm import Scored
from reachlab.rl.algorithms.rloo import RLOO, leave_one_out


@pytest.mark.parametrize("beta", [0.0, 0.3])
@every_case
def test_value_and_gradient(given: Case, beta: float) -> None:
    old, reference = given.rows(given.logprobs(given.old_TV)), given.rows(given.logprobs(given.reference_TV))

    def paper(new: Rows) -> float:
        answers = []
        for p, rewards in enumerate(given.rewards()):
            kls = [sum(a - b for a, b in zip(x, y, strict=True)) for x, y in zip(old[p], reference[p], strict=True)]
            shaped = [r - beta * kl for r, kl in zip(rewards, kls, strict=True)]
            for m in range(len(rewards)):
                others = shaped[:m] + shaped[m + 1 :]
                ratios = [math.exp(a - b) for a, b in zip(new[p][m], old[p][m], strict=True)]
                answers.append(-sum(ratios) * (shaped[m] - mean(others)))
        return mean(answers)

    compare(RLOO, given, paper, beta)


def test_over_all_by_hand() -> None:
    scored = replace(CASES["partial"].scored(RLOO), normalise="all")
    # Of 0.5, 0, 1, 0.25 the first, third and fourth are kept; each is compared with the other three.
    expected = [0.5 - 1.25 / 3, 1 - 0.75 / 3, 0.25 - 1.5 / 3]
    assert leave_one_out(scored)[0].tolist() == pytest.approx(expected)


@drawn(st.lists(st.one_of(st.just(math.nan), st.integers(-5, 5).map(float)), min_size=1, max_size=8))
def test_brute_force_with_unscored(row: list[float]) -> None:
    rewards = torch.tensor([row], dtype=torch.float64)
    kept = torch.arange(len(row))[None]
    found = leave_one_out(Scored(rewards_PN=rewards, kept_PM=kept, mask_PMT=torch.ones(1, len(row), 1).bool()))
    for i, reward in enumerate(row):
        others = [r for j, r in enumerate(row) if j != i and r == r]
        expected = reward - mean(others) if others and reward == reward else 0.0
        assert found[0, i].item() == pytest.approx(expected, abs=1e-12)
