from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from tests.conftest import Command

from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.studies import demo, recipe
from reachlab.studies.config import DemoConfig
from reachlab.studies.stages import Stage
from reachlab.studies.times import StageTimes


@pytest.fixture
def threads() -> Iterator[None]:
    """Stages set the number of threads of this process; put it back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_from_nothing_to_a_report_and_again(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch, threads: None
) -> None:
    """Every command of the demo, with next to no training, in this process."""

    def one_after_the_other(stages: Sequence[Stage], cores: int, times: StageTimes) -> dict[str, float]:
        finished: set[str] = set()
        for stage in stages:
            assert set(stage.needs) <= finished
            code, _, err = command(*stage.command)
            assert code == 0, err
            finished.add(stage.name)
            times.begin(stage.name)
            times.end(stage.name, 1.0, worked=True)
        return dict.fromkeys(finished, 1.0)

    monkeypatch.setattr(recipe, "run_stages", one_after_the_other)
    config = DemoConfig(out=str(tmp_path / "demo"), problems=4, samples=6, scale=0.001)
    page = demo.run_demo(config)
    assert "<html" in page.read_text()
    names = [SampleStore(RunFolder(tmp_path / "demo" / "samples" / name)).outcomes() for name in recipe.MODELS]
    assert all(found.n_P.tolist() == [6] * 4 for found in names)
    assert len({found.problem_ids for found in names}) == 1
    weights = {p: p.stat().st_mtime_ns for p in (tmp_path / "demo").rglob("*.safetensors")}
    parts = {p: p.stat().st_mtime_ns for p in (tmp_path / "demo").rglob("*.parquet")}
    assert len(weights) == 4
    demo.run_demo(config)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "demo").rglob("*.safetensors")} == weights
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "demo").rglob("*.parquet")} == parts


@pytest.mark.parametrize("routing", ["dense", "topk", "default"])
def test_stages_need_stages_that_are_there(routing: str) -> None:
    config = DemoConfig(routing=routing)
    stages = recipe.recipe_stages(demo.demo_recipe(config), config)
    names = [s.name for s in stages]
    assert len(set(names)) == len(names) == 8
    assert all(set(s.needs) <= set(names) for s in stages)
    assert ("olmoe" in stages[0].command) == (routing != "dense")
    assert all(len(set(s.command)) > 5 for s in stages)
