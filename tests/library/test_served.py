"""What `rl.serve` follows, and how it ends."""

import socket
import threading
import warnings
from pathlib import Path
from urllib.request import urlopen

import pytest
import uvicorn

import reachlab as rl
from reachlab.library.models import run_texts


def test_names_that_would_name_another_run_are_refused(runs: Path) -> None:
    assert run_texts({"base": runs / "base", "rl": [runs / "rl", runs / "rl2"]}) == (
        f"base={runs / 'base'}",
        f"rl={runs / 'rl'},{runs / 'rl2'}",
    )
    for models in (
        {"org/model": "runs/x"},
        {"lr=1e-5": "runs/y"},
        {"a:b": "runs/x"},
        {"a": "runs/x,y"},
        [Path("lr=1e-5")],
    ):
        with pytest.raises(ValueError, match="such a name or path cannot be followed; call the model otherwise"):
            rl.serve(models)


def test_it_stops_at_once_and_leaves_no_thread(runs: Path) -> None:
    before = set(threading.enumerate())
    server = rl.serve([runs / "base"])
    assert urlopen(server.url).status == 200  # it answers when the call returns
    port = int(server.url.rstrip("/").rpartition(":")[2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rl.ReachlabWarning)  # a comparison may go on for a moment
        server.stop()
    assert {thread.name for thread in set(threading.enumerate()) - before} <= {"comparing"}
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def test_what_ends_a_server_reaches_who_started_it(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no loop")

    monkeypatch.setattr(uvicorn.Server, "run", fails)
    with pytest.raises(RuntimeError, match="no loop"):
        rl.serve([runs / "base"])


def test_a_comparison_that_goes_on_is_said(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    def compare(*_: object, **__: object) -> None:
        go.wait(60)
        raise rl.ReachlabError("ended")

    monkeypatch.setattr("reachlab.library.served.compare_models", compare)
    server = rl.serve([runs / "base"])
    with pytest.warns(rl.ReachlabWarning, match="the comparison that it was making goes on until it is made"):
        server.stop()
    go.set()
