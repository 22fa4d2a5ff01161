"""Whether a down-sampling rule keeps what `rl/rules/rule.py` promises of it.

Axes: P prompts, N rollouts of a prompt, M kept ones.
"""

from collections.abc import Iterator
from itertools import combinations_with_replacement

import torch
from torch import Tensor

from reachlab.checks.contract import Contract
from reachlab.errors import ReachlabError
from reachlab.rl.rules.rule import Rule

NAN = torch.nan
TRIALS = 200
"""Draws that a frequency is counted in."""
WORLDS = 8
"""Seeds of torch's own generator under which a rule has to keep the same."""
GROUPS = (
    [[0.0, 1.0, 0.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]],
    [[0.5, -0.25, 0.125, 2.0, -1.0, 0.75], [-3.0, 4.0, 0.5, 0.25, 0.0, 1.0], [1e6, 1e6 + 1, 1e6, 2.0, 3.0, 1.0]],
    [[NAN, 1.0, 0.0, NAN, 0.5, 1.0], [NAN, NAN, NAN, NAN, NAN, 1.0], [NAN, NAN, NAN, NAN, NAN, NAN]],
)
"""Rewards of three prompts: right and wrong, finely graded, partly unscored."""


def check_rule(rule: Rule) -> None:
    """Try a rule on small groups of rewards.

    Raises:
        ContractError: it does not do what a rule promises.
    """
    contract = Contract(f"the rule {rule.name!r}")
    _check_refusals(rule, contract)
    for rows in GROUPS:
        for dtype in (torch.float32, torch.float64):
            rewards_PN = torch.tensor(rows, dtype=dtype)
            for m in _sizes(rule, rewards_PN.shape[1]):
                _check_indices(rule, rewards_PN, m, contract)
                _check_randomness(rule, rewards_PN, m, contract)
    for rewards in (GROUPS[0][0], GROUPS[1][2], GROUPS[2][0]):
        for m in _sizes(rule, len(rewards))[::2]:
            _check_share(rule, torch.tensor([rewards]), m, contract)
    for low, high in ((0.0, 1.0), (-1.0, 3.0)):
        _check_saturated(rule, low, high, contract)


def _sizes(rule: Rule, n: int) -> range:
    return range(n, n + 1) if rule.keeps_all else range(1, n + 1)


def _keep(rule: Rule, rewards_PN: Tensor, m: int, seed: int = 0) -> Tensor:
    return rule.keep(rewards_PN, m, torch.Generator().manual_seed(seed))


def _check_indices(rule: Rule, rewards_PN: Tensor, m: int, contract: Contract) -> None:
    P, N = rewards_PN.shape
    before_PN = rewards_PN.clone()
    kept_PM = _keep(rule, rewards_PN, m)
    contract.holds(
        torch.equal(rewards_PN.nan_to_num(9e9), before_PN.nan_to_num(9e9)),
        "changes the rewards that it is given",
        "it only looks at them",
    )
    contract.holds(
        kept_PM.shape == (P, m) and kept_PM.dtype == torch.int64,
        f"returns {tuple(kept_PM.shape)} {kept_PM.dtype} for {P} prompts and M = {m}",
        f"indices are (P, M) int64, here ({P}, {m})",
    )
    contract.holds(
        ((kept_PM >= 0) & (kept_PM < N)).all(), f"keeps a rollout outside 0..{N - 1}", "indices are those of the N"
    )
    twice = any(len(set(row)) < m for row in kept_PM.tolist())
    contract.holds(not twice, "keeps a rollout twice", "indices are distinct in each prompt")
    scored_PN = ~rewards_PN.isnan()
    found_P, expected_P = scored_PN.gather(1, kept_PM).sum(1), scored_PN.sum(1).clamp(max=m)
    contract.holds(
        torch.equal(found_P, expected_P),
        f"keeps unscored rollouts (NaN) of {rewards_PN.tolist()} while scored ones are left, at M = {m}",
        "unscored ones are kept only for want of others",
    )


def _check_randomness(rule: Rule, rewards_PN: Tensor, m: int, contract: Contract) -> None:
    kept_PM = _keep_alone(rule, rewards_PN, m, 0)
    others = [_keep_alone(rule, rewards_PN, m, world) for world in range(1, WORLDS)]
    contract.holds(
        all(torch.equal(kept_PM, again_PM) for again_PM in others),
        "keeps others when it is asked again with the same generator",
        "chance comes from the generator alone, or a killed run could not go on",
    )
    others_PN = torch.cat([rewards_PN[:1], rewards_PN[1:].flip(1) * 2 + 1])
    beside_M = _keep_alone(rule, others_PN, m, 0)[0]
    contract.holds(
        torch.equal(kept_PM[0], beside_M),
        "keeps other rollouts of a prompt when the other prompts' rewards change",
        "prompts do not touch each other",
    )


def _keep_alone(rule: Rule, rewards_PN: Tensor, m: int, world: int) -> Tensor:
    """What a rule keeps with one generator, in a process whose own generator is somewhere else in each `world`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(world)
        return _keep(rule, rewards_PN, m)


def _check_share(rule: Rule, rewards_1N: Tensor, m: int, contract: Contract) -> None:
    """`share_kept` is the frequency with which a rollout is kept, whatever its place."""
    scored_N = ~rewards_1N[0].isnan()
    if not scored_N.any():
        return
    generator = torch.Generator().manual_seed(m)
    kept_TM = torch.cat([rule.keep(rewards_1N, m, generator) for _ in range(TRIALS)])
    found_N = torch.bincount(kept_TM.flatten(), minlength=len(scored_N)).double() / TRIALS
    share_N = rule.share_kept(rewards_1N, kept_TM[:1])[0].double()
    off_N = (found_N - share_N)[scored_N].abs()
    # Six standard errors of a frequency.
    room = 6 * (0.25 / TRIALS) ** 0.5
    contract.holds(
        bool((off_N <= room).all()),
        f"keeps the rollouts of {rewards_1N[0].tolist()} with frequencies {_short(found_N)} at M = {m}, and says "
        f"{_short(share_N)}",
        "share_kept is the probability of being kept; the default holds for rules that choose by rewards alone and "
        "break ties at random",
    )


def _check_saturated(rule: Rule, low: float, high: float, contract: Contract) -> None:
    """By brute force: all rewards so far and all that may come, up to two more, out of a few levels."""
    levels = [low, (low + high) / 2, high, NAN]
    blind = rule.keeps_all or _blind(rule)
    for n in range(1, 6):
        first_PN = torch.tensor(list(combinations_with_replacement(levels, n)), dtype=torch.float64)
        for m in _sizes(rule, n):
            done_P = rule.saturated(first_PN, m, low, high)
            contract.holds(
                done_P.shape == (len(first_PN),) and done_P.dtype == torch.bool,
                f"says {tuple(done_P.shape)} {done_P.dtype} of who is saturated",
                "it says bool (P,)",
            )
            few = first_PN[done_P & ((~first_PN.isnan()).sum(1) < m)]
            contract.holds(
                not len(few),
                f"is saturated by {few[:1].tolist()} at M = {m}",
                "with fewer than M scored rollouts a further one is always kept",
            )
            if not blind and done_P.any():
                _check_final(rule, first_PN[done_P], m, levels, contract)


def _check_final(rule: Rule, first_PN: Tensor, m: int, levels: list[float], contract: Contract) -> None:
    kept_PM = _kept_rewards(rule, first_PN, m)
    for more in _extensions(levels):
        both_PN = torch.cat([first_PN, torch.tensor(more, dtype=torch.float64).expand(len(first_PN), -1)], dim=1)
        changed_P = (_kept_rewards(rule, both_PN, m) != kept_PM).any(1)
        contract.holds(
            not changed_P.any(),
            f"says it is saturated by {first_PN[changed_P][:1].tolist()} at M = {m}, and keeps other rewards when "
            f"{list(more)} come",
            "saturated says that no further reward can change what is kept; leave it at `never` where you cannot tell",
        )


def _extensions(levels: list[float]) -> Iterator[tuple[float, ...]]:
    for more in (1, 2):
        yield from combinations_with_replacement(levels, more)


def _kept_rewards(rule: Rule, rewards_PN: Tensor, m: int) -> Tensor:
    return rewards_PN.gather(1, _keep(rule, rewards_PN, m)).sort(dim=1).values


def _blind(rule: Rule) -> bool:
    """Whether the rule keeps the same rollouts whatever their rewards: to it any M scored ones are as good as others,
    and what it keeps of more is another draw of the same law."""
    generator = torch.Generator().manual_seed(0)
    draws = [torch.rand(4, 6, generator=generator) for _ in range(5)]
    return all(torch.equal(_keep(rule, draws[0], 3), _keep(rule, rewards_PN, 3)) for rewards_PN in draws)


def _check_refusals(rule: Rule, contract: Contract) -> None:
    wrong = {"M = 0": (torch.zeros(2, 3), 0), "M = 4 of N = 3": (torch.zeros(2, 3), 4)}
    if rule.keeps_all:
        wrong["M = 2 of N = 3, though it keeps all,"] = (torch.zeros(2, 3), 2)
    else:
        wrong["an infinite reward"] = (torch.tensor([[0.0, torch.inf, 1.0]]), 2)
    for what, (rewards_PN, m) in wrong.items():
        try:
            rule.keep(rewards_PN, m, None)
        except ReachlabError:
            continue
        contract.holds(False, f"takes {what}", "it refuses that with a ReachlabError (`ordering.ordered` does)")


def _short(share_N: Tensor) -> str:
    return "[" + ", ".join(f"{share:.2f}" for share in share_N.tolist()) + "]"
