"""Which rows of a verl batch are kept: of each prompt's sessions, `keep` by the rule.

verl names a row ``{uid}_{session}_{index}``: a session is one rollout of the prompt `uid`, and an agent that answers
in several pieces leaves several rows, the last of which holds the reward. A session is kept or left as a whole.

An unscored rollout (reward NaN) is never kept here, where our own trainer keeps it with advantage 0 for want of others:
verl fills a batch that is short with rows whose tokens are masked, which add nothing to the gradient and count in a
mean over answers (not in one over tokens). So no NaN enters a statistic of verl's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from reachlab.errors import ReachlabError
from reachlab.integrations.down_sampling import DownSampling
from reachlab.rl.advantages import agree


@dataclass(frozen=True)
class Selected:
    """Positions of rows, in the batch's order, and what to log."""

    kept: list[int]
    left: list[int]
    metrics: dict[str, float]


def select_rows(keys: Sequence[str], rewards: Sequence[float], chosen: DownSampling, step: int) -> Selected:
    """Choose among all rows of a batch.

    Args:
        keys: verl's, a row each. rewards: of each row; NaN is unscored.
        chosen: how many, by which rule. step: the training step, which with the seed decides among equals.

    Raises:
        ReachlabError: a key of another form; an infinite reward; no rollout of the batch is scored.
    """
    rows: dict[str, dict[str, list[int]]] = {}
    last: dict[tuple[str, str], tuple[int, float]] = {}
    for at, (key, reward) in enumerate(zip(keys, rewards, strict=True)):
        uid, session, index = _parts(key)
        rows.setdefault(uid, {}).setdefault(session, []).append(at)
        if (uid, session) not in last or last[uid, session][0] < index:
            last[uid, session] = index, reward
    # A prompt's rollouts in the order of their names, whichever ended first. Prompts stay in the batch's order, for
    # their names are new in every run; what the rule *random* keeps depends on it.
    prompts = [(uid, sorted(rows[uid], key=lambda session: (len(session), session))) for uid in rows]
    n = max(chosen.keep, *(len(sessions) for _, sessions in prompts))
    rewards_PN = torch.full((len(prompts), n), torch.nan, dtype=torch.float64)
    for p, (uid, sessions) in enumerate(prompts):
        rewards_PN[p, : len(sessions)] = torch.tensor([last[uid, session][1] for session in sessions])
    if rewards_PN.isnan().all():
        raise ReachlabError(f"down-sampling: step {step}: no rollout has a reward")
    kept_PM = chosen.choose(rewards_PN, step)
    kept: set[int] = set()
    for p, (uid, sessions) in enumerate(prompts):
        for i in kept_PM[p].tolist():
            if not rewards_PN[p, i].isnan():
                kept.update(rows[uid][sessions[i]])
    return Selected(
        kept=sorted(kept),
        left=[at for at in range(len(keys)) if at not in kept],
        metrics=_metrics(rewards_PN, rewards_PN.gather(1, kept_PM), sum(len(s) for _, s in prompts)),
    )


def _parts(key: str) -> tuple[str, str, int]:
    parts = key.rsplit("_", 2)
    if len(parts) != 3 or not parts[2].isdecimal():
        raise ReachlabError(f"down-sampling: the row {key!r} is not named uid_session_index as in verl 0.9.1")
    return parts[0], parts[1], int(parts[2])


def _metrics(rewards_PN: torch.Tensor, kept_PM: torch.Tensor, sessions: int) -> dict[str, float]:
    found: dict[str, float] = {"down_sampling/unscored": sessions - int((~rewards_PN.isnan()).sum())}
    for name, rewards in (("all", rewards_PN), ("kept", kept_PM)):
        scored = rewards[~rewards.isnan()]
        found[f"down_sampling/reward_{name}/mean"] = scored.mean().item()
        found[f"down_sampling/reward_{name}/std"] = scored.std(correction=0).item()
        found[f"down_sampling/groups_alike_{name}/mean"] = agree(rewards).double().mean().item()
    return found
