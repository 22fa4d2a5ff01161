import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.serving.conftest import comparing, more

from reachlab.errors import ReachlabError
from reachlab.serving import following
from reachlab.serving.following import Follower
from reachlab.serving.looking import Looker


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_S", 0.02)
    monkeypatch.setattr(following, "REST_S", 0.0)


def until(there: Callable[[], Any]) -> None:
    for _ in range(3000):
        if there():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


@pytest.mark.slow
def test_runs_are_followed_from_nothing_to_their_end(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later, train = runs / "later", str(runs / "train")
    follower = Follower([f"base={later}", f"rl={runs / 'rl'}", train], comparing(), "Title")
    first = follower.newest
    assert "there is no such folder yet" in first.html
    follower.start()
    until(lambda: follower.newest is not first)
    waiting = follower.newest
    # The base is missing, so nothing is compared: the other one alone would be taken for it.
    assert waiting.models == ()
    assert "training-0" in waiting.html
    assert follower.state()["said"] == [f"Waiting for {later}: there is no such folder yet"]
    assert [run["name"] for run in follower.state()["runs"]] == ["base", "rl", "train"]

    (runs / "base").rename(later)
    until(lambda: follower.newest.models)
    compared = follower.newest
    assert [model.name for model in compared.models] == ["base", "rl"]
    assert compared.shape != waiting.shape
    assert follower.state()["said"] == []

    more(later, 30, 35, right=True)
    until(lambda: follower.newest is not compared)
    assert follower.newest.shape == compared.shape
    assert follower.newest.models[0].count("p0") == 35
    assert follower.snapshot(compared.version) is compared
    assert compared.models[0].count("p0") == 30

    # A part that is damaged: the page before stays, and what is wrong is said.
    newest, part = follower.newest, next((later / "samples").glob("*.parquet"))
    whole = part.read_bytes()
    part.write_bytes(whole[:-100])
    until(lambda: any("not a readable part" in said for said in follower.state()["said"]))
    assert follower.newest is newest
    part.write_bytes(whole)
    until(lambda: not follower.state()["said"])

    shutil.rmtree(later)
    until(lambda: any("is not there any more" in said for said in follower.state()["said"]))
    assert follower.newest.models
    assert follower.stop(30)
    assert "Traceback" not in capsys.readouterr().err


def test_a_comparison_is_made_once_for_one_state(runs: Path) -> None:
    made: list[tuple[str, ...]] = []
    compare = comparing()

    def counted(ready: tuple[str, ...]) -> Any:
        made.append(ready)
        return compare(ready)

    follower = Follower([str(runs / "base"), str(runs / "missing")], counted, "Title")
    follower.start()
    until(lambda: follower.newest.models)
    looked = follower.looked
    until(lambda: follower.looked > looked + 0.2)
    assert follower.stop(30)
    # What has no samples is left out, and said.
    assert made == [(str(runs / "base"),)]
    assert follower.state()["said"] == [f"Waiting for {runs / 'missing'}: there is no such folder yet"]


def test_a_mistake_of_ours_is_said_and_the_server_stays(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(ready: tuple[str, ...]) -> Any:
        raise ZeroDivisionError

    follower = Follower([str(runs / "base")], broken, "Title")
    follower.start()
    until(lambda: follower.state()["said"])
    assert follower.stop(30)
    (said,) = follower.state()["said"]
    assert said == "An error inside Reachlab, which its terminal shows: ZeroDivisionError"
    assert said in follower.newest.html
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_disk_that_is_away_is_said_until_it_is_back(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = Follower([str(runs / "train")], comparing(), "Title")
    with monkeypatch.context() as patch:

        def away(*_: object) -> None:
            raise OSError("no device")

        patch.setattr(Looker, "look", away)
        follower.start()
        until(lambda: follower.state()["said"] == ["The runs cannot be looked at: no device"])
    until(lambda: not follower.state()["said"])
    assert follower.stop(30)


def test_no_run_is_refused() -> None:
    with pytest.raises(ReachlabError, match="name at least one run folder"):
        Follower([], comparing(), "Title")
    with pytest.raises(ReachlabError, match="names a run twice"):
        Follower(["a=b,b"], comparing(), "Title")
