import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from reachlab.report.entries import read_entries
from reachlab.report.making import MadeBy, stages


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
