import io
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor

from reachlab.errors import ReachlabError
from reachlab.regime.advise import (
    REPEATS,
    Advice,
    Timing,
    Timings,
    advise,
    advise_rl,
    measure,
    no_signal,
    print_advice,
)
from reachlab.regime.cost_model import Schedule, grpo
from reachlab.rl.algorithms import ALGORITHMS
from reachlab.tasks.registry import FAMILIES
from reachlab.training.config import LoopConfig
from reachlab.training.rl_config import BudgetConfig, ObjectiveConfig, RLConfig, SelectionConfig
from reachlab.training.rollouts import Rollouts, RolloutSource

QUICK = Schedule(prompts=16, steps=10, seeds=4)


def seen(generate: float, train: float, rate: float, *, wave: float = 0.0, spread: float = 0.0) -> Timings:
    """What a machine with these costs would show, with prompts all alike."""
    rng = np.random.default_rng(0)

    def timing(fixed: float, each: float, size: int) -> Timing:
        return Timing(rollouts=16 * size, seconds=tuple((fixed + each * 16 * size) * rng.lognormal(0, spread, 3)))

    return Timings(
        prompts=16,
        generating=(timing(wave, generate, 8), timing(wave, generate, 32)),
        training=(timing(0.0, train, 8), timing(0.0, train, 16)),
        correct=tuple(rng.binomial(32, rate, size=64).tolist()),
        drawn=(32,) * 64,
    )


def test_costs_are_a_line_through_two_sizes() -> None:
    measured = Timings(
        prompts=4,
        generating=(Timing(rollouts=10, seconds=(9.0, 3.0, 1.0)), Timing(rollouts=30, seconds=(5.0, 7.0, 4.0))),
        training=(Timing(rollouts=10, seconds=(2.0,)), Timing(rollouts=20, seconds=(6.0,))),
        correct=(1, 2),
        drawn=(4, 4),
    )
    costs = measured.costs()
    assert (costs.generate, costs.wave) == pytest.approx((0.1, 2.0))
    # A line through these would begin below 0.
    assert (costs.train, costs.step) == pytest.approx((0.3, 0.0))
    resampled = {measured.costs(np.random.default_rng(i)).generate for i in range(20)}
    assert len(resampled) > 3


def pretend(rewards_PN: Callable[[int, int], Tensor]) -> tuple[list[tuple[str, int]], Timings]:
    """Measure a learner that notes its calls; its first call of each size is slow."""
    calls: list[tuple[str, int]] = []

    def seconds(kind: str, size: int, each: float) -> float:
        first = (kind, size) not in calls
        calls.append((kind, size))
        return 100.0 if first else 1.0 + each * size

    def generate(prompts: int, rollouts: int) -> tuple[float, Tensor]:
        return seconds("generate", rollouts, 0.5), rewards_PN(prompts, rollouts)

    def train(prompts: int, kept: int) -> float:
        return seconds("train", kept, 2.0)

    return calls, measure(generate, train, prompts=3, keep=4, rollouts=16, repeats=2)


def test_measuring_counts_and_leaves_out_the_first_time() -> None:
    def rewards(prompts: int, rollouts: int) -> Tensor:
        found = torch.zeros(prompts, rollouts)
        found[:, :2] = 1.0
        found[0, 3] = torch.nan
        return found

    calls, measured = pretend(rewards)
    kinds = [kind for kind, _ in calls]
    assert kinds == ["generate"] * 6 + ["train"] * 6
    costs = measured.costs()
    assert (costs.generate, costs.wave) == pytest.approx((0.5 / 3, 1.0))
    assert (costs.train, costs.step) == pytest.approx((2.0 / 3, 1.0))
    assert measured.correct == (2,) * 18
    assert measured.drawn == (3, 4, 4) * 3 + (15, 16, 16) * 3
    assert not measured.graded


def test_measuring_grades_and_refuses_what_cannot_be_scored() -> None:
    _, measured = pretend(lambda p, n: torch.full((p, n), 0.5))
    assert measured.graded
    assert measured.correct == measured.drawn
    with pytest.raises(ReachlabError, match="scored"):
        pretend(lambda p, n: torch.full((p, n), torch.nan))
    with pytest.raises(ReachlabError, match="keep=4"):
        measure(lambda p, n: (1.0, torch.zeros(p, n)), lambda p, m: 1.0, prompts=2, keep=4, rollouts=4)


def advice_on(measured: Timings) -> Advice:
    return advise(measured, keep=8, widths=(4,), noises=(16.0,), schedule=QUICK)


def test_cheap_updates_want_plain_grpo() -> None:
    found = advice_on(seen(1e-3, 1e-4, 0.3))
    assert found.proposed == grpo(8)
    assert "plain GRPO 8: training on a rollout is cheaper than generating one" in found.verdict
    # Where nothing but generating costs, n/m times the rollouts cannot be made up for.
    assert all(choice.high < 1 for choice in found.choices)


def test_balanced_prompts_want_plain_grpo() -> None:
    found = advice_on(seen(1e-3, 3e-3, 0.5))
    assert found.proposed == grpo(8)
    assert "already hold right and wrong answers" in found.verdict


def test_dear_updates_and_rare_success_want_pods() -> None:
    found = advice_on(seen(1e-5, 1e-2, 0.04))
    assert found.proposed.rule == "max_variance"
    best = max(found.choices, key=lambda c: c.speedup)
    assert best.plan == found.proposed
    assert best.speedup > 1.2
    assert best.low <= best.speedup <= best.high
    assert best.speedup <= min(best.over_few, best.over_many) + 1e-9


def test_waves_pay_for_rollouts_and_are_charged_for_every_start() -> None:
    cheap_starts, dear_starts = (
        {c.plan: c.speedup for c in advice_on(seen(1e-3, 1e-2, 0.3, wave=wave)).choices} for wave in (0.0, 10.0)
    )
    for plan in (plan for plan in cheap_starts if plan.waves):
        at_once = replace(plan, waves=False)
        assert cheap_starts[plan] > cheap_starts[at_once]
        assert dear_starts[plan] < dear_starts[at_once]


def test_the_table_holds_every_plan_and_says_what_to_run() -> None:
    found = advice_on(seen(1e-3, 3e-3, 0.3, spread=0.1))
    written = io.StringIO()
    print_advice(found, Console(file=written, width=200))
    text = written.getvalue()
    assert all(choice.plan.name in text for choice in found.choices)
    assert found.verdict in text
    assert all(fact in text for fact in found.facts)


@pytest.mark.parametrize(("alpha", "beta", "n"), [(1.5, 4.0, 1), (1.5, 4.0, 16), (3.0, 2.0, 7)])
def test_groups_that_agree_by_integration(alpha: float, beta: float, n: int) -> None:
    p = (np.arange(400_000) + 0.5) / 400_000
    log_density = (alpha - 1) * np.log(p) + (beta - 1) * np.log1p(-p)
    constant = math.lgamma(alpha + beta) - math.lgamma(alpha) - math.lgamma(beta)
    share = float(np.mean(np.exp(log_density + constant) * (p**n + (1 - p) ** n)))
    assert no_signal(alpha, beta, n) == pytest.approx(share, rel=2e-3)


def test_refuses() -> None:
    measured = seen(1e-3, 1e-3, 0.3)
    with pytest.raises(ReachlabError, match="two sizes"):
        replace(measured, training=measured.training[:1])
    with pytest.raises(ReachlabError, match="above 0 seconds"):
        replace(measured, generating=(Timing(rollouts=1, seconds=(0.0,)), Timing(rollouts=2, seconds=(1.0,))))
    with pytest.raises(ReachlabError, match="noise"):
        advise(measured, noises=())
    with pytest.raises(ReachlabError, match="widths"):
        advise(measured, widths=(1,))


@pytest.fixture
def config(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RLConfig:
    """PODS 8 → 4 on a task that a tiny model gets right now and then."""
    monkeypatch.setitem(FAMILIES.places, "letters", "tests.training.letters:Letters")
    return RLConfig(
        model=str(checkpoint),
        task="letters",
        out=str(tmp_path / "rl"),
        prompts=3,
        max_tokens=3,
        selection=SelectionConfig(rule="max_variance", keep=4),
        budget=BudgetConfig(rollouts=8),
        loop=LoopConfig(steps=2, device="cpu", threads=1),
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_run_is_measured_and_leaves_nothing(
    config: RLConfig, algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Timings] = []
    drawn: list[Rollouts] = []
    draw = RolloutSource.draw

    def simulated(measured: Timings, *, keep: int) -> Advice:
        seen.append(measured)
        return Advice(choices=(), proposed=grpo(keep), verdict="", facts=())

    def noted(*args: object) -> object:
        found = draw(*args)  # type: ignore[arg-type]
        drawn.append(found[0])
        return found

    monkeypatch.setattr("reachlab.regime.advise.advise", simulated)
    monkeypatch.setattr(RolloutSource, "draw", noted)
    found = advise_rl(replace(config, objective=ObjectiveConfig(algorithm=algorithm, kl=0.01)))
    assert found.proposed == grpo(4)
    (measured,) = seen
    # m and at least 4 m rollouts are generated, m and 2 m are trained on, by 3 prompts each.
    assert [t.rollouts for t in measured.generating] == [3 * 4, 3 * 16]
    assert [t.rollouts for t in measured.training] == [3 * 4, 3 * 8]
    assert all(len(t.seconds) == REPEATS for t in (*measured.generating, *measured.training))
    assert measured.drawn == (4,) * 3 * (1 + REPEATS) + (16,) * 3 * (1 + REPEATS)
    # Every draw has problems of its own, and all of them are the base's: nothing was learned in between.
    assert len({tuple(p.id for p in rollouts.problems) for rollouts in drawn}) == 2 * (1 + REPEATS)
    rewards = torch.cat([rollouts.rewards_PN.flatten() for rollouts in drawn])
    right = sum(v.status == "correct" for rollouts in drawn for row in rollouts.verdicts for v in row)
    assert sum(measured.correct) == (right if algorithm != "dapo" else int((rewards >= 0.5).sum()))
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_run_cannot_be_measured(config: RLConfig, tmp_path: Path) -> None:
    changes: list[tuple[dict[str, Any], str]] = [
        ({"model": str(tmp_path / "none")}, "no such model folder"),
        ({"task": "chess"}, "unknown task family"),
    ]
    for change, says in changes:
        with pytest.raises(ReachlabError, match=says):
            advise_rl(replace(config, **change))
    with pytest.raises(ReachlabError, match="fewer than two prompts had two scored rollouts"):
        advise_rl(replace(config, task="letters,unscored=1.0"))
    assert not list(tmp_path.iterdir())
