"""Studies without processes of their own: every stage is a command in this process."""

from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.conftest import Command

from reachlab.studies.stages import Stage
from reachlab.studies.times import StageTimes

RunStages = Callable[..., dict[str, float]]


@pytest.fixture
def one_after_the_other(command: Command) -> Iterator[RunStages]:
    """What stands in for `run_stages`. Stages set the number of threads of this process; it is put back."""
    before = torch.get_num_threads()

    def run(stages: Sequence[Stage], cores: int, times: StageTimes | None = None) -> dict[str, float]:
        finished: dict[str, float] = {}
        for stage in stages:
            assert set(stage.needs) <= finished.keys()
            code, _, err = command(*stage.command)
            assert code == 0, err
            finished[stage.name] = 1.0
            if times is not None:
                times.begin(stage.name)
                times.end(stage.name, 1.0, worked=True)
        return finished

    yield run
    torch.set_num_threads(before)


@pytest.fixture
def parsed(command: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[[Stage], Any]:
    """A stage's configuration as the command line reads it; nothing is run."""
    seen: list[Any] = []

    def note(config: Any, *_: Any) -> SimpleNamespace:
        seen.append(config)
        return SimpleNamespace(stored=0, drawn=0, ended=0, lines=list, doubts=None, completions=None)

    for work in ("training.rl.train_rl", "training.pretrain.pretrain", "sampling.run.sample"):
        monkeypatch.setattr(f"reachlab.{work}", note)
    monkeypatch.setattr("reachlab.measures.entropy.measure_entropy", note)

    def parse(stage: Stage) -> Any:
        code, _, err = command(*stage.command)
        assert code == 0, err
        return seen[-1]

    return parse
