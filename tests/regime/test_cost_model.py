import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from reachlab.errors import ReachlabError
from reachlab.regime.cost_model import (
    Costs,
    Course,
    Plan,
    Race,
    Schedule,
    World,
    fit_beta,
    gain_target,
    grpo,
    race,
    regime_map,
    simulate,
)
from reachlab.regime.cost_model import _generated as generated

LINE = World(rates=(0.2,), dimension=1, shared=1.0, noise=0.0)
"""All prompts alike, one parameter, no noise: every step has the same length and direction."""
PODS = Plan(rollouts=16, keep=4)


def logit(p: np.ndarray | float) -> np.ndarray:
    return np.asarray(np.log(p) - np.log1p(-np.asarray(p)))


def kept_right(plan: Plan, right: int) -> list[tuple[int, float]]:
    """How many right ones a rule keeps when `right` of all rollouts are, with probabilities."""
    n, m = plan.rollouts, plan.keep
    if plan.rule == "max_reward":
        return [(min(right, m), 1.0)]
    if plan.rule == "max_variance":
        best = max(range(max(0, m - (n - right)), min(m, right) + 1), key=lambda k: k * (m - k))
        return [(best, 1.0)]
    pairs = range(max(0, m - (n - right)), min(m, right) + 1)
    return [(k, math.comb(right, k) * math.comb(n - right, m - k) / math.comb(n, m)) for k in pairs]


@pytest.mark.parametrize(
    ("rule", "rollouts", "rate"),
    [
        *itertools.product(("max_variance", "random"), (24,), (0.5, 0.1)),
        *itertools.product(("none",), (8, 24), (0.5, 0.1)),
        ("max_reward", 24, 0.1),
    ],
)
def test_a_noisy_step_drifts_as_the_enumeration_says(rule: str, rollouts: int, rate: float) -> None:
    """Mean step along the common direction: lr P E[√(k(M−k))] / (noise √(P share M)), by enumeration."""
    prompts, seeds, noise, dimension = 16, 4000, 40.0, 64
    n, m = rollouts, rollouts if rule == "none" else 8
    plan = Plan(rollouts=n, keep=m, rule=rule)
    signal = informative = 0.0
    for right in range(n + 1):
        chance = math.comb(n, right) * rate**right * (1 - rate) ** (n - right)
        for k, share in kept_right(plan, right):
            signal += chance * share * math.sqrt(k * (m - k))
            informative += chance * share * (0 < k < m)
    world = World(rates=(rate,), dimension=dimension, shared=1.0, noise=noise)
    course = simulate(world, plan, Schedule(prompts=prompts, steps=1, lr=1.0, seeds=seeds))
    moved_S = logit(course.accuracy_ST[:, 1]) - logit(rate)
    expected = prompts * signal / (noise * math.sqrt(prompts * informative * m))
    error = 4 * moved_S.std() / math.sqrt(seeds)
    assert error < 0.25 * expected
    assert moved_S.mean() == pytest.approx(expected, abs=error + 0.03 * expected)


@pytest.mark.parametrize("costs", [(1.0, 0.0, 0.0), (1.0, 3.0, 0.0), (0.0, 2.0, 0.0), (0.5, 0.25, 7.0)])
def test_without_noise_only_costs_differ(costs: tuple[float, float, float]) -> None:
    generate, train, step = costs
    found = race(LINE, PODS, Schedule(prompts=8, steps=20, seeds=3))
    assert found.steps() == pytest.approx((found.steps()[0],) * 3, rel=1e-9)
    seconds_few, seconds_many, seconds_pods = (
        step + 8 * (n * generate + m * train) for n, m in ((4, 4), (16, 16), (16, 4))
    )
    given = Costs(generate=generate, train=train, step=step)
    speedups = (seconds_few / seconds_pods, seconds_many / seconds_pods)
    assert found.speedups(given) == pytest.approx(speedups, rel=1e-9)
    assert found.over_better(given) == pytest.approx(min(speedups), rel=1e-9)
    assert found.intervals([given])[0] == pytest.approx((min(speedups),) * 2, rel=1e-9)


def test_free_updates_or_free_rollouts_leave_the_steps() -> None:
    found = race(World(), PODS, Schedule(prompts=16, steps=15, seeds=8))
    few, many, pods = found.steps()
    assert found.speedups(Costs(generate=1.0, train=0.0))[1] == pytest.approx(many / pods)
    assert found.speedups(Costs(generate=0.0, train=1.0))[0] == pytest.approx(few / pods)
    assert found.speedups(Costs(generate=1e-9, train=1.0))[1] == pytest.approx(4 * many / pods, rel=1e-6)
    # Where updates are free, training on fewer of the same rollouts gains nothing that the rule does not bring.
    assert found.speedups(Costs(generate=1.0, train=0.0))[0] == pytest.approx(few / (4 * pods), rel=1e-6)


def test_keeping_all_is_grpo_whatever_the_rule() -> None:
    schedule = Schedule(prompts=4, steps=10, seeds=3)
    plain = simulate(World(), grpo(8), schedule)
    for rule in ("max_variance", "max_reward", "random", "percentile"):
        other = simulate(World(), Plan(rollouts=8, keep=8, rule=rule), schedule)
        np.testing.assert_allclose(other.accuracy_ST, plain.accuracy_ST, atol=1e-7)


def test_balanced_prompts_gain_nothing_and_rare_success_gains() -> None:
    schedule = Schedule(prompts=32, steps=20, seeds=64)
    plan = Plan(rollouts=32, keep=8)
    few, many, pods = race(World(rates=(0.5,), shared=1.0), plan, schedule).steps()
    assert pods == pytest.approx(few, rel=0.12)
    assert many < 0.7 * pods
    few, many, pods = race(World(rates=(0.03,), shared=1.0), plan, schedule).steps()
    assert many < pods
    assert 1.5 < few / pods < 2  # √(n/m) at most


def test_waves_change_the_bill_and_nothing_else() -> None:
    schedule = Schedule(prompts=8, steps=10, seeds=4)
    world = World(rates=(0.05, 0.5))
    plain, waves = (simulate(world, Plan(rollouts=32, keep=8, waves=w), schedule) for w in (False, True))
    np.testing.assert_array_equal(plain.accuracy_ST, waves.accuracy_ST)
    np.testing.assert_allclose(plain.generated_ST, np.tile(32.0 * np.arange(11), (4, 1)))
    per_step_ST = np.diff(waves.generated_ST, axis=1)
    assert per_step_ST.min() >= 8
    assert per_step_ST.mean() < 31


@pytest.mark.parametrize(("rollouts", "keep"), [(12, 4), (13, 4), (11, 3), (6, 6), (9, 1)])
def test_waves_end_as_a_loop_says(rollouts: int, keep: int) -> None:
    right_SPN = np.random.default_rng(0).random((5, 40, rollouts)) < 0.3
    found_SP = generated(right_SPN, Plan(rollouts=rollouts, keep=keep, waves=True))
    for right_N, found in zip(right_SPN.reshape(-1, rollouts), found_SP.flatten(), strict=True):
        drawn = 0
        while drawn < rollouts:
            drawn = min(drawn + keep, rollouts)
            right = int(right_N[:drawn].sum())
            halves = {keep // 2, keep - keep // 2}
            if any(right >= half and drawn - right >= keep - half for half in halves):
                break
        assert found == drawn


def test_reach_by_hand() -> None:
    accuracy_ST = np.array([[0.1, 0.2, 0.4], [0.1, 0.4, 0.6]])
    course = Course(grpo(2), 3, accuracy_ST, np.array([[0.0, 2.0, 6.0], [0.0, 2.0, 4.0]]))
    assert course.reach(0.1) == (0.0, 0.0)
    assert course.reach(0.2) == pytest.approx((0.5, 1.0))
    assert course.reach(0.4) == pytest.approx((1.5, 3.5))
    assert course.reach(0.3, np.array([0, 0])) == pytest.approx((1.5, 4.0))
    assert course.reach(0.51) == (math.inf, math.inf)
    costs = Costs(generate=1.0, train=10.0, step=100.0)
    assert course.seconds(course.reach(0.4), costs) == pytest.approx(150 + 3 * (3.5 + 30))
    waves = replace(course, plan=Plan(rollouts=8, keep=2, waves=True))
    once, again = (c.seconds(c.reach(0.4), Costs(generate=0.0, train=0.0, wave=100.0)) for c in (course, waves))
    assert (once, again) == pytest.approx((100 * 1.5, 100 * 3.5 / 2))
    assert course.seconds(course.reach(0.51), costs) == math.inf


def test_the_target_is_a_share_of_the_gain() -> None:
    # 99 % of the best accuracy would be met before the first step.
    assert gain_target(np.array([[0.90, 0.90, 0.91], [0.98, 1.0, 0.98]])) == pytest.approx(0.94 + 0.99 * 0.01)


def test_a_plan_that_never_arrives_is_no_gain() -> None:
    up, flat = np.array([[0.1, 0.5]]), np.array([[0.1, 0.1]])
    counts = np.array([[0.0, 4.0]])
    few, never = Course(grpo(4), 1, up, counts), Course(PODS, 1, flat, counts)
    assert Race(few, few, never).speedups(Costs(generate=1.0, train=1.0)) == (0.0, 0.0)
    stuck = Race(few, Course(grpo(16), 1, flat, counts), Course(PODS, 1, up, counts))
    assert stuck.speedups(Costs(generate=1.0, train=1.0))[1] == math.inf


def test_it_stops_once_the_target_is_sure() -> None:
    schedule = Schedule(prompts=8, steps=200, seeds=4)
    course = simulate(World(rates=(0.3,)), grpo(8), schedule, until=0.35)
    assert course.accuracy_ST.shape[1] < 150
    mean_T, error_T = course.accuracy_ST.mean(axis=0), course.accuracy_ST.std(axis=0, ddof=1) / 2
    assert mean_T[-1] - 3 * error_T[-1] >= 0.35
    assert (mean_T - 3 * error_T)[:-1].max() < 0.35


def test_the_seed_decides() -> None:
    schedule = Schedule(prompts=4, steps=5, seeds=2)
    first, again = (simulate(World(), PODS, schedule).accuracy_ST for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, simulate(World(), PODS, replace(schedule, seed=1)).accuracy_ST)


def test_a_map_is_its_races() -> None:
    schedule = Schedule(prompts=8, steps=15, seeds=4)
    found = regime_map(World(), schedule, keep=4, widths=(2, 4), ratios=(0.0, 1.0, 64.0))
    single = race(World(), PODS, schedule)
    for r, ratio in enumerate((0.0, 1.0, 64.0)):
        costs = Costs(generate=1.0, train=ratio)
        assert (found.over_few_WR[1, r], found.over_many_WR[1, r]) == pytest.approx(single.speedups(costs))
        assert found.over_better()[1, r] == pytest.approx(single.over_better(costs))
        assert (found.low_WR[1, r], found.high_WR[1, r]) == pytest.approx(tuple(single.intervals([costs])[0]))
    assert found.steps_WC[1] == pytest.approx(single.steps())
    # The dearer an update, the better for training on fewer.
    assert (np.diff(found.over_few_WR, axis=1) > 0).all()
    assert (np.diff(found.over_many_WR, axis=1) > 0).all()
    assert (found.low_WR <= found.over_better() + 1e-9).all()
    assert (found.high_WR >= found.over_better() - 1e-9).all()


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 4.0), (3.0, 3.0), (2.0, 30.0)])
def test_the_beta_behind_counts_is_found(alpha: float, beta: float) -> None:
    rng = np.random.default_rng(0)
    drawn_P = rng.integers(8, 33, size=20_000)
    found = fit_beta(rng.binomial(drawn_P, rng.beta(alpha, beta, size=20_000)), drawn_P)
    assert found == pytest.approx((alpha, beta), rel=0.1)


def test_a_beta_at_its_ends() -> None:
    drawn_P = np.full(50, 16)
    alike = fit_beta(np.full(50, 8), drawn_P)
    assert alike == pytest.approx((499.5, 499.5), rel=1e-6)
    alpha, beta = fit_beta(np.repeat([0, 16], 25), drawn_P)
    assert alpha == pytest.approx(beta)
    assert alpha < 0.01
    alpha, beta = fit_beta(np.zeros(50, dtype=int), drawn_P)
    assert alpha / (alpha + beta) == pytest.approx(0.5 / 801)
    for correct, drawn in (([3], [4]), ([1, 1], [1, 4]), ([5, 1], [4, 4])):
        with pytest.raises(ReachlabError, match="two or more"):
            fit_beta(np.array(correct), np.array(drawn))


def test_names() -> None:
    assert grpo(16).name == "GRPO 16"
    assert Plan(rollouts=64, keep=16, waves=True).name == "PODS 64 → 16 waves"
    assert Plan(rollouts=64, keep=16, rule="random").name == "random 64 → 16"


def test_refuses() -> None:
    for refused in (
        lambda: Plan(rollouts=4, keep=5),
        lambda: Plan(rollouts=4, keep=0),
        lambda: Plan(rollouts=4, keep=2, rule="best"),
        lambda: Plan(rollouts=4, keep=2, rule="random", waves=True),
        lambda: World(alpha=0.0),
        lambda: World(rates=(0.5, 1.5)),
        lambda: World(noise=-1.0),
        lambda: Costs(generate=-1.0, train=1.0),
        lambda: Costs(generate=1.0, train=math.inf),
        lambda: Schedule(lr=0.0),
        lambda: Schedule(seeds=0),
        lambda: regime_map(World(), Schedule(), widths=(1,)),
        lambda: regime_map(World(), Schedule(), ratios=(-1.0,)),
    ):
        with pytest.raises(ReachlabError, match="regime"):
            refused()
