import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.studies.conftest import RunStages
from tests.tiny import TASK, loud, tiny_config
from transformers import PreTrainedTokenizerBase

from reachlab.errors import ReachlabError
from reachlab.measures.config import EntropyConfig
from reachlab.models.build import build_model
from reachlab.models.checkpoint import save_model
from reachlab.sampling.config import SampleConfig
from reachlab.studies import temperature as module
from reachlab.studies.config import TemperatureConfig
from reachlab.studies.curves import label
from reachlab.studies.stages import Stage
from reachlab.studies.temperature import (
    entropy_stages,
    matched_points,
    points,
    run_temperature,
    sample_stage,
)


def config_of(**changes: Any) -> TemperatureConfig:
    settings: dict[str, Any] = {"base": "runs/base", "model": ("runs/rl", "runs/sft"), "task": TASK, **changes}
    return TemperatureConfig(**settings)


def test_the_base_at_the_matched_entropys_temperature_comes_first() -> None:
    config = config_of(temperatures=(1.0, 0.25, 1.0), at=0.6)
    labels = label([config.base, *config.model])
    found = points(config, labels)
    assert [point.name for point in found] == [
        "base T=0.6", "base T=1", "base T=0.25", "rl T=1", "rl T=0.25", "sft T=1", "sft T=0.25",
    ]  # fmt: skip
    found += matched_points(labels, {path: {"temperature": 0.7432} for path in config.model})
    assert [(p.name, p.temperature) for p in found[-2:]] == [
        ("rl T=0.743 (matched)", 0.743),
        ("sft T=0.743 (matched)", 0.743),
    ]
    assert len({point.samples for point in found}) == len(found)


def test_every_stage_is_a_command(parsed: Callable[[Stage], Any]) -> None:
    config = config_of(
        temperatures=(0.6, 1.2), at=0.5, split="all", problems=9, samples=8, max_tokens=7, entropy_problems=6,
        entropy_samples=5, seed=4, dtype="bfloat16", device="cpu", out="o",
    )  # fmt: skip
    labels = label([config.base, *config.model])
    for path, stage in zip(labels, entropy_stages(config, labels), strict=True):
        found: EntropyConfig = parsed(stage)
        base = path == config.base
        assert (found.model, found.match, found.out) == (path, "" if base else config.base, f"o/entropy/{labels[path]}")
        assert found.temperature == ((0.5, 0.6, 1.2) if base else (0.6, 1.2))
        assert found.at == (0.6 if base else 0.5)
        assert (found.task, found.split, found.problems, found.samples, found.max_tokens) == (TASK, "all", 6, 5, 7)
        assert (found.seed, found.dtype, found.device) == (4, "bfloat16", "cpu")
    for point in points(config, labels):
        drawn: SampleConfig = parsed(sample_stage(config, point))
        assert (drawn.model, drawn.out) == (point.model, f"o/samples/{point.samples}")
        assert drawn.decoding.temperature == point.temperature
        assert (drawn.task, drawn.split, drawn.problems, drawn.samples, drawn.seed) == (TASK, "all", 9, 8, 4)
        assert (drawn.decoding.max_tokens, drawn.dtype, drawn.device) == (7, "bfloat16", "cpu")
    unmatched = entropy_stages(config_of(matched=False), labels)
    assert all("--match" not in stage.command for stage in unmatched)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": ()}, "--model is needed"),
        ({"model": ("runs/base",)}, "one model twice"),
        ({"model": ("runs/rl", "runs/rl")}, "one model twice"),
        ({"temperatures": (0.0,)}, "temperature=0.0 must be above 0"),
        ({"at": -1.0}, "temperature=-1.0 must be above 0"),
        ({"entropy_samples": 0}, "entropy_samples=0 must be 1 or more"),
        ({"problems": 0}, "problems=0 must be 1 or more"),
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        config_of(**changes)


@pytest.mark.slow
def test_from_two_models_to_a_table(
    checkpoint: Path,
    tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
    one_after_the_other: RunStages,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "run_stages", one_after_the_other)
    monkeypatch.setenv("COLUMNS", "160")
    save_model(tmp_path / "base", loud(build_model(tiny_config(), tokenizer, seed=0), 0.2), tokenizer)
    config = config_of(
        base=str(tmp_path / "base"), model=(str(checkpoint),), temperatures=(0.6, 1.0), problems=3, samples=4,
        max_tokens=5, entropy_problems=20, entropy_samples=2, device="cpu", out=str(tmp_path / "study"),
    )  # fmt: skip
    assert "<html" in run_temperature(config).read_text()
    said = capfd.readouterr().out
    found = json.loads((tmp_path / "study" / "temperature.json").read_text())
    matched = found["matches"]["qwen3"]
    assert matched["temperature"] > 0.6  # its logits are larger than its base's
    name = f"qwen3 T={round(matched['temperature'], 3):g} (matched)"
    assert [row["name"] for row in found["rows"]] == ["base T=0.6", "base T=1", "qwen3 T=0.6", "qwen3 T=1", name]
    entropies = [row["entropy"]["nats"] for row in found["rows"]]
    assert entropies[0] < entropies[1]
    assert entropies[2] < entropies[3]
    assert entropies[4] == pytest.approx(entropies[0], abs=0.05)
    assert found["k"] == [1, 2, 4]
    assert name in said
    assert "qwen3 has the entropy of base at 0.6 at temperature " in said
    with monkeypatch.context() as patch:
        patch.setattr("reachlab.measures.entropy.load_model", lambda *_: pytest.fail("measured before"))
        run_temperature(config)
    assert json.loads((tmp_path / "study" / "temperature.json").read_text()) == found
