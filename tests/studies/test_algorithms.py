import io
import json
from collections.abc import Iterator, Sequence
from itertools import combinations, product
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from tests.conftest import Command
from tests.tiny import TASK

from reachlab.boundary.outcomes import Outcomes
from reachlab.errors import ReachlabError
from reachlab.rl.algorithms import ALGORITHMS
from reachlab.studies import algorithms
from reachlab.studies.algorithms import NAMES, algorithm_stages, print_rows, run_algorithms, summarise
from reachlab.studies.config import AlgorithmsConfig
from reachlab.studies.stages import Stage
from reachlab.training.config import PretrainConfig
from reachlab.training.rl_config import RLConfig


def outcomes(name: str, n: Sequence[int], c: Sequence[int], first: str = "p0") -> Outcomes:
    ids = (first, *(f"p{i}" for i in range(1, len(n))))
    return Outcomes(name=name, problem_ids=ids, n_P=np.array(n), c_P=np.array(c), unscored_P=np.zeros(len(n), int))


def by_hand(n: int, c: int, k: int) -> float:
    """pass@k over every k of n samples, of which the first c are right."""
    return fmean(float(min(chosen) < c) for chosen in combinations(range(n), k))


# -- stages -------------------------------------------------------------------------------------------------------


@pytest.fixture
def parsed(command: Command, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stage's configuration as the command line reads it; nothing is run."""
    seen: list[Any] = []

    def note(config: Any, *_: Any) -> SimpleNamespace:
        seen.append(config)
        return SimpleNamespace(stored=0, drawn=0)

    monkeypatch.setattr("reachlab.training.rl.train_rl", note)
    monkeypatch.setattr("reachlab.training.supervised.pretrain", note)
    monkeypatch.setattr("reachlab.sampling.run.sample", note)

    def parse(stage: Stage) -> Any:
        code, _, err = command(*stage.command)
        assert code == 0, err
        return seen[-1]

    return parse


@pytest.mark.parametrize("base", ["", "runs/mine"], ids=["from nothing", "from a checkpoint"])
def test_every_stage_is_a_command(parsed: Any, base: str) -> None:
    config = AlgorithmsConfig(
        out="runs/x", base=base, seeds=2, steps=5, rollouts=8, select="--rule max_variance --keep 4"
    )
    stages = algorithm_stages(config, cores=3)
    found = {stage.name: parsed(stage) for stage in stages}
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


def test_a_base_of_another_task_learns_that_task(parsed: Any) -> None:
    base, *_ = algorithm_stages(AlgorithmsConfig(task="chain,length=3"), cores=2)
    assert parsed(base).data == "chain,length=3"


# -- the table ----------------------------------------------------------------------------------------------------


def test_numbers_by_enumeration() -> None:
    n, base = (4, 5), outcomes("base", (4, 5), (1, 0))
    counts = {"grpo": [(3, 1), (2, 0)], "ppo": [(0, 5), (4, 4)]}
    trained = {name: [outcomes(name, n, c) for c in seeds] for name, seeds in counts.items()}
    first, *rows = summarise(base, trained, resamples=4000)
    start = [[by_hand(m, c, k) for m, c in zip(n, (1, 0), strict=True)] for k in (1, 4)]
    assert first.name == "base"
    assert (first.pass_1[0], first.pass_most[0]) == pytest.approx((fmean(start[0]), fmean(start[1])))
    assert first.gap[0] == pytest.approx(fmean(start[1]) - fmean(start[0]))
    assert first.moved == (0.0, 0.0, 0.0)
    assert [row.name for row in rows] == ["grpo", "ppo"]
    for row in rows:
        # found[k][seed][problem]
        found = [[[by_hand(m, c, k) for m, c in zip(n, cs, strict=True)] for cs in counts[row.name]] for k in (1, 4)]
        # Two problems and two seeds, drawn with replacement: 16 resamples, each likelier than an interval's tail. So
        # the interval's ends are the least and the largest of them.
        pairs = list(product((0, 1), repeat=2))

        def mean(k: int, seeds: tuple[int, ...], problems: tuple[int, ...], found: Any = found) -> float:
            return fmean(found[k][s][p] for s in seeds for p in problems)

        def ends(values: Sequence[float]) -> Any:
            return pytest.approx((values[0], min(values[1:]), max(values[1:])), abs=1e-12)

        whole = ((0, 1), (0, 1))
        cases = [whole, *product(pairs, pairs)]
        assert row.pass_1 == ends([mean(0, s, p) for s, p in cases])
        assert row.pass_most == ends([mean(1, s, p) for s, p in cases])
        # Paired: the base is resampled with the same problems.
        assert row.gap == ends([fmean(start[1][i] for i in p) - mean(0, s, p) for s, p in cases])
        assert row.moved == ends([mean(1, s, p) - fmean(start[1][i] for i in p) for s, p in cases])


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
    print_rows(rows, 4, Console(file=written, width=160))
    lines = {line.split()[0]: line for line in written.getvalue().splitlines() if line.split()}
    assert "25.0 (25.0 to 25.0)" in lines["base"]
    assert "75.0 (75.0 to 75.0)" in lines["grpo"]
    assert "+0.0 (+0.0 to +0.0)" in lines["grpo"]
    assert "-100.0 (-100.0 to -100.0)" in lines["ppo"]


# -- the whole study ------------------------------------------------------------------------------------------------


@pytest.fixture
def threads() -> Iterator[None]:
    """Stages set the number of threads of this process; put it back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("threads")
def test_from_a_checkpoint_to_a_report(
    tmp_path: Path, checkpoint: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command of the study, with next to no training, in this process."""

    def one_after_the_other(stages: Sequence[Stage], cores: int) -> dict[str, float]:
        finished: dict[str, float] = {}
        for stage in stages:
            assert set(stage.needs) <= finished.keys()
            code, _, err = command(*stage.command)
            assert code == 0, err
            finished[stage.name] = 1.0
        return finished

    monkeypatch.setattr(algorithms, "run_stages", one_after_the_other)
    config = AlgorithmsConfig(
        out=str(tmp_path / "study"), base=str(checkpoint), task=TASK, seeds=1, steps=2, prompts=2, rollouts=4,
        max_tokens=4, problems=4, samples=6,
    )  # fmt: skip
    page = run_algorithms(config)
    assert "<html" in page.read_text()
    found = json.loads((tmp_path / "study" / "algorithms.json").read_text())
    assert [row["name"] for row in found["rows"]] == ["base", *NAMES]
    assert found["config"]["samples"] == found["k"] == 6
