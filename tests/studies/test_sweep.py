import io
import json
from collections.abc import Callable, Sequence
from itertools import combinations, product
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from tests.studies.conftest import RunStages
from tests.tiny import TASK

from reachlab.boundary.outcomes import Outcomes
from reachlab.errors import ReachlabError
from reachlab.rl.algorithms import ALGORITHMS
from reachlab.studies import sweep as module
from reachlab.studies.algorithms import algorithms
from reachlab.studies.config import AlgorithmsConfig, KLConfig, RolloutsConfig, SweepConfig
from reachlab.studies.kl import kl, run_kl
from reachlab.studies.rollouts import rollouts
from reachlab.studies.stages import Stage
from reachlab.studies.sweep import Row, Sweep, effect, print_rows, scored_everywhere, stretch, summarise, sweep_stages
from reachlab.training.config import PretrainConfig
from reachlab.training.rl_config import RLConfig

Parse = Callable[[Stage], Any]


def outcomes(name: str, n: Sequence[int], c: Sequence[int], first: str = "p0") -> Outcomes:
    ids = (first, *(f"p{i}" for i in range(1, len(n))))
    return Outcomes(name=name, problem_ids=ids, n_P=np.array(n), c_P=np.array(c), unscored_P=np.zeros(len(n), int))


def by_hand(n: int, c: int, k: int) -> float:
    """pass@k over every k of n samples, of which the first c are right."""
    return fmean(float(min(chosen) < c) for chosen in combinations(range(n), k))


# -- stages -------------------------------------------------------------------------------------------------------


def swept(make: Any, config: Any, parsed: Parse, cores: int = 3) -> tuple[list[Stage], dict[str, Any]]:
    stages = sweep_stages(make(config), config, cores)
    return stages, {stage.name: parsed(stage) for stage in stages}


@pytest.mark.parametrize("base", ["", "runs/mine"], ids=["from nothing", "from a checkpoint"])
def test_every_stage_is_a_command(parsed: Parse, base: str) -> None:
    config = AlgorithmsConfig(
        out="runs/x", base=base, seeds=2, steps=5, rollouts=8, select="--rule max_variance --keep 4"
    )
    stages, found = swept(algorithms, config, parsed)
    assert len(found) == len(stages) == (not base) + 7 * 2 + 1 + 7 * 2
    assert all(set(stage.needs) <= found.keys() for stage in stages)
    start = base or "runs/x/base"
    runs = [run for run in found.values() if isinstance(run, RLConfig)]
    assert {(run.objective.algorithm, run.loop.seed) for run in runs} == {(n, s) for n in ALGORITHMS for s in (0, 1)}
    assert {(run.model, run.task, run.loop.steps, run.loop.threads, run.keep) for run in runs} == {
        (start, config.task, 5, 1, 4)
    }
    sampled = {name: run for name, run in found.items() if name.startswith("sample ")}
    assert {run.model for run in sampled.values()} == {start, *(run.out for run in runs)}
    # All on the same problems, and every one in a folder of its own.
    assert {(run.task, run.problems, run.samples) for run in sampled.values()} == {(config.task, 200, 256)}
    assert len({run.out for run in found.values()}) == len(found)
    if not base:
        assert isinstance(found["base"], PretrainConfig)
        assert (found["base"].out, found["base"].data, found["base"].loop.threads) == (start, "countdown,division=0", 3)


def test_a_base_of_another_task_learns_that_task(parsed: Parse) -> None:
    config = AlgorithmsConfig(task="chain,length=3")
    base, *_ = sweep_stages(algorithms(config), config, cores=2)
    assert parsed(base).data == "chain,length=3"


def test_numbers_of_rollouts_are_swept(parsed: Parse) -> None:
    config = RolloutsConfig(base="runs/mine", seeds=2, values=(4, 16), algorithm="rloo")
    _, found = swept(rollouts, config, parsed)
    runs = {name: run for name, run in found.items() if isinstance(run, RLConfig)}
    assert [*runs] == ["rollouts-16-0", "rollouts-4-0", "rollouts-16-1", "rollouts-4-1"]
    said = {(r.budget.rollouts, r.loop.seed, r.objective.algorithm, r.objective.kl) for r in runs.values()}
    assert said == {(n, seed, "rloo", 0.0) for n in (4, 16) for seed in (0, 1)}
    assert found["sample rollouts-4-1"].model == "runs/rollouts/rollouts-4-1"


def test_weights_of_the_kl_are_swept(parsed: Parse) -> None:
    config = KLConfig(base="runs/mine", seeds=1, values=(0.0, 1e-05, 0.1), rollouts=8)
    _, found = swept(kl, config, parsed)
    runs = {name: run for name, run in found.items() if isinstance(run, RLConfig)}
    assert {name: run.objective.kl for name, run in runs.items()} == {
        "kl-0-0": 0.0,
        "kl-1e-05-0": 1e-05,
        "kl-0.1-0": 0.1,
    }
    assert {(run.budget.rollouts, run.objective.algorithm, run.out) for run in runs.values()} == {
        (8, "grpo", f"runs/kl/{name}") for name in runs
    }


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RolloutsConfig(values=(4, 4)), r"values=\(4, 4\): give at least one, and none twice"),
        (lambda: RolloutsConfig(values=()), "give at least one"),
        (lambda: RolloutsConfig(values=(0, 4)), "numbers of rollouts: 1 or more"),
        (lambda: KLConfig(values=(-0.1, 1.0)), "weights: 0 or more"),
        (lambda: KLConfig(values=(float("nan"),)), "values=nan is no number"),
        (lambda: KLConfig(rollouts=0), "rollouts=0 must be 1 or more"),
        (lambda: AlgorithmsConfig(rollouts=0), "rollouts=0 must be 1 or more"),
        (lambda: AlgorithmsConfig(seeds=0), "seeds=0 must be 1 or more"),
    ],
)
def test_settings_that_cannot_be(make: Callable[[], SweepConfig], says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        make()


# -- the table ----------------------------------------------------------------------------------------------------


# Two problems and two seeds, drawn with replacement: 16 resamples, each likelier than an interval's tail. So the ends
# of an interval are the least and the largest of them.
PAIRS = list(product((0, 1), repeat=2))
N = (4, 5)


def values_of(counts: Sequence[Sequence[int]]) -> list[list[list[float]]]:
    """found[k][seed][problem], for k = 1 and 4."""
    return [[[by_hand(m, c, k) for m, c in zip(N, cs, strict=True)] for cs in counts] for k in (1, 4)]


def ends(values: Sequence[float]) -> Any:
    return pytest.approx((values[0], min(values[1:]), max(values[1:])), abs=1e-12)


def test_numbers_by_enumeration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "stretch", lambda seeds: 1.0)  # what is enumerated is the plain bootstrap
    base = outcomes("base", N, (1, 0))
    counts = {"grpo": [(3, 1), (2, 0)], "ppo": [(0, 5), (4, 4)]}
    trained = {name: [outcomes(name, N, c) for c in seeds] for name, seeds in counts.items()}
    first, *rows = summarise(base, trained, resamples=4000)
    start = [[by_hand(m, c, k) for m, c in zip(N, (1, 0), strict=True)] for k in (1, 4)]
    assert first.name == "base"
    assert (first.pass_1[0], first.pass_most[0]) == pytest.approx((fmean(start[0]), fmean(start[1])))
    assert first.gap[0] == pytest.approx(fmean(start[1]) - fmean(start[0]))
    assert first.moved == (0.0, 0.0, 0.0)
    assert [row.name for row in rows] == ["grpo", "ppo"]
    for row in rows:
        found = values_of(counts[row.name])

        def mean(k: int, seeds: tuple[int, ...], problems: tuple[int, ...], found: Any = found) -> float:
            return fmean(found[k][s][p] for s in seeds for p in problems)

        cases = [((0, 1), (0, 1)), *product(PAIRS, PAIRS)]
        assert row.pass_1 == ends([mean(0, s, p) for s, p in cases])
        assert row.pass_most == ends([mean(1, s, p) for s, p in cases])
        # Paired: the base is resampled with the same problems.
        assert row.gap == ends([fmean(start[1][i] for i in p) - mean(0, s, p) for s, p in cases])
        assert row.moved == ends([mean(1, s, p) - fmean(start[1][i] for i in p) for s, p in cases])


def test_the_effect_of_the_last_against_the_first_by_enumeration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "stretch", lambda seeds: 1.0)  # what is enumerated is the plain bootstrap
    counts = {"4": [(3, 1), (2, 0)], "32": [(4, 5), (1, 4)]}
    first, last = ([outcomes(name, N, c) for c in seeds] for name, seeds in counts.items())
    before, after = (values_of(seeds) for seeds in counts.values())
    # The same problems for both, and seeds of each one's own: 64 resamples.
    cases = [((0, 1), (0, 1), (0, 1)), *product(PAIRS, PAIRS, PAIRS)]
    for k, found in enumerate(effect(first, last, most=4, resamples=20_000)):
        moved = [
            fmean(after[k][s][i] for s in t for i in p) - fmean(before[k][s][i] for s in u for i in p)
            for t, u, p in cases
        ]
        assert found[0] == pytest.approx(moved[0])
        # A sixty-fourth is less than a tail: the ends are among the few lowest and highest.
        assert sorted(moved[1:])[0] <= found[1] <= sorted(moved[1:])[3]
        assert sorted(moved[1:])[-4] <= found[2] <= sorted(moved[1:])[-1]


def test_a_variant_has_no_effect_against_itself_on_one_seed() -> None:
    run = [outcomes("4", N, (3, 1))]
    assert effect(run, run, most=4, resamples=50) == ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))


def test_the_largest_k_is_what_every_problem_has_scored() -> None:
    base = outcomes("base", (8, 8), (1, 0))
    _, row = summarise(base, {"grpo": [outcomes("grpo", (8, 3), (1, 1))]}, resamples=10)
    assert row.pass_most[0] == pytest.approx(fmean([by_hand(8, 1, 3), by_hand(3, 1, 3)]))


def test_runs_on_other_problems_are_refused() -> None:
    base = outcomes("base", (4, 4), (1, 0))
    with pytest.raises(ReachlabError, match="not on the same problems"):
        summarise(base, {"grpo": [outcomes("grpo", (4, 4), (1, 0), first="other")]}, resamples=10)


def test_the_table_is_in_percent() -> None:
    base = outcomes("base", (4,), (1,))
    rows = summarise(base, {"grpo": [outcomes("grpo", (4,), (3,))], "ppo": [outcomes("ppo", (4,), (0,))]}, resamples=10)
    written = io.StringIO()
    print_rows(rows, 4, Console(file=written, width=160), "algorithm")
    lines = {line.split()[0]: line for line in written.getvalue().splitlines() if line.split()}
    assert "algorithm" in lines
    assert "25.0 (25.0 to 25.0)" in lines["base"]
    assert "75.0 (75.0 to 75.0)" in lines["grpo"]
    assert "+0.0 (+0.0 to +0.0)" in lines["grpo"]
    assert "-100.0 (-100.0 to -100.0)" in lines["ppo"]


@pytest.mark.parametrize(("width", "terminal"), [(80, True), (130, True), (80, False)])
def test_the_table_fits(width: int, terminal: bool) -> None:
    some = (0.123, 0.101, 0.456)
    rows = [Row(name="reinforce_pp", pass_1=some, pass_most=some, gap=some, moved=(-0.123, -0.456, 0.101))]
    written = io.StringIO()
    print_rows(rows, 1024, Console(file=written, width=width, force_terminal=terminal, color_system=None), "algorithm")
    text = written.getvalue()
    # No interval is broken in two.
    assert text.count("10.1 to 45.6") == 3
    assert text.count("-45.6 to +10.1") == 1
    assert max(map(len, text.splitlines())) <= (width if terminal else 120)
    assert ("(10.1 to 45.6)" in text) == (width > 80 or not terminal)


# -- a whole study ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_sweep_from_a_checkpoint_to_a_report(
    tmp_path: Path,
    checkpoint: Path,
    one_after_the_other: RunStages,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "run_stages", one_after_the_other)
    config = KLConfig(
        out=str(tmp_path / "study"), base=str(checkpoint), task=TASK, seeds=1, steps=1, prompts=2, rollouts=4,
        max_tokens=4, problems=3, samples=4, values=(0.0, 0.5),
    )  # fmt: skip
    page = run_kl(config)
    assert "<html" in page.read_text()
    said = capfd.readouterr().out
    assert "KL weight 0.5 less 0: pass@1 " in said
    found = json.loads((tmp_path / "study" / "kl.json").read_text())
    assert [row["name"] for row in found["rows"]] == ["base", "0", "0.5"]
    assert found["effect"]["of"] == "0.5"
    assert found["effect"]["against"] == "0"
    assert found["config"]["values"] == [0.0, 0.5]
    assert found["k"] == 4


def test_sweeps_have_files_and_folders_of_their_own() -> None:
    made: list[Sweep] = [algorithms(AlgorithmsConfig()), rollouts(RolloutsConfig()), kl(KLConfig())]
    assert len({sweep.file for sweep in made}) == 3
    for sweep in made:
        runs = [sweep.run(variant, seed) for variant in sweep.variants for seed in range(3)]
        assert len(set(runs)) == len(runs)
        assert "base" not in runs


@pytest.mark.slow
def test_equal_variants_seldom_differ() -> None:
    """Three seeds that scatter, the same in both variants: the interval of the effect holds 0 as often as promised."""
    rng = np.random.default_rng(0)
    simulations, problems, n, held = 150, 40, 16, 0

    def variant(chance_P: np.ndarray) -> list[Outcomes]:
        moved = [np.clip(chance_P + rng.normal(0, 0.08), 0, 1) for _ in range(3)]
        return [outcomes("run", [n] * problems, rng.binomial(n, m).tolist()) for m in moved]

    for _ in range(simulations):
        chance_P = rng.uniform(0.2, 0.8, problems)
        (_, low, high), _ = effect(variant(chance_P), variant(chance_P), most=n, resamples=300)
        held += low <= 0 <= high
    assert held / simulations >= 0.95 - 3 * (0.95 * 0.05 / simulations) ** 0.5


def test_one_seed_moves_nothing_and_many_are_normal() -> None:
    assert stretch(1) == 0
    assert stretch(3) == pytest.approx((3 / 2) ** 0.5 * 4.3027 / 1.95996, rel=1e-4)
    assert stretch(10_000) == pytest.approx(1, abs=1e-3)


def test_problems_without_a_scored_sample_are_left_out() -> None:
    base = outcomes("base", [4, 4, 4], [1, 2, 3])
    trained = {"a": [outcomes("a-0", [4, 0, 4], [4, 0, 1])], "b": [outcomes("b-0", [4, 4, 4], [0, 0, 1])]}
    kept, rest, left_out = scored_everywhere(base, trained)
    assert (kept.problem_ids, left_out) == (("p0", "p2"), 1)
    assert rest["a"][0].c_P.tolist() == [4, 1]
    with pytest.raises(ReachlabError, match="no problem has a scored sample in every run"):
        scored_everywhere(base, {"a": [outcomes("a-0", [0, 0, 0], [0, 0, 0])]})
