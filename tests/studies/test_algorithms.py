import json
from pathlib import Path

import pytest
from tests.studies.conftest import RunStages
from tests.tiny import TASK

from reachlab.rl.algorithms import ALGORITHMS
from reachlab.studies import sweep
from reachlab.studies.algorithms import algorithms, run_algorithms
from reachlab.studies.config import AlgorithmsConfig
from reachlab.studies.sweep import sweep_stages


def test_every_algorithm_is_a_variant_and_its_runs_have_its_name() -> None:
    config = AlgorithmsConfig(seeds=2)
    found = algorithms(config)
    assert {variant.name for variant in found.variants} == set(ALGORITHMS)
    runs = {stage.name for stage in sweep_stages(found, config, cores=1)}
    assert {f"{name}-{seed}" for name in ALGORITHMS for seed in (0, 1)} < runs


@pytest.mark.slow
def test_from_a_checkpoint_to_a_report(
    tmp_path: Path, checkpoint: Path, one_after_the_other: RunStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command of the study, with next to no training, in this process."""
    monkeypatch.setattr(sweep, "run_stages", one_after_the_other)
    config = AlgorithmsConfig(
        out=str(tmp_path / "study"), base=str(checkpoint), task=TASK, seeds=1, steps=2, prompts=2, rollouts=4,
        max_tokens=4, problems=4, samples=6,
    )  # fmt: skip
    page = run_algorithms(config)
    assert "<html" in page.read_text()
    found = json.loads((tmp_path / "study" / "algorithms.json").read_text())
    assert found.keys() == {"k", "config", "rows"}
    assert [row["name"] for row in found["rows"]] == ["base", *ALGORITHMS]
    assert found["config"]["samples"] == found["k"] == 6
