"""Where a step's rollouts come from: problems, answers by the current weights, verdicts, rewards.

A rollout is a function of (seed, step, place, problem, index) and the weights: which process draws it, and in which
wave, changes nothing. `rl/budgets/` decides how many each problem gets; dynamic sampling (DAPO, arXiv 2503.14476)
replaces problems whose rollouts all got one reward, for they teach nothing.

Axes. P: prompts of a step, N: rollouts of a prompt.
"""

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from reachlab.engines.config import Decoding
from reachlab.engines.decoder import Completion, Decoder
from reachlab.engines.rng import sample_seed
from reachlab.errors import ReachlabError
from reachlab.measures.contradictions import count_contradictions
from reachlab.models.positions import positions
from reachlab.models.tokenizer import encode_prompts
from reachlab.prompting.prompts import check_prompts, fit_answers
from reachlab.rl.advantages import slight
from reachlab.rl.algorithm import Algorithm
from reachlab.rl.algorithms.dapo import informative, overlong_penalty
from reachlab.rl.budgets import BUDGETS
from reachlab.rl.budgets.budget import Budget
from reachlab.rl.rules import RULES
from reachlab.tasks.base import Task
from reachlab.tasks.judging import Judge
from reachlab.tasks.rewards import RANDOM
from reachlab.training.loop import Metrics
from reachlab.training.processes import Processes
from reachlab.training.rl_config import RLConfig
from reachlab.types import Problem, Status, Verdict

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


T = TypeVar("T")
COUNTS = ("rollouts", "truncated_right", "contradictions")
"""Over all rollouts of a step, those that were replaced too."""
LARGEST = 1e12
"""Where an algorithm does not divide by a deviation, a reward is a factor of the gradient, which is float32 and squared
for its norm."""


class PhaseClock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside; what it raises is not timed."""
        began = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - began


@dataclass(frozen=True, kw_only=True)
class Rollouts:
    """Answers to P problems, up to N each. Scores and rewards are NaN where one was not drawn or could not be scored; a
    reward of one's own may also give none to what is judged.

    `places` are the problems' places in the whole step, over all processes; the first `first` rollouts of every problem
    were drawn whatever came out, so statistics over them are those of the policy.
    """

    places: list[int]
    problems: list[Problem]
    prompts: list[list[int]]
    answers: list[list[Completion]]
    verdicts: list[list[Verdict]]
    scores_PN: Tensor
    """The task's, or the user's."""
    rewards_PN: Tensor
    """Scores, less what the algorithm takes off for length."""
    first: int
    greedy_P: Tensor | None = None

    def replacing(self, at: Sequence[int], others: "Rollouts") -> "Rollouts":
        """With `others` in the place of the problems `at`."""

        def mixed(mine: list[T], theirs: list[T]) -> list[T]:
            merged = [*mine]
            for p, other in zip(at, theirs, strict=True):
                merged[p] = other
            return merged

        index = torch.tensor(at)
        return replace(
            self,
            problems=mixed(self.problems, others.problems),
            prompts=mixed(self.prompts, others.prompts),
            answers=mixed(self.answers, others.answers),
            verdicts=mixed(self.verdicts, others.verdicts),
            scores_PN=self.scores_PN.index_copy(0, index, others.scores_PN),
            rewards_PN=self.rewards_PN.index_copy(0, index, others.rewards_PN),
        )

    @property
    def lengths_PN(self) -> Tensor:  # noqa: N802
        """Tokens of each answer, 0 where none was drawn."""
        return _lengths(self.answers, self.rewards_PN.shape[1])

    def last_reason(self) -> str:
        """Why the last unscored rollout of this process is."""
        reasons = [v.reason for row in self.verdicts for v in row if not has_reward(v)]
        return f"the last: {reasons[-1]}" if reasons else "see the other processes' reasons"

    def counts(self) -> Metrics:
        """How many there are, and how many of them a person should look at: cut and right all the same."""
        judged = [both for row in zip(self.answers, self.verdicts, strict=True) for both in zip(*row, strict=True)]
        cut_right = sum(a.finish == "length" and v.status == "correct" for a, v in judged)
        return {"rollouts": float(len(judged)), "truncated_right": float(cut_right)}


@dataclass(frozen=True, kw_only=True)
class RolloutSource:
    """Draws and judges rollouts. The engine reads the weights as they are at each call."""

    config: RLConfig
    algorithm: Algorithm
    task: Task
    tokenizer: "PreTrainedTokenizerBase"
    engine: Decoder
    judge: Judge
    processes: Processes
    clock: PhaseClock

    @cached_property
    def decoding(self) -> Decoding:
        """How rollouts are drawn."""
        stop = tuple(self.task.decoding.get("stop", ()))
        return Decoding(temperature=self.config.temperature, max_tokens=self.config.max_tokens, stop=stop)

    @cached_property
    def positions(self) -> int | None:
        """The model's, if it says how many."""
        return positions(self.config.model)

    @property
    def redraws(self) -> int:
        """How often problems that teach nothing are replaced in a step."""
        given = self.config.budget.redraws
        return (3 if self.algorithm.dynamic_sampling else 0) if given is None else given

    @cached_property
    def budget(self) -> Budget:
        """How many rollouts a problem gets next."""
        config = self.config
        return BUDGETS[config.budget.budget].of(config.budget, RULES[config.selection.rule], config.keep)

    @cached_property
    def held_out(self) -> list[Problem]:
        """The problems of evaluations."""
        every = self.config.evaluation
        return self.task.problems("test", every.eval_problems) if every.eval_every else []

    def draw(self, t: int) -> tuple[Rollouts, Metrics]:
        """This process's rollouts of step t, and sums that describe them (see `describe`).

        Raises:
            ReachlabError: a reward is not a number.
        """
        rollouts = self._groups(t, 0, list(self.processes.share(self.config.prompts)))
        sums = _sums(rollouts) | rollouts.counts() | self._doubts(rollouts)
        for attempt in range(1, self.redraws + 1):
            dull = (~informative(rollouts.scores_PN)).nonzero()[:, 0].tolist()
            if not dull:
                break
            fresh = self._groups(t, attempt, [rollouts.places[p] for p in dull])
            for name, count in (fresh.counts() | self._doubts(fresh)).items():
                sums[name] += count
            rollouts = rollouts.replacing(dull, fresh)
        if self.algorithm.greedy_baseline:
            greedy = replace(self.decoding, temperature=0.0)
            answers, verdicts = self._answer(
                rollouts.problems, rollouts.prompts, [[0] for _ in rollouts.prompts], greedy
            )
            rollouts = replace(rollouts, greedy_P=self._shaped(_scores(verdicts, 1), answers)[:, 0])
        sums["partial"] = float(slight(rollouts.scores_PN, self.config.full_credit).sum())
        sums["judged"] = float((~rollouts.scores_PN.isnan()).sum())
        return rollouts, sums

    def evaluate(self) -> Metrics:
        """This process's share of the held-out problems: sums of pass@1, and of problems that any sample solves."""
        seed, k = self.config.loop.seed, self.config.evaluation.eval_samples
        mine = [self.held_out[i] for i in range(self.processes.rank, len(self.held_out), self.processes.world)]
        if not mine:
            return {"problems": 0.0, "right": 0.0, "any": 0.0}
        seeds = [[sample_seed(seed, f"eval {p.id}", i) for i in range(k)] for p in mine]
        prompts = encode_prompts(self.tokenizer, [p.asked for p in mine])
        _, verdicts = self._answer(mine, prompts, seeds, self.decoding)
        scored = [[v.status == "correct" for v in row if v.status != "unscored"] for row in verdicts]
        shares = [float(np.mean(row)) for row in scored if row]
        return {
            "problems": float(len(shares)),
            "right": sum(shares),
            "any": float(sum(share > 0 for share in shares)),
        }

    def _groups(self, t: int, attempt: int, places: list[int]) -> Rollouts:
        """Rollouts of the problems at `places` of step t, as many as the budget gives each."""
        config, n = self.config, self.config.budget.rollouts
        problems = self._problems(t, attempt, places)
        prompts = encode_prompts(self.tokenizer, [p.asked for p in problems])
        self.check(problems, prompts)
        answers: list[list[Completion]] = [[] for _ in problems]
        verdicts: list[list[Verdict]] = [[] for _ in problems]
        scores_PN = torch.full((len(problems), n), math.nan, dtype=torch.float64)
        first = 0
        while True:
            drawn_P = torch.tensor([len(row) for row in answers])
            more_P = self.budget.more(scores_PN, drawn_P, config.keep, n)
            wanting = more_P.nonzero()[:, 0].tolist()
            if not wanting:
                break
            seeds = [
                [
                    # The place keeps the rollouts apart when a step draws the same problem twice.
                    sample_seed(config.loop.seed, f"step {t} draw {attempt} place {places[p]} {problems[p].id}", i)
                    for i in range(len(answers[p]), len(answers[p]) + int(more_P[p]))
                ]
                for p in wanting
            ]
            new_answers, new_verdicts = self._answer(
                [problems[p] for p in wanting], [prompts[p] for p in wanting], seeds, self.decoding
            )
            for p, row, judged in zip(wanting, new_answers, new_verdicts, strict=True):
                answers[p] += row
                verdicts[p] += judged
            scores_PN = _scores(verdicts, n)
            first = first or int(more_P.min())
        return Rollouts(
            places=places, problems=problems, prompts=prompts, answers=answers, verdicts=verdicts,
            scores_PN=scores_PN, rewards_PN=self._shaped(scores_PN, answers), first=first,
        )  # fmt: skip

    def check(self, problems: Sequence[Problem], prompts: Sequence[Sequence[int]]) -> list[str]:
        """See `check_prompts`, and `fit_answers` of a longest answer that is settled."""
        remarks = check_prompts(self.config.task, problems, prompts, self.tokenizer.unk_token_id)
        fit_answers(self.config.model, self.positions, max(map(len, prompts)), self.config.max_tokens, given=True)
        return remarks

    def _problems(self, t: int, attempt: int, places: list[int]) -> list[Problem]:
        """The stream is cut into steps, a step into draws, a draw into places."""
        start = (t * (self.redraws + 1) + attempt) * self.config.prompts
        stream = islice(self.task.stream("train", self.config.loop.seed, start), self.config.prompts)
        wanted = set(places)
        return [problem for place, problem in enumerate(stream) if place in wanted]

    def _answer(
        self, problems: Sequence[Problem], prompts: Sequence[Sequence[int]], seeds: list[list[int]], decoding: Decoding
    ) -> tuple[list[list[Completion]], list[list[Verdict]]]:
        """An answer a seed, and its verdict."""
        with self.clock.phase("generate"):
            answers = self.engine.generate(prompts, seeds, decoding)
        with self.clock.phase("verify"):
            pairs = [(p, a.text) for p, row in zip(problems, answers, strict=True) for a in row]
            verdicts = self.judge.verify(pairs)
        if self.config.reward == RANDOM:
            coins = [coin(seed) for row in seeds for seed in row]
            verdicts = [replace(v, score=score) for v, score in zip(verdicts, coins, strict=True)]
        for (problem, text), verdict in zip(pairs, verdicts, strict=True):
            if not math.isnan(verdict.score) and not abs(verdict.score) < LARGEST:
                raise ReachlabError(
                    f"{self.config.reward or self.task.spec}: the reward of {text[:80]!r} for problem {problem.id!r} "
                    f"is {verdict.score}; return a number between -{LARGEST:g} and {LARGEST:g}, or NaN "
                    "for what has none"
                )
        rest = iter(verdicts)
        return answers, [list(islice(rest, len(row))) for row in answers]

    def _doubts(self, rollouts: Rollouts) -> Metrics:
        """How many verdicts contradict the final answer (`measures/contradictions.py`)."""
        if not self.task.answer_decides:
            return {"contradictions": 0.0}
        scored = [
            (p, problem, answer.text, verdict.status)
            for p, problem in enumerate(rollouts.problems)
            for answer, verdict in zip(rollouts.answers[p], rollouts.verdicts[p], strict=True)
            if verdict.status != "unscored"
        ]
        with self.clock.phase("verify"):
            answers = self.judge.final_answers((problem, text) for _, problem, text, _ in scored)
        rows: list[list[tuple[Status, str | None]]] = [[] for _ in rollouts.problems]
        for (p, *_, status), answer in zip(scored, answers, strict=True):
            rows[p].append((status, answer))
        golds = [self.task.gold(problem) for problem in rollouts.problems]
        return {"contradictions": float(count_contradictions(rows, golds))}

    def _shaped(self, scores_PN: Tensor, answers: list[list[Completion]]) -> Tensor:
        """Scores, less what the algorithm takes off for length."""
        if not self.algorithm.overlong:
            return scores_PN.clone()
        lengths_PN = _lengths(answers, scores_PN.shape[1])
        return scores_PN + overlong_penalty(lengths_PN, self.config.max_tokens, self.algorithm.overlong)


def has_reward(verdict: Verdict) -> bool:
    """Whether an answer has a reward: it is judged, and a reward of one's own gave it a number."""
    return verdict.status != "unscored" and not math.isnan(verdict.score)


def coin(seed: int) -> float:
    """0 or 1 by the seed of a rollout, and by nothing that it says; not by what draws its tokens either."""
    return float(sample_seed(seed, "reward", 0) & 1)


def describe(sums: Metrics) -> Metrics:
    """What a step's rollouts say, from sums over all processes: reward, accuracy, lengths, and the policy's entropy."""
    scored, problems, first = sums["scored"] or math.nan, sums["problems"] or math.nan, sums["first"] or math.nan
    verdicts = sums["verdicts"] or math.nan  # a right answer without a reward is right all the same
    watched: Metrics = {name: sums[name] / sums["watched"] for name in ("entropy", "kl_start") if name in sums}
    return {
        **watched,
        "reward": sums["reward"] / scored,
        "accuracy": sums["right"] / verdicts,
        "unscored": sums["unscored"] / first,
        "groups_without_signal": sums["dull"] / problems,
        "groups_partial": sums["partial"] / problems,
        "answer_tokens": sums["tokens"] / first,
        "truncated": sums["truncated"] / first,
        **{name: sums[name] for name in COUNTS},
    }


def _sums(rollouts: Rollouts) -> Metrics:
    """Over the rollouts that were drawn whatever came out: a problem that stops early must not weigh less."""
    answers = [a for row in rollouts.answers for a in row[: rollouts.first]]
    verdicts = [v for row in rollouts.verdicts for v in row[: rollouts.first]]
    rewards_PN = rollouts.rewards_PN[:, : rollouts.first]
    return {
        "problems": float(len(rollouts.problems)),
        "first": float(len(answers)),
        "scored": float((~rewards_PN.isnan()).sum()),
        "reward": float(rewards_PN.nansum()),
        "right": float(sum(v.status == "correct" for v in verdicts)),
        "verdicts": float(sum(v.status != "unscored" for v in verdicts)),
        "unscored": float(sum(not has_reward(v) for v in verdicts)),
        "dull": float((~informative(rollouts.scores_PN)).sum()),
        "tokens": float(sum(len(a.tokens) for a in answers)),
        "truncated": float(sum(a.finish == "length" for a in answers)),
    }


def _scores(verdicts: list[list[Verdict]], n: int) -> Tensor:
    """Scores as (P, n), NaN where there is none."""
    scores_PN = np.full((len(verdicts), n), np.nan)
    for p, row in enumerate(verdicts):
        scores_PN[p, : len(row)] = [v.score if v.status != "unscored" else math.nan for v in row]
    return torch.from_numpy(scores_PN)


def _lengths(answers: list[list[Completion]], n: int) -> Tensor:
    lengths_PN = torch.zeros(len(answers), n, dtype=torch.int64)
    for p, row in enumerate(answers):
        lengths_PN[p, : len(row)] = torch.tensor([len(a.tokens) for a in row])
    return lengths_PN
