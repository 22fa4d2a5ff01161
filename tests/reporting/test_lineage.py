import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.reporting.lineage import Ancestor, ancestors, thin_steps
from reachlab.reporting.sentences import trained
from reachlab.runs import RunFolder


def test_the_line_of_training_runs_is_followed_to_its_start(tmp_path: Path, make: SimpleNamespace) -> None:
    make.training(tmp_path / "base", "pretrain", 3)
    make.training(tmp_path / "rl", "rl", 3, parent=tmp_path / "base" / "model")
    run = make.samples(tmp_path / "samples", np.ones((1, 1)), model_path=tmp_path / "rl")
    found = ancestors(run.read_json("run.json"), run)
    assert [(t.kind, t.folder.name) for t in found] == [("rl", "rl"), ("pretrain", "base")]


def test_runs_that_moved_together_still_find_each_other(tmp_path: Path, make: SimpleNamespace) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    make.training(before / "base", "pretrain", 3)
    run = make.samples(before / "samples", np.ones((1, 1)), model_path=before / "base" / "model")
    before.rename(after)
    run = RunFolder(after / "samples")
    assert [t.folder.path for t in ancestors(run.read_json("run.json"), run)] == [str(after / "base")]


def test_a_model_that_was_drawn_from_in_its_training_came_out_of_the_run_around_it(
    tmp_path: Path, make: SimpleNamespace
) -> None:
    start = make.training(tmp_path / "start", "pretrain", 3)
    rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]
    watch = training(tmp_path / "watch", *rows).folder
    facts = {"live": {"step": 1, "start": str(start.path)}, "model_path": "said to a person"}
    beside = RunFolder(tmp_path / "watch" / "step-000001")
    assert ancestors({"facts": facts}, beside) == []  # no run.json
    watch.write("run.json", json.dumps({"kind": "watch", "facts": {"model_path": str(start.path)}}))
    found = ancestors({"facts": facts}, beside)
    assert [(t.kind, t.folder.name, t.until) for t in found] == [("watch", "watch", 1), ("pretrain", "start", None)]
    assert [row["loss"] for row in found[0].rows] == [2.0]
    facts["live"] = {"step": 0, "start": str(start.path)}
    assert [t.folder.name for t in ancestors({"facts": facts}, beside)] == ["start"]
    facts["live"] = {"step": 0, "start": ""}
    assert ancestors({"facts": facts}, beside) == []


@pytest.mark.parametrize("facts", [None, {}, {"model_path": None}, {"model_path": "/no/such/folder"}, [], "x"])
def test_no_training_run_is_no_error(facts: object, tmp_path: Path) -> None:
    assert ancestors({"facts": facts}, RunFolder(tmp_path / "run")) == []


def test_a_run_that_names_itself_ends_the_line(tmp_path: Path, make: SimpleNamespace) -> None:
    run = make.training(tmp_path / "a", "rl", 1, parent=tmp_path / "b")
    make.training(tmp_path / "b", "rl", 1, parent=tmp_path / "a")
    assert [t.folder.name for t in ancestors(run.read_json("run.json"), run)] == ["b", "a"]


def test_a_broken_run_json_ends_the_line(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "run.json").write_text("{")
    assert ancestors({"facts": {"model_path": str(tmp_path / "base")}}, RunFolder(tmp_path / "run")) == []


def training(folder: Path, *rows: object) -> Ancestor:
    run = RunFolder(folder)
    run.write("metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    return Ancestor(run, {"kind": "rl"})


def test_series_are_ordered_and_finite(tmp_path: Path) -> None:
    found = training(
        tmp_path,
        {"step": 2, "loss": 1.0},
        {"step": 1, "loss": 3.0, "note": "warm-up", "done": True},
        {"step": 3, "loss": float("nan")},
        {"loss": 9.0},
        ["not an object"],
        {"step": 4, "reward": 0.5},
    )
    assert [x.tolist() for x in found.series("loss")] == [[1, 2], [3, 1]]
    assert [x.tolist() for x in found.series("reward")] == [[4], [0.5]]
    assert [x.tolist() for x in found.series("nothing")] == [[], []]
    assert found.measured() == ["step", "loss", "reward"]


def test_a_resumed_run_counts_a_step_once(tmp_path: Path) -> None:
    rows = [{"step": s, "loss": loss, "seconds_update": 1.5} for s, loss in ((1, 3.0), (2, 2.0), (2, 1.0))]
    found = training(tmp_path, *rows)
    assert found.series("loss")[1].tolist() == [3, 1]
    assert found.seconds() == {"update": 3.0}
    assert found.sittings == 1


def test_the_time_of_a_resumed_run_is_that_of_all_its_sittings(tmp_path: Path) -> None:
    rows = [{"step": 1, "seconds": 717.0}, {"step": 2, "seconds": 31.0, "sitting": 2}]
    found = training(tmp_path / "rl", *rows)
    assert (found.seconds(), found.sittings, found.measured()) == ({"step": 748.0}, 2, ["step", "seconds"])
    assert trained(found) == "rl (rl, 2 steps, 748 s in 2 sittings)"


def test_time_is_cut_into_phases_and_the_rest(tmp_path: Path) -> None:
    steps = [{"step": s, "seconds": 2.0, "seconds_generate": 1.0, "seconds_update": 0.5} for s in (1, 2)]
    assert training(tmp_path / "rl", *steps).seconds() == {"generate": 2.0, "update": 1.0, "other": 1.0}
    assert training(tmp_path / "pretrain", {"step": 1, "seconds": 2.0}).seconds() == {"step": 2.0}


def test_a_run_of_samples_is_no_training(tmp_path: Path, make: SimpleNamespace) -> None:
    run = make.samples(tmp_path / "base", np.ones((1, 1)), model_path=tmp_path / "elsewhere" / "base")
    assert ancestors(run.read_json("run.json"), run) == []


def test_no_metrics_is_no_error(tmp_path: Path) -> None:
    found = Ancestor(RunFolder(tmp_path), {})
    assert found.rows == []
    assert found.seconds() == {}
    assert found.kind == "training"


@given(st.integers(1, 2000), st.integers(1, 300))
def test_thinning_keeps_the_mean_order_and_range(n: int, most: int) -> None:
    x, y = np.arange(n, dtype=float), np.cos(np.arange(n))
    x_thin, y_thin = thin_steps(x, y, most)
    assert len(x_thin) == len(y_thin) == min(n, most)
    assert (np.diff(x_thin) > 0).all()
    assert y.min() - 1e-12 <= y_thin.min() <= y_thin.max() <= y.max() + 1e-12


def test_a_checkpoint_of_the_way_has_the_training_up_to_it(tmp_path: Path, make: SimpleNamespace) -> None:
    make.training(tmp_path / "before" / "base", "pretrain", 3)
    make.training(tmp_path / "before" / "rl", "rl", 9, parent=tmp_path / "before" / "base" / "model")
    kept = tmp_path / "before" / "rl" / "checkpoints" / "step-000004"
    run = make.samples(tmp_path / "before" / "samples", np.ones((1, 1)), model_path=kept)
    for place in ("before", "after"):
        rl, base = ancestors(run.read_json("run.json"), run)
        assert (rl.kind, rl.folder.path) == ("rl", str(tmp_path / place / "rl"))
        assert rl.series("step")[0].tolist() == [1, 2, 3, 4]
        assert base.series("step")[0].tolist() == [1, 2, 3]
        if place == "before":  # and where all moved together
            (tmp_path / "before").rename(tmp_path / "after")
            run = RunFolder(tmp_path / "after" / "samples")
