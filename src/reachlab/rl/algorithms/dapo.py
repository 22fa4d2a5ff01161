"""DAPO: GRPO with four changes, each against something that stalls long-answer training.

- *Clip higher*: ε_high = 0.28 over ε_low = 0.2, so that unlikely tokens can grow.
- *Token mean*: long answers count by their tokens.
- *Dynamic sampling*: prompts whose rollouts agree teach nothing; others are drawn in their place (`informative`).
- *Overlong shaping*: added to the reward of an answer of length L, with a cache of share × max_tokens (eq. 13):

    0 for L ≤ max − cache,   (max − cache − L) / cache up to max,   −1 above

No KL. Source: *DAPO: An Open-Source LLM Reinforcement Learning System at Scale* (arXiv 2503.14476).
"""

import torch
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.rl.advantages import agree, standardised
from reachlab.rl.algorithm import Algorithm


def informative(rewards_PN: Tensor) -> Tensor:
    """Which prompts' scored rewards differ, so that they teach something: bool (P,). NaN is unscored."""
    return ~agree(rewards_PN)


def overlong_penalty(lengths: Tensor, max_tokens: int, share: float) -> Tensor:
    """What to add to the rewards of answers of these lengths (tokens): in [−1, 0], float32, the same shape.

    Raises:
        ReachlabError: a share outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise ReachlabError(f"overlong: {share} is no share of max_tokens; choose 0 (off) to 1")
    if share == 0:
        return torch.zeros_like(lengths, dtype=torch.float32)
    cache = share * max_tokens
    return ((max_tokens - cache - lengths.float()) / cache).clamp(-1.0, 0.0)


DAPO = Algorithm(
    name="dapo",
    advantage=standardised,
    aggregate="token",
    clip_low=0.2,
    clip_high=0.28,
    kl_place="none",
    compares_rollouts=True,
    dynamic_sampling=True,
    overlong=0.2,
)
