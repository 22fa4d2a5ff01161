import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Command

from reachlab import installation
from reachlab.cli.doctor import lines
from reachlab.extras import EXTRAS
from reachlab.installation import Feature, look

TORCH: dict[str, Any] = {"version": "2.13.0", "cuda": None, "usable": False, "threads": 2, "gpus": []}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What torch and numba say, without asking them."""
    said: dict[str, Any] = {"torch": dict(TORCH), "numba": {"version": "0.68"}}
    monkeypatch.setattr(installation, "_ask", lambda _: said)
    return said


def by_extra(extra: str) -> Feature:
    return next(one for one in look().features if one.extra == extra)


def check(what: str) -> tuple[bool, str]:
    return next((one.fine, one.said) for one in look().checks if one.what == what)


@pytest.mark.usefixtures("asked")
def test_every_extra_is_looked_at() -> None:
    assert {one.extra for one in look().features} == {"", *EXTRAS}
    train = by_extra("train")
    assert train.usable
    assert set(train.packages) == set(EXTRAS["train"])
    assert train.get == ""


@pytest.mark.usefixtures("asked")
def test_what_is_missing_is_named_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    found = by_extra("lora")
    assert (found.usable, found.missing, found.get) == (False, ("peft",), "pip install 'reachlab[lora]'")
    assert "  no   adapters: rl --lora-rank, merge  [needs peft: pip install 'reachlab[lora]']" in lines(look())


def test_a_package_that_does_not_start_is_reported_and_not_fatal(asked: dict[str, Any]) -> None:
    asked["torch"] = {"broken": "OSError: libtorch.so: no such file"}
    assert not by_extra("train").usable
    assert check("torch") == (False, "does not start: OSError: libtorch.so: no such file")
    assert "torch does not start: OSError" in lines(look())[2]


def test_a_gpu_that_torch_does_not_use_is_noticed(asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    fine, said = check("GPU")
    assert not fine
    assert "torch 2.13.0 is a CPU build" in said
    asked["torch"] |= {"cuda": "13.0", "usable": True, "gpus": [{"name": "H", "gb": 139.8}]}
    assert check("GPU") == (True, "H (139.8 GB), CUDA 13.0")


@pytest.mark.usefixtures("asked")
def test_a_cache_that_cannot_be_written_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "models"))
    assert check("cache of the hub")[0]
    monkeypatch.setattr(installation, "_writable", lambda folder: folder != tmp_path)
    assert check("cache of the hub") == (
        False,
        f"{tmp_path / 'models'} cannot be written; HF_HOME names another folder",
    )
    monkeypatch.setattr(installation, "ROOM_GB", 1e9)
    assert check("cache of the hub")[0] is False
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("asked")
def test_old_packages_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "requires", lambda _: ["numpy>=99.1", 'torch>=1.2; extra == "train"', "none>=3"])
    fine, said = check("versions")
    assert not fine
    assert said.startswith("older than what Reachlab asks for: numpy ")
    assert said.endswith("(wanted: 99.1)")


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("raise SystemExit(3)", "its process ended with 3"),
        ("import os; os.abort()", "its process ended with"),
        ("import time; time.sleep(60)", "not imported within 0.5 s"),
        ('print(\'noise\'); print(\'{"torch": {"broken": "ImportError: x"}}\')', "ImportError: x"),
    ],
)
def test_however_torch_ends_it_is_told(monkeypatch: pytest.MonkeyPatch, program: str, says: str) -> None:
    monkeypatch.setattr(installation, "ASK_TORCH", program)
    monkeypatch.setattr(installation, "TORCH_S", 0.5 if "sleep" in program else 30)
    assert installation._ask(["torch", "no_such_package"])["torch"]["broken"].startswith(says)


@pytest.mark.usefixtures("asked")
def test_the_command_prints_json(command: Command) -> None:
    code, out, _ = command("doctor", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["torch"]["threads"] == 2
    assert all(one["get"] == "" for one in found["features"] if one["usable"])


def test_the_version_is_said(command: Command) -> None:
    code, out, _ = command("--version")
    assert code == 0
    assert out.startswith("reachlab 0.")


def test_looking_imports_nothing_heavy() -> None:
    code = (
        "import sys; from reachlab import installation; installation.ASK_TORCH = 'print({})'; installation.look(); "
        "print(sorted({'torch', 'transformers', 'numba', 'pandas', 'ray', 'datasets'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
