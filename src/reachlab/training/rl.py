"""Reinforcement learning on verifiable rewards: the models, the task and the folder of a run, put together.

`rl_step.py` has the step. What is asked for is settled first (the checkpoint, the recipe, the prompt, the longest
answer: together they are the run's identity), then everything is made once, in order, and nothing is changed after.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from reachlab.engines.config import Decoding
from reachlab.engines.kernels import IDENTITY, lacking
from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import load_model, load_tokenizer
from reachlab.models.checkpoint_files import find_checkpoint, hash_model
from reachlab.models.devices import choose_device
from reachlab.models.origin import origin_of
from reachlab.models.pinning import locate
from reachlab.models.positions import positions
from reachlab.models.tokenizer import prompt_ids
from reachlab.plugins import facts_of, is_file
from reachlab.prompting.prompted_task import prompted_task
from reachlab.prompting.prompts import fit_answers
from reachlab.rl.algorithm import Algorithm
from reachlab.rl.algorithms import ALGORITHMS
from reachlab.rl.budgets import BUDGETS
from reachlab.runs import RunFolder
from reachlab.store.samples import hash_problems
from reachlab.tasks.base import Task
from reachlab.tasks.judging import Judge
from reachlab.tasks.reward import Rewarded
from reachlab.tasks.rewards import RANDOM, hash_reward
from reachlab.training.beginning import Claim, Trained, config_identity, makers_of, placed, run_folder, settle
from reachlab.training.critic import Critic
from reachlab.training.loop import TrainingRun
from reachlab.training.lora import adapt, check_adapters
from reachlab.training.passes import Passes
from reachlab.training.policy_engine import DrawingPolicy, PolicyEngine
from reachlab.training.processes import Processes
from reachlab.training.recipes import say, settle_rl, settled_optimizer
from reachlab.training.rl_config import BudgetConfig, ObjectiveConfig, RLConfig
from reachlab.training.rl_step import RLTrainer
from reachlab.training.rollouts import PhaseClock, RolloutSource
from reachlab.training.routing import route
from reachlab.training.served_policy import ServedPolicy
from reachlab.training.trackers import check_trackers

LOOKED_AT = 1024
"""Training problems whose prompts are measured before a run begins, where the longest answer is ours to choose."""


def train_rl(config: RLConfig, notify: Callable[[str], None] = lambda _: None) -> bool:
    """Train a model by RL; the same command again goes on with a killed run. `notify` hears remarks before it begins.

    Returns whether this is the process that speaks for all.

    Raises:
        ReachlabError: no checkpoint, no problems, a folder that holds another run.
    """
    with learner(config) as found:
        if not found.run.finished:
            for remark in found.remarks():
                notify(remark)
            found.run.train(found.step, "rl")
        return found.processes.main


@dataclass(frozen=True, kw_only=True)
class RLPlan:
    """What a run is to do, settled: every choice made that the user left open."""

    config: RLConfig
    task: Task
    claim: Claim
    remarks: list[str]


@contextmanager
def learner(config: RLConfig) -> Iterator[RLTrainer]:
    """What trains, ready for its next step; nothing is written yet.

    Raises:
        ReachlabError: as `train_rl`.
    """
    plan = _plan(config)
    processes = Processes.start(choose_device(plan.config.loop.device))
    try:
        workers = max(1, (os.cpu_count() or 1) // processes.world)
        with Judge(plan.task, workers=workers, timeout_s=plan.config.verify_timeout) as judge:
            yield _trainer(plan, judge, processes)
    finally:
        processes.close()


def _plan(config: RLConfig) -> RLPlan:
    check_adapters(config.weights)
    check_trackers(config.loop.track)
    folder, remarks = run_folder(config.out) if config.out else RunFolder(""), list[str]()
    model = locate(config.model, [folder] if config.out else (), remarks.append)
    config = replace(config, model=model.folder)
    origin = origin_of(find_checkpoint(config.model))
    given, config = config, settle_rl(config, origin)
    prompted = prompted_task(config.task, config.ask, config.model)
    remarks += filter(None, (prompted.remark, say(given, config, origin)))
    task: Task = prompted.task
    own_reward = config.reward not in ("", RANDOM)
    if (reward := config.own_reward) is not None and reward.range is not None:
        config = _within(config, reward.range)
    if own_reward:
        task = Rewarded(task, config.reward)
    next(task.stream("train", config.loop.seed))
    config = replace(config, max_tokens=_fit(config, model.name, task, remarks.append))
    run_identity = {
        **config_identity(config),
        "ask": prompted.identity,
        "model": hash_model(config.model, rehash=config.rehash),
    }
    if slow := lacking(choose_device(config.loop.device)):
        run_identity |= IDENTITY
        remarks.append(slow)
    if own_reward and ":" in config.reward and not is_file(config.reward.rpartition(":")[0]):
        run_identity["reward_source"] = hash_reward(config.reward)
    if task.finite:
        run_identity["task_hash"] = hash_problems(task.problems("all"))
    claim = Claim(folder, "rl", run_identity, {**model.facts, **facts_of(makers_of(config))})
    return RLPlan(config=config, task=task, claim=claim, remarks=remarks)


def _within(config: RLConfig, range: tuple[float, float]) -> RLConfig:
    """With the range that a reward says of itself, where the user says none.

    Raises:
        ReachlabError: a budget for which that is no range.
    """
    if config.budget.reward_range != BudgetConfig().reward_range:
        return config
    return replace(config, budget=replace(config.budget, reward_range=range))


def _trainer(plan: RLPlan, judge: Judge, processes: Processes) -> RLTrainer:
    """The models, and all that stands around them; a run that goes on has its weights back."""
    config, clock = plan.config, PhaseClock()
    algorithm, optimizer = resolve(config), settled_optimizer(config.optimizer)
    settle(config.loop)
    model, tokenizer = load_model(config.model)
    route(model, config.routing, source=find_checkpoint(config.model))
    adapt(model, config.weights, processes)
    policy = placed(model, processes.device)
    critic = Critic(policy) if algorithm.critic else None
    passes = Passes.of(config, algorithm, policy, critic, processes)
    trained = {"policy": Trained(policy, optimizer)}
    if critic is not None:
        trained["critic"] = Trained(critic, replace(optimizer, method="adamw", lr=config.objective.critic_lr))
    run = TrainingRun(plan.claim, config.loop, trained, tokenizer, processes)
    engine = _drawing(config, run, passes, processes)
    source = RolloutSource(
        config=config,
        algorithm=algorithm,
        task=plan.task,
        tokenizer=run.tokenizer,
        engine=engine,
        judge=judge,
        processes=processes,
        clock=clock,
    )
    return RLTrainer(
        config=config,
        algorithm=algorithm,
        run=run,
        source=source,
        engine=engine,
        passes=passes,
        processes=processes,
        clock=clock,
        noted=plan.remarks,
    )


def _drawing(config: RLConfig, run: TrainingRun, passes: Passes, processes: Processes) -> DrawingPolicy:
    """What draws the rollouts: a server, where one is named.

    Raises:
        ReachlabError: weights that cannot be pushed to one.
    """
    if not config.servers.base_url:
        return PolicyEngine(run.model, run.tokenizer, processes, passes.dtype)
    if config.routing.routing != "topk":
        raise ReachlabError("--base-url: a server knows the model's own routing alone; leave --routing at topk")
    push = replace(config.push, folder=config.push.folder or str(Path(config.out) / "pushed"))
    return ServedPolicy(run.model, run.tokenizer, processes, passes.dtype, config.servers, push)


def _fit(config: RLConfig, model: str, task: Task, notify: Callable[[str], None]) -> int:
    """The longest rollout that there is room for, behind the held-out problems and as many training problems as are
    looked at; the first step is enough where the user says how long.

    Raises:
        ReachlabError: as `fit_answers`.
    """
    every, given = config.evaluation, bool(config.max_tokens)
    count = config.prompts if given else min(config.prompts * config.loop.steps, LOOKED_AT)
    problems = [*islice(task.stream("train", config.loop.seed), count)]
    problems += task.problems("test", every.eval_problems) if every.eval_every else []
    longest = max(map(len, prompt_ids(load_tokenizer(config.model), [p.asked for p in problems])))
    wanted = config.max_tokens or Decoding().max_tokens
    most, remarks = fit_answers(model, positions(config.model), longest, wanted, given=given)
    for remark in remarks:
        notify(remark)
    return most


def resolve(config: RLConfig) -> Algorithm:
    """The algorithm's row, with the user's own choices in it.

    Raises:
        ReachlabError: choices that cannot go together.
    """
    row = _resolve(config.objective)
    over_all = config.selection.normalise == "all" and config.keep < config.budget.rollouts
    if over_all and (row.kl_place == "reward" or row.per_token):
        raise ReachlabError(
            f"{row.name}{' with a KL in the reward' if row.kl_place == 'reward' else ''} needs "
            "--advantage-normalisation kept: the tokens of rollouts that are not kept are not looked at"
        )
    if config.keep < 2 and row.compares_rollouts and not over_all:
        *others, last = [name for name, other in ALGORITHMS.items() if not other.compares_rollouts]
        raise ReachlabError(
            f"{row.name} compares rollouts of one problem: keep 2 or more (--rollouts {config.budget.rollouts}, "
            f"--keep {config.keep}), or choose {', '.join(others)} or {last}"
        )
    if row.overlong and BUDGETS[config.budget.budget].bounded:
        raise ReachlabError(
            f"--budget {config.budget.budget} knows the best subset of the task's own rewards only: add "
            "--overlong-buffer 0"
        )
    return row


def _resolve(config: ObjectiveConfig) -> Algorithm:
    algorithm = ALGORITHMS[config.algorithm]
    chosen: dict[str, Any] = {
        "aggregate": None if config.aggregate == "auto" else config.aggregate,
        "clip_low": config.clip_low,
        "clip_high": config.clip_high,
        "overlong": config.overlong,
        "kl_estimator": None if config.kl_estimator == "auto" else config.kl_estimator,
        "kl_place": None if config.kl_place == "auto" else config.kl_place,
    }
    if not config.kl:
        chosen["kl_place"] = "none"
    elif algorithm.kl_place == "none" and chosen["kl_place"] is None:
        chosen["kl_place"] = "loss"  # the algorithm has none of its own, and the user asks for one
    return replace(algorithm, **{name: value for name, value in chosen.items() if value is not None})
