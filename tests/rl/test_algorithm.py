"""What every algorithm owes: shapes, silence where there is nothing to say, independence of order and of processes."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl.algorithm import Algorithm, Scored
from reachlab.rl.algorithms import ALGORITHMS

NAN = torch.nan
GROUP = ["grpo", "dr_grpo", "rloo", "dapo"]
every = pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS.keys())

binary = st.sampled_from([0.0, 1.0])
partial = st.integers(0, 7).map(lambda i: i / 7)
noisy = st.floats(-2.0, 2.0, width=32)


@st.composite
def steps(draw: st.DrawFn, unscored: bool = True) -> Scored:
    """A step of 1 to 3 prompts with 1 to 6 rollouts of 0 to 4 tokens, with or without a KL in the reward."""
    P, N = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    M = draw(st.integers(1, N))
    reward = draw(st.sampled_from([binary, partial, noisy]))
    if unscored:
        reward = st.one_of(reward, reward, st.just(NAN))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    lengths_PM = torch.randint(5, (P, M), generator=generator)
    mask_PMT = torch.arange(4) < lengths_PM[..., None]
    penalty_PMT = torch.randn(P, M, 4, generator=generator, dtype=torch.float64).masked_fill(~mask_PMT, 0.0)
    rows = draw(st.lists(st.lists(reward, min_size=N, max_size=N), min_size=P, max_size=P))
    return Scored(
        rewards_PN=torch.tensor(rows, dtype=torch.float64),
        kept_PM=torch.rand(P, N, generator=generator).argsort(dim=1)[:, :M],
        mask_PMT=mask_PMT,
        penalty_PMT=penalty_PMT if draw(st.booleans()) else None,
        values_PMT=torch.randn(P, M, 4, generator=generator, dtype=torch.float64).masked_fill(~mask_PMT, NAN),
        greedy_P=torch.rand(P, generator=generator, dtype=torch.float64),
    )


def by_token(advantages: Tensor, scored: Scored) -> Tensor:
    """(P, M, T), zero off the mask, whatever the algorithm gave."""
    advantages_PMT = advantages if advantages.ndim == 3 else advantages[..., None]
    return advantages_PMT.expand_as(scored.mask_PMT) * scored.mask_PMT


@every
@given(scored=steps())
def test_shapes_and_silence(algorithm: Algorithm, scored: Scored) -> None:
    advantages = algorithm.advantage(scored)
    assert advantages.shape in (scored.kept_PM.shape, scored.mask_PMT.shape)
    assert advantages.isfinite().all()
    assert not advantages[scored.rewards_PM.isnan()].any()
    if advantages.ndim == 3:
        assert not advantages[~scored.mask_PMT].any()


@every
@given(scored=steps(), data=st.data())
def test_the_order_of_the_kept_does_not_matter(algorithm: Algorithm, scored: Scored, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(scored.kept_PM.shape[1])))
    assert scored.values_PMT is not None
    shuffled = replace(
        scored,
        kept_PM=scored.kept_PM[:, order],
        mask_PMT=scored.mask_PMT[:, order],
        values_PMT=scored.values_PMT[:, order],
        penalty_PMT=None if scored.penalty_PMT is None else scored.penalty_PMT[:, order],
    )
    expected = algorithm.advantage(scored)[:, order]
    assert torch.allclose(algorithm.advantage(shuffled), expected, atol=1e-9)


@every
@given(scored=steps(unscored=False), data=st.data())
def test_unscored_enter_no_statistic(algorithm: Algorithm, scored: Scored, data: st.DataObject) -> None:
    """An unscored rollout might as well not be there: append one to a step, and nothing else moves."""
    P, _, T = scored.mask_PMT.shape
    assert scored.values_PMT is not None
    answer_P1T = torch.ones(P, 1, T, dtype=torch.bool)
    more = replace(
        scored,
        rewards_PN=torch.cat([scored.rewards_PN, torch.full((P, 1), NAN)], dim=1),
        kept_PM=torch.cat([scored.kept_PM, torch.full((P, 1), scored.rewards_PN.shape[1])], dim=1),
        mask_PMT=torch.cat([scored.mask_PMT, answer_P1T], dim=1),
        values_PMT=torch.cat([scored.values_PMT, answer_P1T.double()], dim=1),
        penalty_PMT=None if scored.penalty_PMT is None else torch.cat([scored.penalty_PMT, answer_P1T.double()], dim=1),
    )
    found = algorithm.advantage(more)
    assert not found[:, -1].any()
    assert torch.allclose(found[:, :-1], algorithm.advantage(scored), atol=1e-9)


@pytest.mark.parametrize("name", GROUP)
@pytest.mark.parametrize("normalise", ["kept", "all"])
@given(reward=st.floats(-1e6, 1e6, width=32), n=st.integers(1, 7), missing=st.integers(0, 3))
def test_a_group_that_agrees_says_exactly_nothing(
    name: str, normalise: str, reward: float, n: int, missing: int
) -> None:
    rewards_PN = torch.tensor([[reward] * n + [NAN] * missing])
    kept_PM = torch.arange(max(1, n - 1))[None]
    mask_PMT = torch.ones(1, kept_PM.shape[1], 1).bool()
    scored = Scored(rewards_PN=rewards_PN, kept_PM=kept_PM, mask_PMT=mask_PMT, normalise=normalise)  # type: ignore[arg-type]
    assert ALGORITHMS[name].advantage(scored).tolist() == [[0.0] * kept_PM.shape[1]]


class Processes:
    """Sums over two threads, as processes would: each gives its part and gets the whole."""

    def __init__(self) -> None:
        self.barrier = threading.Barrier(2)
        self.parts: dict[int, Tensor] = {}

    def total(self, rank: int) -> Callable[[Tensor], Tensor]:
        def sum_over_both(statistics: Tensor) -> Tensor:
            self.parts[rank] = statistics
            self.barrier.wait(timeout=10)
            found = self.parts[0] + self.parts[1]
            self.barrier.wait(timeout=10)
            return found

        return sum_over_both


@every
@pytest.mark.parametrize("empty", [False, True], ids=["both", "one without rollouts"])
def test_prompts_may_be_split_over_processes(algorithm: Algorithm, empty: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    mask_PMT = torch.arange(5) < torch.randint(1, 6, (3, 4, 1), generator=generator)
    whole = Scored(
        rewards_PN=torch.rand(3, 4, generator=generator),
        kept_PM=torch.arange(4).repeat(3, 1),
        mask_PMT=mask_PMT,
        penalty_PMT=0.1 * torch.rand(3, 4, 5, generator=generator) * mask_PMT,
        values_PMT=torch.rand(3, 4, 5, generator=generator),
        greedy_P=torch.rand(3, generator=generator),
    )
    processes, found = Processes(), {}
    shares = (slice(0, 3), slice(3, 3)) if empty else (slice(0, 1), slice(1, 3))

    def work(rank: int) -> None:
        at = shares[rank]
        assert whole.penalty_PMT is not None
        assert whole.values_PMT is not None
        assert whole.greedy_P is not None
        part = Scored(
            rewards_PN=whole.rewards_PN[at],
            kept_PM=whole.kept_PM[at],
            mask_PMT=whole.mask_PMT[at],
            penalty_PMT=whole.penalty_PMT[at],
            values_PMT=whole.values_PMT[at],
            greedy_P=whole.greedy_P[at],
            total=processes.total(rank),
        )
        found[rank] = algorithm.advantage(part)

    threads = [threading.Thread(target=work, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.allclose(torch.cat([found[0], found[1]]), algorithm.advantage(whole), atol=1e-6)


def test_the_rows() -> None:
    """The choices of DESIGN section 4, as one table."""
    rows = {
        a.name: (a.aggregate, a.clip_low, a.clip_high, a.kl_place, a.kl_estimator, a.critic, a.greedy_baseline)
        for a in ALGORITHMS.values()
    }
    assert rows == {
        "ppo": ("token", 0.2, 0.2, "reward", "k1", True, False),
        "grpo": ("sequence", 0.2, 0.2, "loss", "k3", False, False),
        "dr_grpo": ("constant", 0.2, 0.2, "none", "k3", False, False),
        "rloo": ("sum", None, None, "reward", "k1", False, False),
        "remax": ("sum", None, None, "reward", "k1", False, True),
        "reinforce_pp": ("token", 0.2, 0.2, "reward", "k1", False, False),
        "dapo": ("token", 0.2, 0.28, "none", "k3", False, False),
    }
    assert [(a.dynamic_sampling, a.overlong) for a in ALGORITHMS.values() if a.dynamic_sampling] == [(True, 0.2)]


def test_refuses() -> None:
    rewards_PN, mask_PMT = torch.zeros(1, 3), torch.ones(1, 2, 1).bool()
    kept_PM = torch.tensor([[0, 1]])
    with pytest.raises(ReachlabError, match="choose 'kept' or 'all'"):
        Scored(rewards_PN=rewards_PN, kept_PM=kept_PM, mask_PMT=mask_PMT, normalise="batch")  # type: ignore[arg-type]
    penalty_PMT = torch.zeros(1, 2, 1)
    with pytest.raises(ReachlabError, match="put the KL in the loss"):
        Scored(rewards_PN=rewards_PN, kept_PM=kept_PM, mask_PMT=mask_PMT, normalise="all", penalty_PMT=penalty_PMT)
    Scored(rewards_PN=rewards_PN[:, :2], kept_PM=kept_PM, mask_PMT=mask_PMT, normalise="all", penalty_PMT=penalty_PMT)
