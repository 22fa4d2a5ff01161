"""Rollout budgets: how many more rollouts each prompt gets, given the rewards so far.

A budget is asked again and again until it gives no prompt any more. `rewards_PN` has room for n rollouts a prompt, NaN
where one is not drawn or unscored; the `drawn_P` first are drawn.

*all* draws n at once.

*waves* (ours): a wave of W a prompt; a prompt stops once no further rollout could change which rewards are kept
(`downsampling.saturated`) or its n are spent; the slots it frees go evenly to the prompts still searching, so that a
wave keeps P·W rollouts, and the engine's batch stays full, while anybody can use them.

Why the kept subset has the distribution that all n would give it. Rollouts of a prompt are exchangeable, and whether to
stop depends on rewards alone. A prompt that stops keeps the rewards that it would keep of all n, by the definition of
saturated; one that never does has drawn n. And given those rewards, which of the rollouts of one reward are kept says
nothing of their text: the first ones with that reward, or any of all n with it, are independent draws of
π(answer | reward). (For binary rewards: M/2 right and M/2 wrong answers, ties at random.) Under *random* and *none* any
M scored rollouts are as good as others. What would break it is a stop that looks at anything else, such as which
rollouts finish first, which favours short answers: a wave is waited for whole. Statistics over all N
(``normalise="all"``) are those of the rollouts drawn, and do depend on the stop: a prompt stops just after it drew
another of the reward that was rare.

*pilot_commit*: a pilot estimates each prompt's success rate; those inside a band get the rest of n, the others nothing.
A prompt outside ends with fewer than n drawn, and perhaps than M: it is to be left out of the step.

Source: Pilot-Commit (arXiv 2605.26606). Departures: what becomes of prompts outside the band (the paper defers hard
ones, drops solved ones, and draws several times the prompts it needs) is the caller's. The defaults are those of the
authors' runs: a quarter of n, and rates from 1/8 to 3/4.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl.downsampling import saturated


def all_at_once(rewards_PN: Tensor, drawn_P: Tensor, m: int, n: int) -> Tensor:
    """n for every prompt: more_P, int64.

    Args:
        rewards_PN: rewards so far. drawn_P: how many are drawn, int64. m: how many will be kept. n: how many may be
            drawn.
    """
    return n - drawn_P


def waves(
    rewards_PN: Tensor,
    drawn_P: Tensor,
    m: int,
    n: int,
    *,
    rule: str,
    low: float = 0.0,
    high: float = 1.0,
    wave: int | None = None,
) -> Tensor:
    """A wave for every prompt, then for those still searching: more_P, int64.

    Args:
        rewards_PN: rewards so far, in [low, high]. drawn_P: how many are drawn. m: how many will be kept. n: how many
            may be drawn.
        rule: the down-sampling rule that will keep M. low, high: the range of rewards (`saturated`).
        wave: W, rollouts a prompt in each wave; M unless given.

    Raises:
        ReachlabError: a wave below 1; what `saturated` refuses.
    """
    wave = m if wave is None else wave
    if wave < 1:
        raise ReachlabError(f"budget: a wave of {wave} rollouts a prompt; choose 1 or more")
    room_P = (n - drawn_P).masked_fill(saturated(rule, rewards_PN, m, low, high), 0)
    return _share_out(wave * len(drawn_P), room_P)


def pilot_commit(
    rewards_PN: Tensor,
    drawn_P: Tensor,
    m: int,
    n: int,
    *,
    pilot: int | None = None,
    band: tuple[float, float] = (0.125, 0.75),
) -> Tensor:
    """A pilot for every prompt, then the rest of n where the mean reward is inside the band: more_P, int64.

    Args:
        rewards_PN: rewards so far, in [0, 1]. drawn_P: how many are drawn. m: how many will be kept. n: how many may be
            drawn.
        pilot: rollouts in the pilot; a quarter of n, rounded up, unless given.
        band: least and largest mean reward of the scored pilot rollouts to go on with, both included. A prompt without
            a scored one does not go on.

    Raises:
        ReachlabError: a pilot outside 1..n; a band whose ends are the wrong way round.
    """
    pilot = -(-n // 4) if pilot is None else pilot
    if not 1 <= pilot <= n:
        raise ReachlabError(f"budget: a pilot of {pilot} of {n} rollouts; choose 1 to {n}")
    if not band[0] <= band[1]:
        raise ReachlabError(f"budget: the band {band} is empty; the first number must be the lower")
    mean_P = rewards_PN.nanmean(dim=1)
    inside_P = (mean_P >= band[0]) & (mean_P <= band[1])
    rest_P = torch.where(inside_P & (drawn_P < n), n - drawn_P, 0)
    return torch.where(drawn_P < pilot, pilot - drawn_P, rest_P)


BUDGETS: dict[str, Callable[..., Tensor]] = {"all": all_at_once, "waves": waves, "pilot_commit": pilot_commit}
"""(rewards_PN, drawn_P, m, n, and each one's own settings by keyword) → more_P, int64; all zeros: done."""


def _share_out(slots: int, room_P: Tensor) -> Tensor:
    """Give out slots one round at a time, a prompt one each while it has room: (P,), int64.

    Sums to the smaller of `slots` and the rooms' sum, and differs by at most 1 between prompts that have room left. In
    the last round the first prompts come first.
    """
    # With everyone at min(room, level), levels are searched for the highest that the slots pay for.
    low, high = 0, int(room_P.amax()) if len(room_P) else 0
    while low < high:
        level = (low + high + 1) // 2
        if int(room_P.clamp(max=level).sum()) <= slots:
            low = level
        else:
            high = level - 1
    more_P = room_P.clamp(max=low)
    open_P = room_P > low
    return more_P + (open_P & (open_P.cumsum(dim=0) <= slots - more_P.sum()))
