"""Whether an algorithm keeps what `rl/algorithm.py` promises of it.

Axes: P prompts, N rollouts of a prompt, M kept ones, T tokens of an answer, V entries of a vocabulary.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from reachlab.checks.contract import Contract, ContractError
from reachlab.errors import ReachlabError
from reachlab.rl.algorithm import Algorithm, Scored
from reachlab.rl.losses import LossForm, policy_loss

MAX_TOKENS = 8
NAN = torch.nan


def check_algorithm(algorithm: Algorithm) -> None:
    """Try an algorithm on two prompts of four rollouts, three of them kept, of up to four tokens.

    Raises:
        ContractError: it does not do what an algorithm promises.
    """
    contract = Contract(f"the algorithm {algorithm.name!r}")
    _check_shape(algorithm, contract)
    _check_unscored(algorithm, contract)
    _check_direction(algorithm, contract)
    _check_alone(algorithm, contract)
    _check_all(algorithm, contract)
    _check_order(algorithm, contract)
    _check_penalty(algorithm, contract)
    _check_processes(algorithm, contract)
    _check_gradient(algorithm, contract)


def _case(algorithm: Algorithm, rewards_PN: list[list[float]] | None = None, **changes: Any) -> Scored:
    """What a step would know: values where there is a critic, greedy answers where they are asked for."""
    rewards_PN = rewards_PN or [[1.0, 0.25, 0.5, 1.0], [0.0, 1.0, 0.0, 0.0]]
    draws = torch.Generator().manual_seed(0)
    P, N = len(rewards_PN), len(rewards_PN[0])
    kept_PM = torch.tensor([[0, 2, 3], [3, 1, 0]])[:P] if N == 4 else torch.arange(N).repeat(P, 1)
    lengths_PM = torch.randint(1, 5, kept_PM.shape, generator=draws)
    mask_PMT = torch.arange(4) < lengths_PM[..., None]
    return Scored(
        **{
            "rewards_PN": torch.tensor(rewards_PN, dtype=torch.float64),
            "kept_PM": kept_PM,
            "mask_PMT": mask_PMT,
            "values_PMT": 0.3 * torch.randn(mask_PMT.shape, generator=draws) if algorithm.critic else None,
            "greedy_P": torch.tensor([0.5, 0.0] * P)[:P] if algorithm.greedy_baseline else None,
            **changes,
        }
    )


def _of_tokens(algorithm: Algorithm, scored: Scored) -> Tensor:
    """The advantages of tokens, (P, M, T), 0 off the mask, whatever their own shape is."""
    found = algorithm.advantage(scored)
    found = found if found.ndim == 3 else found[:, :, None]
    return found.double().expand(scored.mask_PMT.shape).masked_fill(~scored.mask_PMT, 0.0)


def _check_shape(algorithm: Algorithm, contract: Contract) -> None:
    scored = _case(algorithm)
    found, (P, M, T) = algorithm.advantage(scored), scored.mask_PMT.shape
    contract.holds(
        found.shape in ((P, M), (P, M, T)),
        f"has advantages of shape {tuple(found.shape)} for {P} prompts, {M} kept rollouts and {T} tokens",
        "they are (P, M), or (P, M, T) where tokens of an answer differ",
    )
    contract.holds(
        found.is_floating_point() and found.isfinite().all(), "has advantages that are not finite", "they are"
    )
    contract.holds(
        not algorithm.per_token or found.ndim == 3, "says per_token, and all tokens are alike", "it has (P, M, T)"
    )
    if algorithm.critic_targets is not None:
        returns_PMT, known_PMT = algorithm.critic_targets(scored)
        contract.holds(
            returns_PMT.shape == known_PMT.shape == (P, M, T) and known_PMT.dtype == torch.bool,
            f"has critic targets of shapes {tuple(returns_PMT.shape)} and {tuple(known_PMT.shape)}",
            "they are returns and which tokens have one, (P, M, T) both",
        )


def _check_unscored(algorithm: Algorithm, contract: Contract) -> None:
    rewards_PN = [[1.0, 0.25, NAN, 0.0], [NAN, NAN, NAN, NAN]]
    scored = _case(algorithm, rewards_PN)
    found_PMT = _of_tokens(algorithm, scored)
    contract.holds(
        found_PMT.isfinite().all(),
        "has advantages that are not finite where a rollout is unscored (NaN)",
        "unscored rollouts enter no statistic",
    )
    contract.holds(
        (found_PMT[scored.rewards_PM.isnan()] == 0).all(),
        "gives an unscored rollout an advantage",
        "it is exactly 0: what could not be judged moves no weight",
    )
    if algorithm.greedy_baseline:
        found_PMT = _of_tokens(algorithm, _case(algorithm, greedy_P=torch.tensor([NAN, 0.0])))
        contract.holds(
            (found_PMT[0] == 0).all() and found_PMT.isfinite().all(),
            "gives advantages where the greedy answer is unscored",
            "without a baseline they are 0",
        )


def _check_direction(algorithm: Algorithm, contract: Contract) -> None:
    scored = _case(algorithm, [[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0]])
    scored = replace(scored, values_PMT=torch.zeros_like(scored.mask_PMT, dtype=torch.float32))
    found_PM = _of_tokens(algorithm, scored).sum(2) / scored.mask_PMT.sum(2)
    right_PM = scored.rewards_PM == 1
    contract.holds(
        found_PM[right_PM].mean() > found_PM[~right_PM].mean(),
        "values wrong answers no less than right ones",
        "an advantage grows with the reward; the loss turns its sign",
    )


def _check_alone(algorithm: Algorithm, contract: Contract) -> None:
    """`compares_rollouts`, where one rollout of each prompt is kept."""
    scored = _case(algorithm, [[1.0], [0.0], [1.0], [0.0]])
    nothing = bool((_of_tokens(algorithm, scored) == 0).all())
    contract.holds(
        nothing == algorithm.compares_rollouts,
        f"says compares_rollouts={algorithm.compares_rollouts}, and of one rollout a prompt it learns "
        f"{'nothing' if nothing else 'something'}",
        "with compares_rollouts a step of one rollout a prompt is refused, for its advantages are 0",
    )


def _check_all(algorithm: Algorithm, contract: Contract) -> None:
    """`per_token`: whether statistics over rollouts that are not kept can be had."""
    try:
        found = algorithm.advantage(_case(algorithm, normalise="all"))
    except ReachlabError:
        contract.holds(
            algorithm.per_token,
            "refuses normalise='all'",
            "only one whose statistics are over tokens does: per_token=True",
        )
        return
    contract.holds(
        not algorithm.per_token,
        "says per_token, and takes normalise='all' with rollouts that are not kept",
        "it refuses them: `advantages.refuse_over_all`",
    )
    contract.holds(found.isfinite().all(), "has advantages that are not finite under normalise='all'", "they are")


def _check_order(algorithm: Algorithm, contract: Contract) -> None:
    """Equal under another order of prompts, of rollouts, and of kept ones."""
    scored = _case(algorithm)
    expected_PMT = _of_tokens(algorithm, scored)
    order_N, order_M, order_P = torch.tensor([2, 0, 3, 1]), torch.tensor([1, 2, 0]), torch.tensor([1, 0])
    other = _case(
        algorithm, rewards_PN=scored.rewards_PN[:, order_N].tolist(), kept_PM=order_N.argsort()[scored.kept_PM]
    )
    rollouts = _of_tokens(algorithm, other)

    def kept(values: Tensor | None) -> Tensor | None:
        return None if values is None else values[:, order_M]

    other = replace(
        scored,
        kept_PM=scored.kept_PM[:, order_M],
        mask_PMT=scored.mask_PMT[:, order_M],
        values_PMT=kept(scored.values_PMT),
    )
    same_kept = _of_tokens(algorithm, other)
    whose = {
        "rollouts": (rollouts, expected_PMT),
        "kept rollouts": (same_kept, expected_PMT[:, order_M]),
        "prompts": (_of_tokens(algorithm, _part(scored, order_P)), expected_PMT[order_P]),
    }
    for what, (found_PMT, wanted_PMT) in whose.items():
        contract.holds(
            torch.allclose(found_PMT, wanted_PMT, atol=1e-9),
            f"has other advantages when the {what} stand in another order",
            "their order says nothing",
        )


def _check_penalty(algorithm: Algorithm, contract: Contract) -> None:
    scored = _case(algorithm)
    penalty_PMT = 0.1 * torch.rand(scored.mask_PMT.shape, generator=torch.Generator().manual_seed(1)) * scored.mask_PMT
    found_PMT = _of_tokens(algorithm, replace(scored, penalty_PMT=penalty_PMT))
    contract.holds(
        found_PMT.isfinite().all() and not torch.equal(found_PMT, _of_tokens(algorithm, scored)),
        "does not look at a KL in the reward (`Scored.penalty_PMT`)",
        "--kl-place reward is open to every algorithm; `advantages.group_rewards` and `token_rewards` take it off",
    )


def _check_processes(algorithm: Algorithm, contract: Contract) -> None:
    """A step whose prompts are split over two processes is the whole step, through `Scored.total`."""
    scored = _case(algorithm)
    parts, found = dict[int, Tensor](), dict[int, Tensor | BaseException]()
    barrier = threading.Barrier(2)

    def total(rank: int) -> Callable[[Tensor], Tensor]:
        def over_both(statistics: Tensor) -> Tensor:
            parts[rank] = statistics
            barrier.wait(timeout=10)
            summed = parts[0] + parts[1]
            barrier.wait(timeout=10)
            return summed

        return over_both

    def work(rank: int) -> None:
        try:
            found[rank] = _of_tokens(algorithm, replace(_part(scored, torch.tensor([rank])), total=total(rank)))
        except (threading.BrokenBarrierError, ReachlabError, ValueError, RuntimeError) as error:
            found[rank] = error

    threads = [threading.Thread(target=work, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    halves = [found[rank] for rank in (0, 1)]
    tensors = [half for half in halves if isinstance(half, Tensor)]
    contract.holds(
        len(tensors) == 2 and torch.allclose(torch.cat(tensors), _of_tokens(algorithm, scored), atol=1e-6),
        "has other advantages when a step's prompts are split over two processes",
        "statistics over the whole step are summed by `Scored.total`, called equally often on each",
    )


def _check_gradient(algorithm: Algorithm, contract: Contract) -> None:
    """The row's loss falls along its gradient as finite differences say, and is not flat."""
    scored = _case(algorithm)
    tokens_PMT = torch.randint(5, scored.mask_PMT.shape, generator=torch.Generator().manual_seed(2))
    old_V = torch.linspace(-0.5, 0.5, 5, dtype=torch.float64)
    advantages = algorithm.advantage(scored)

    def loss(logits_V: Tensor) -> Tensor:
        old_PMT, new_PMT = (x.log_softmax(-1)[tokens_PMT] for x in (old_V, logits_V))
        try:
            return policy_loss(
                new_PMT.flatten(0, 1),
                old_PMT.flatten(0, 1),
                advantages.flatten(0, 1),
                scored.mask_PMT.flatten(0, 1),
                LossForm.of(algorithm, MAX_TOKENS),
            )[0]
        except ReachlabError as error:
            raise ContractError(
                f"{contract.who} has no loss: {error}; its row names what `rl/algorithm.py` lists"
            ) from error

    logits_V = (old_V + 0.03 * torch.tensor([1.0, -1.0, 0.5, 0.0, -0.5])).requires_grad_()
    (gradient_V,) = torch.autograd.grad(loss(logits_V), logits_V)
    contract.holds(
        gradient_V.abs().max() > 1e-9, "has a loss without gradient", "right and wrong answers are told apart by it"
    )
    step = 1e-6
    for v, nudge_V in enumerate(step * torch.eye(5, dtype=torch.float64)):
        at = logits_V.detach()
        slope = float(loss(at + nudge_V) - loss(at - nudge_V)) / (2 * step)
        contract.holds(
            abs(slope - float(gradient_V[v])) < 1e-5 * (1 + abs(slope)),
            f"has a gradient of {float(gradient_V[v]):.6g} where its loss rises by {slope:.6g}",
            "advantages are constants to the loss",
        )


def _part(scored: Scored, at: Tensor) -> Scored:
    """Some of the prompts."""

    def some(values: Tensor | None) -> Tensor | None:
        return None if values is None else values[at]

    return replace(
        scored,
        rewards_PN=scored.rewards_PN[at],
        kept_PM=scored.kept_PM[at],
        mask_PMT=scored.mask_PMT[at],
        values_PMT=some(scored.values_PMT),
        greedy_P=some(scored.greedy_P),
    )
