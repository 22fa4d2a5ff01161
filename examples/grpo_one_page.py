"""Reinforcement learning with down-sampling, on one page: GRPO that learns from the M of N rollouts with the largest
reward variance (PODS, arXiv 2504.13818).

A tiny model, made here, is asked for two numbers with a given sum: the prompt is ``t``, an answer ``x y`` is right when
x + y = t. There is no data set and no teacher, only a verifier. A step is

    sample N answers a prompt  →  verify them  →  keep M  →  advantages  →  loss  →  update

and each of these is a function below, with the mathematics taken from `reachlab.rl`. What is printed is pass@1, how
often one answer is right, beside pass@k, how often one of k is: training makes right answers likelier. Whether the
model then reaches further than its base is the question that `reachlab compare` answers on many problems.

    python examples/grpo_one_page.py

An axis is the last letters of a name: P prompts, N rollouts of each, M kept ones, B rows of a batch, T tokens, V the
vocabulary. `rewards_PN[p, n]` is the reward of rollout n of prompt p.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb

import torch
from torch import Tensor
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from reachlab.models.token_logprobs import token_logprobs
from reachlab.rl.advantages import standardised
from reachlab.rl.algorithm import Scored
from reachlab.rl.losses import policy_loss
from reachlab.rl.rules.max_variance import max_variance

NUMBERS = 19
"""Tokens: the numbers 0 to 18."""
ANSWER = 2
"""Tokens of an answer."""


@dataclass(frozen=True)
class Settings:
    """What a training run takes."""

    steps: int = 40
    rollouts: int = 64
    """N, drawn and judged of each prompt."""
    keep: int = 16
    """M, learned from: generating is cheap, learning is not."""
    lr: float = 3e-3
    every: int = 10
    """Steps from one line of print to the next."""
    seed: int = 0


def tiny_model() -> PreTrainedModel:
    """An ordinary transformers model, with weights that know nothing."""
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    return Qwen3ForCausalLM(
        Qwen3Config(vocab_size=NUMBERS, num_key_value_heads=2, head_dim=16, max_position_embeddings=8, **shape)
    )


@torch.no_grad()
def sample(model: PreTrainedModel, prompts_P: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """N answers to each prompt, behind it: (P N, 1 + T)."""
    tokens_BT = prompts_P.repeat_interleave(n)[:, None]
    for _ in range(ANSWER):
        logits_BV = model(tokens_BT).logits[:, -1]
        drawn_B1 = torch.multinomial(logits_BV.softmax(dim=1), 1, generator=generator)
        tokens_BT = torch.cat([tokens_BT, drawn_B1], dim=1)
    return tokens_BT


def verify(tokens_BT: Tensor) -> Tensor:
    """1 where the two numbers have the sum that was asked for, else 0: (P N,)."""
    return (tokens_BT[:, 1] + tokens_BT[:, 2] == tokens_BT[:, 0]).float()


def answer_logprobs(model: PreTrainedModel, tokens_BT: Tensor) -> Tensor:
    """log π of each token of the answers: (B, T)."""
    logits_BTV = model(tokens_BT).logits[:, :-1]  # what stands at a token is about the next one
    return token_logprobs(logits_BTV, tokens_BT[:, 1:])[0]


def learn(
    model: PreTrainedModel, tokens_BT: Tensor, rewards_PN: Tensor, keep: int, generator: torch.Generator
) -> Tensor:
    """The loss of one step on the M rollouts of each prompt whose rewards differ most."""
    prompts, n = rewards_PN.shape
    kept_PM = max_variance(rewards_PN, keep, generator)
    mask_PMT = torch.ones(prompts, keep, ANSWER, dtype=torch.bool)
    # GRPO: A = (r − mean r) / std r over the kept rollouts of a prompt. A group that agrees teaches nothing.
    advantages_PM = standardised(Scored(rewards_PN=rewards_PN, kept_PM=kept_PM, mask_PMT=mask_PMT))

    rows_B = (torch.arange(prompts)[:, None] * n + kept_PM).flatten()
    logprobs_BT = answer_logprobs(model, tokens_BT[rows_B])
    # One update a batch: the policy that drew the answers is the one that learns, so the ratio is 1 and clips nothing.
    loss, _ = policy_loss(logprobs_BT, logprobs_BT.detach(), advantages_PM.flatten(), mask_PMT.flatten(0, 1))
    return loss


def pass_at_k(rewards_PN: Tensor, k: int) -> float:
    """1 − C(n − c, k) / C(n, k), the mean over problems: the chance that k of the n answers hold a right one."""
    n = rewards_PN.shape[1]
    return sum(1 - comb(n - int(c), k) / comb(n, k) for c in rewards_PN.sum(dim=1)) / len(rewards_PN)


def train(settings: Settings) -> Iterator[tuple[int, float, float]]:
    """Train a new model; yields step, pass@1 and pass@16 of what the policy draws, before that step's update."""
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    model = tiny_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr)
    prompts_P = torch.arange(NUMBERS)
    for step in range(settings.steps + 1):
        tokens_BT = sample(model, prompts_P, settings.rollouts, generator)
        rewards_PN = verify(tokens_BT).view(NUMBERS, settings.rollouts)
        yield step, pass_at_k(rewards_PN, 1), pass_at_k(rewards_PN, min(16, settings.rollouts))
        loss = learn(model, tokens_BT, rewards_PN, settings.keep, generator)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def main(settings: Settings) -> None:
    """Print how training goes."""
    print("step   pass@1  pass@16")
    for step, one, many in train(settings):
        if step % settings.every == 0:
            print(f"{step:4}   {one:6.1%}   {many:6.1%}")


if __name__ == "__main__":
    main(Settings())
