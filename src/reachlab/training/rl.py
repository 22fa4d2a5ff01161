"""Reinforcement learning on verifiable rewards: sample → verify → select → advantage → loss → update.

GRPO (arXiv 2402.03300) on the rollouts that a down-sampling rule keeps (PODS, arXiv 2504.13818): N rollouts are
generated and judged for each problem, the gradient is computed on M of them. No KL term, no critic.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from reachlab.models.checkpoint import hash_model, load_model
from reachlab.models.tokenizer import encode_prompts
from reachlab.rl.advantages import group_advantages
from reachlab.rl.downsampling import RULES
from reachlab.rl.losses import policy_loss, token_logprobs
from reachlab.runs import RunFolder
from reachlab.sampling.config import Decoding
from reachlab.sampling.draws import sample_seed
from reachlab.sampling.engine import Completion
from reachlab.sampling.transformers_engine import TransformersEngine
from reachlab.tasks.base import Task
from reachlab.tasks.judging import Judge
from reachlab.tasks.registry import load_task
from reachlab.training.config import RLConfig
from reachlab.training.gradient import backward
from reachlab.training.loop import Metrics, TrainingRun, identity
from reachlab.training.optimizer import clip_and_step, set_learning_rates
from reachlab.training.text import Tokens, pad
from reachlab.types import Problem, Verdict


def train_rl(config: RLConfig) -> None:
    """Train a model by RL; the same command again goes on with a killed run.

    Raises:
        ReachlabError: no checkpoint, no problems, a folder that holds another run.
    """
    task = load_task(config.task)
    next(task.stream("train", config.loop.seed))
    folder = RunFolder(config.out)
    known = {**identity(config), "model": hash_model(config.model)}
    claim = partial(folder.claim, "rl", known, {"model_path": config.model})
    run = TrainingRun(folder, claim, config.loop, config.optimizer, lambda: load_model(config.model))
    if run.finished:
        return
    with Judge(task, timeout_s=config.verify_timeout) as judge:
        run.train(_Learner(run, config, task, judge).step, "rl")


@dataclass
class Rollouts:
    """N answers to each of P problems. `rewards_PN` is NaN where the verifier could not decide."""

    problems: list[Problem]
    prompts: list[list[int]]
    answers: list[list[Completion]]
    rewards_PN: Tensor
    verdicts: list[Verdict] = field(repr=False)


@dataclass
class _KeptBatch:
    """Kept rollouts as tokens, with their advantages and, where needed, log π of the policy that drew them."""

    tokens: Tokens
    advantages_B: Tensor
    old_BT: Tensor | None = None


class _Learner:
    """What a step needs, and the step."""

    def __init__(self, run: TrainingRun, config: RLConfig, task: Task, judge: Judge):
        self.run, self.config, self.task, self.judge = run, config, task, judge
        self.engine = TransformersEngine(run.model, run.tokenizer)
        self.decoding = Decoding(temperature=config.temperature, max_tokens=config.max_tokens)
        self.keep = config.keep or config.rollouts
        self.held_out = task.problems("test", config.eval_problems) if config.eval_every else []
        self.seconds: dict[str, float] = {}

    def step(self, t: int) -> Metrics:
        """One step of RL."""
        self.seconds = {}
        rollouts = self.sample(t)
        kept_PM = self.select(rollouts, t)
        advantages_PM = group_advantages(rollouts.rewards_PN, kept_PM, self.config.normalise)
        metrics = self.update(rollouts, kept_PM, advantages_PM, t)
        metrics |= _describe(rollouts)
        if self.config.eval_every and (t + 1) % self.config.eval_every == 0:
            metrics |= self.evaluate()
        return metrics | {f"seconds_{name}": value for name, value in self.seconds.items()}

    def sample(self, t: int) -> Rollouts:
        """Generate N rollouts for each of this step's problems, and judge them."""
        seed = self.config.loop.seed
        problems = list(islice(self.task.stream("train", seed, t * self.config.prompts), self.config.prompts))
        seeds = [
            # The place keeps the rollouts apart when a step draws the same problem twice.
            [sample_seed(seed, f"step {t} place {place} {p.id}", i) for i in range(self.config.rollouts)]
            for place, p in enumerate(problems)
        ]
        return self._answer(problems, seeds, self.decoding)

    def _answer(self, problems: list[Problem], seeds: list[list[int]], decoding: Decoding) -> Rollouts:
        with self._phase("generate"):
            prompts = encode_prompts(self.run.tokenizer, [p.prompt for p in problems])
            answers = self.engine.generate(prompts, seeds, decoding)
        with self._phase("verify"):
            verdicts = self.judge.verify([(p, a.text) for p, row in zip(problems, answers, strict=True) for a in row])
        rewards = [v.score if v.status != "unscored" else float("nan") for v in verdicts]
        return Rollouts(problems, prompts, answers, torch.tensor(rewards).view(len(problems), -1), verdicts)

    def select(self, rollouts: Rollouts, t: int) -> Tensor:
        """Indices of the M rollouts of each problem to learn from."""
        with self._phase("select"):
            generator = torch.Generator().manual_seed(sample_seed(self.config.loop.seed, "select", t))
            return RULES[self.config.rule](rollouts.rewards_PN, self.keep, generator)

    def update(self, rollouts: Rollouts, kept_PM: Tensor, advantages_PM: Tensor, t: int) -> Metrics:
        """Move the weights, `updates` times, each on its share of the problems."""
        run, config = self.run, self.config
        with self._phase("update"):
            lr = set_learning_rates(run.optimizers, config.optimizer, t, config.loop.steps)
            run.model.train()
            batches = self._batches(rollouts, kept_PM, advantages_PM)
            if config.updates > 1:
                # With one update the policy that drew the rollouts is the one being differentiated.
                with torch.no_grad():
                    for batch in (b for row in batches for b in row):
                        batch.old_BT = self._logprobs(batch.tokens)[0]
            totals: Metrics = {}
            for row in batches:
                answers, tokens = sum(len(b.advantages_B) for b in row), sum(int(b.tokens.learn_BT.sum()) for b in row)
                sums = backward(run.model, [partial(self._loss, b, answers, tokens) for b in row], run.threads)
                sums["grad_norm"] = clip_and_step(run.model, run.optimizers, config.optimizer)
                for name, value in sums.items():
                    totals[name] = totals.get(name, 0.0) + value / config.updates
        return totals | {"lr": lr}

    def _batches(self, rollouts: Rollouts, kept_PM: Tensor, advantages_PM: Tensor) -> list[list["_KeptBatch"]]:
        """The kept rollouts as micro-batches: one list an update, of at least one batch a thread."""
        P, M = kept_PM.shape
        kept = [(p, i) for p, row in enumerate(kept_PM.tolist()) for i in row]
        pad_id = self.run.tokenizer.pad_token_id
        share = P // self.config.updates * M
        size = min(self.config.micro_batch, -(-share // self.run.threads))
        found = []
        for start in range(0, P * M, share):
            row = []
            for at in range(start, start + share, size):
                chosen = range(at, min(at + size, start + share))
                prompts = [rollouts.prompts[kept[b][0]] for b in chosen]
                answers = [rollouts.answers[kept[b][0]][kept[b][1]].tokens.tolist() for b in chosen]
                row.append(
                    _KeptBatch(pad(prompts, answers, pad_id), advantages_PM.flatten()[chosen.start : chosen.stop])
                )
            found.append(row)
        return found

    def _loss(self, batch: "_KeptBatch", answers: int, tokens: int) -> tuple[Tensor, dict[str, Tensor]]:
        """This batch's part of the loss of an update on `answers` answers of `tokens` tokens."""
        config = self.config
        logprobs_BT, entropy_BT = self._logprobs(batch.tokens)
        mask_BT = batch.tokens.learn_BT[:, 1:].to(self.run.device)
        loss, stats = policy_loss(
            logprobs_BT,
            logprobs_BT.detach() if batch.old_BT is None else batch.old_BT,
            batch.advantages_B.to(self.run.device),
            mask_BT,
            clip_low=config.clip_low,
            clip_high=config.clip_high,
            aggregate=config.aggregate,
            total=float(answers if config.aggregate == "sequence" else tokens),
        )
        return loss, {**stats, "entropy": (entropy_BT * mask_BT).sum() / tokens}

    def _logprobs(self, batch: Tokens) -> tuple[Tensor, Tensor]:
        """log π of every token after the first, and the entropy there; (B, T - 1)."""
        ids_BT = batch.ids_BT.to(self.run.device)
        logits_BTV = self.run.model(input_ids=ids_BT, use_cache=False).logits[:, :-1]
        logprobs_BT, entropy_BT = token_logprobs(logits_BTV, ids_BT[:, 1:], self.config.temperature, entropy=True)
        assert entropy_BT is not None
        return logprobs_BT, entropy_BT

    def evaluate(self) -> Metrics:
        """pass@1 on held-out problems, one sample each."""
        with self._phase("eval"):
            seeds = [[sample_seed(self.config.loop.seed, f"eval {p.id}", 0)] for p in self.held_out]
            seconds = dict(self.seconds)
            rollouts = self._answer(self.held_out, seeds, self.decoding)
            self.seconds = seconds
        return {"eval_accuracy": _accuracy(rollouts.verdicts)}

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


def _accuracy(verdicts: list[Verdict]) -> float:
    scored = [v.status == "correct" for v in verdicts if v.status != "unscored"]
    return float(np.mean(scored)) if scored else float("nan")


def _describe(rollouts: Rollouts) -> Metrics:
    """What a step's rollouts say: reward, accuracy, groups that teach nothing, lengths."""
    answers = [a for row in rollouts.answers for a in row]
    rewards_PN = rollouts.rewards_PN
    scored = rewards_PN[~rewards_PN.isnan()]
    agree_P = (rewards_PN.nan_to_num(-torch.inf).amax(1) == rewards_PN.nan_to_num(torch.inf).amin(1)).float()
    return {
        "reward": float(scored.mean()) if len(scored) else float("nan"),
        "accuracy": _accuracy(rollouts.verdicts),
        "unscored": float(rewards_PN.isnan().float().mean()),
        "groups_without_signal": float(agree_P.mean()),
        "answer_tokens": float(np.mean([len(a.tokens) for a in answers])),
        "truncated": float(np.mean([a.finish == "length" for a in answers])),
    }
