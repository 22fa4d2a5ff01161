import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from tests.pairing.matching_runs import asked, stored

from reachlab.commands.words import COMMANDS
from reachlab.models.origin import Origin
from reachlab.reporting.entries import read_entries
from reachlab.reporting.making import MadeBy, stages
from reachlab.runs import RunFolder, kept_at
from reachlab.store.samples import SampleStore
from reachlab.training.beginning import config_identity
from reachlab.training.config import PretrainConfig
from reachlab.training.recipes import settle_rl
from reachlab.training.rl_config import RLConfig


def test_stages_come_in_order_and_a_shared_one_once(demo: Any) -> None:
    found = stages(read_entries(*demo))
    assert [stage.title for stage in found] == [
        "pretrain: train-base",
        "rl: train-grpo",
        "rl: train-pods",
        "distill: train-distilled",
        "sample: base",
        "sample: grpo",
        "sample: pods",
        "sample: distilled",
        "report: this page",
    ]
    # What these runs hold is no command's: they say so.
    assert found[0].words == ()
    assert found[0].note == "it has settings that this version does not know: seed, steps"
    folders = [run.url for run in demo[1]]
    assert found[-1].words == ("report", *folders)


def test_commands_read_what_those_before_them_write(tmp_path: Path, make: SimpleNamespace) -> None:
    """Checkpoints that were kept on the way, in folders that moved together."""
    before, after = tmp_path / "before", tmp_path / "after"
    run_of(before / "base", PretrainConfig(data="countdown", out="o"))
    run_of(before / "rl", settled(), before / "base" / "model")
    steps = {"a": 10, "b": 25, "c": None}
    for name, step in steps.items():
        model = before / "rl" / (kept_at(step) if step else "model")
        make.samples(before / name, np.array([[0, 1]]), model_path=model)
    before.rename(after)
    found = stages(read_entries(*make.measure([RunFolder(after / name) for name in steps])))
    said = [shlex.split(" ".join(stage.pieces)) for stage in found]
    assert value(said[0], "--out") == f"{after}/base"
    assert "--keep-every" not in said[0]
    assert value(said[1], "--model") == f"{after}/base/model"
    assert value(said[1], "--out") == f"{after}/rl"
    assert value(said[1], "--keep-every") == "5"
    models = [value(words, "--model") for words in said[2:5]]
    assert models == [f"{after}/rl/checkpoints/step-{n}" for n in ("000010", "000025")] + [f"{after}/rl/model"]


def test_checkpoints_of_a_run_that_no_command_makes(tmp_path: Path, make: SimpleNamespace) -> None:
    make.training(tmp_path / "rl", "rl", 9)
    run = make.samples(tmp_path / "s", np.array([[0, 1]]), model_path=tmp_path / "rl" / kept_at(4))
    found = stages(read_entries(*make.measure([run])))[0]
    assert found.words == ()
    assert found.note.endswith("; of it the checkpoints of steps 4 are used below")


def test_every_run_of_a_recipe_has_its_training(tmp_path: Path, make: SimpleNamespace) -> None:
    runs = []
    for seed in "12":
        make.training(tmp_path / f"rl-{seed}", "rl", 9)
        runs.append(make.samples(tmp_path / f"s-{seed}", np.array([[0, 1]]), model_path=tmp_path / f"rl-{seed}"))
    comparison, _ = make.measure(runs[:1], ["both"])
    (entry,) = read_entries(comparison, [[SampleStore(run) for run in runs]])
    assert [stage.title for stage in stages([entry])][:2] == ["rl: rl-1", "rl: rl-2"]


def test_the_engine_is_who_drew(tmp_path: Path, make: SimpleNamespace) -> None:
    store = stored(tmp_path / "s", asked(), config={"ask": {"template": "plain"}}, engine="vllm",
                   facts={"model_path": "m"})  # fmt: skip
    found = stages(read_entries(*make.measure([store.folder])))[0]
    assert value(found.words, "--engine") == "vllm"


def run_of(folder: Path, config: Any, parent: Path | None = None) -> None:
    """A training run with the settings of a configuration."""
    run = RunFolder(folder)
    settings = json.loads(json.dumps(config_identity(config) | ({"ask": {"template": "plain"}} if parent else {})))
    run.claim(COMMANDS[type(config)], settings, {"model_path": str(parent)} if parent else {})
    run.write("metrics.jsonl", b'{"step": 1, "loss": 2.0}\n')


def settled() -> RLConfig:
    return settle_rl(RLConfig(model="m", task="countdown", out="o"), Origin(here=False, parameters=10**8))


def value(words: Sequence[str], option: str) -> str:
    return words[[*words].index(option) + 1]


def test_the_page_by_names_of_ones_own(tmp_path: Path, make: SimpleNamespace) -> None:
    runs = [make.samples(tmp_path / name, np.array([[0, 1]])) for name in ("a", "b")]
    entries = read_entries(*make.measure(runs, ["a", "other"]))
    assert stages(entries)[-1].words == ("report", runs[0].url, f"other={runs[1].url}")
    given = ("report", "x", "--title", "A 'b'")
    assert stages(entries, given)[-1].words == given


def test_an_option_stays_with_its_values_and_a_shell_reads_all() -> None:
    words = ("sample", "--stop", "a b", "it's", "--task", "$(x)", "--seed", "3")
    stage = MadeBy(title="t", words=words)
    assert stage.pieces == ["reachlab sample", """--stop 'a b' 'it'"'"'s'""", "--task '$(x)'", "--seed 3"]
    assert shlex.split(" ".join(stage.pieces)) == ["reachlab", *words]
    assert MadeBy(title="t", words=()).pieces == []
