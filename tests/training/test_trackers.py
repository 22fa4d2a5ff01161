import json
import sys
from pathlib import Path

import pytest

from reachlab.errors import ReachlabError
from reachlab.training.trackers import PACKAGES, Trackers, flatten, group

CONFIG = {"model": "base", "loop": {"steps": 5, "threads": None}, "rule": ("a", "b")}


def log(names: tuple[str, ...], folder: Path, first: int, last: int) -> None:
    with Trackers(names, folder, "night", CONFIG, first) as found:
        for t in range(first + 1, last + 1):
            found.log({"loss": t + first / 10, "seconds_update": 0.5, "reward": float("nan")}, t)


def test_names_become_groups() -> None:
    names = ["seconds_update", "eval_accuracy", "seconds", "groups_without_signal", "loss"]
    assert [group(n) for n in names] == ["seconds/update", "eval/accuracy", "seconds", "groups_without_signal", "loss"]


def test_a_configuration_becomes_flat() -> None:
    assert flatten(CONFIG) == {
        "model": "base",
        "loop.steps": 5,
        "loop.threads": "None",
        "rule": "('a', 'b')",
    }


def test_without_names_nothing_is_written(tmp_path: Path) -> None:
    log((), tmp_path, 0, 2)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReachlabError, match="no tracker is called 'paper': choose of tensorboard, wandb, trackio"):
        Trackers(("paper",), tmp_path, "night", {})


@pytest.mark.parametrize("name", PACKAGES)
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setitem(sys.modules, PACKAGES[name], None)
    with pytest.raises(ReachlabError, match=rf"--track {name} needs {PACKAGES[name]}, which is in reachlab\[track\]"):
        Trackers((name,), tmp_path, "night", {})
    assert list(tmp_path.iterdir()) == []


def test_a_broken_memory_is_named(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "trackers.json").write_text("[")
    with pytest.raises(ReachlabError, match=r"trackers\.json: not readable .* delete it"):
        Trackers(("tensorboard",), tmp_path, "night", {})


def test_tensorboard_hides_what_is_done_again(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log(("tensorboard",), tmp_path, 0, 3)
    log(("tensorboard",), tmp_path, 2, 5)
    found = events.EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    assert sorted(found.Tags()["scalars"]) == ["loss", "seconds/update"]
    assert [(e.step, round(e.value, 1)) for e in found.Scalars("loss")] == [
        (1, 1.0), (2, 2.0), (3, 3.2), (4, 4.2), (5, 5.2),
    ]  # fmt: skip
    (settings,) = tmp_path.glob("tensorboard/*/hparams.yml")
    assert "loop.steps: 5" in settings.read_text()


@pytest.mark.slow
def test_weights_and_biases_stays_offline_and_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    log(("wandb",), tmp_path, 0, 2)
    log(("wandb",), tmp_path, 2, 3)
    key = json.loads((tmp_path / "trackers.json").read_text())["key"]
    records = sorted(tmp_path.glob(f"wandb/offline-run-*-{key}/run-{key}.wandb"))
    assert records
    written = b"".join(r.read_bytes() for r in records)
    for word in (b"seconds/update", b"loss", b"loop.steps", b"night"):
        assert word in written
    assert b"reward" not in written


@pytest.mark.slow
def test_trackio_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    trackio = pytest.importorskip("trackio")
    if Path(trackio.utils.TRACKIO_DIR) != tmp_path / "trackio":
        pytest.skip("trackio was imported before, and writes to the user's own folder")
    log(("trackio",), tmp_path, 0, 2)
    log(("trackio",), tmp_path, 2, 3)
    assert capfd.readouterr().out == ""
    key = json.loads((tmp_path / "trackers.json").read_text())["key"]
    runs = [r for r in trackio.Api().runs("reachlab") if r.name == f"night-{key[:6]}"]
    assert len(runs) == 1
