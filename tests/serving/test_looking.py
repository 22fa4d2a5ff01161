import json
from pathlib import Path

from tests.serving.conftest import more

from reachlab.runs import RunFolder
from reachlab.serving.looking import Looker, last_step


def test_every_state_of_a_run_has_its_words(tmp_path: Path, runs: Path) -> None:
    looker = Looker()
    nothing = looker.look(RunFolder(tmp_path / "nothing"))
    assert (nothing.kind, nothing.missing) == ("gone", "there is no such folder yet")
    run = RunFolder(tmp_path / "new")
    (tmp_path / "new").mkdir()
    assert looker.look(run).missing == "it has no run.json yet"
    run.claim("sample", {"samples": 30, "problems": 6})
    assert looker.look(run).missing == "its problems are not listed yet"
    run.write("problems.jsonl", (runs / "base" / "problems.jsonl").read_bytes())
    empty = looker.look(run)
    assert (empty.kind, empty.missing) == ("empty", "it holds no sample yet")
    more(tmp_path / "new", 0, 20, right=True)
    (tmp_path / "new" / "samples" / ".part-1.parquet.host-1-00000000.tmp").write_bytes(b"half")
    some = looker.look(run)
    assert (some.kind, some.done, some.planned, some.finished) == ("samples", 120, 180, False)
    assert some.mark != empty.mark
    assert some.changed is not None
    assert looker.look(run).mark == some.mark
    more(tmp_path / "new", 20, 30, right=False)
    assert looker.look(run).finished
    assert looker.look(run).to_dict()["done"] == 180


def test_a_training_run(tmp_path: Path) -> None:
    looker, run = Looker(), RunFolder(tmp_path / "rl")
    run.claim("rl", {"loop": {"steps": 3}})
    first = looker.look(run)
    assert (first.kind, first.trains, first.missing) == ("empty", True, "its first step is not done yet")
    log = tmp_path / "rl" / "metrics.jsonl"
    log.write_text('{"step": 1}\n{"step": 2, "rew')
    torn = looker.look(run)
    assert (torn.kind, torn.done, torn.planned, torn.finished) == ("training", 1, 3, False)
    log.write_text("".join(json.dumps({"step": i}) + "\n" for i in (1, 2, 3)))
    assert looker.look(run).finished


def test_the_last_step_of_a_long_log_is_read_from_its_end(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert last_step(run) is None
    run.write(
        "metrics.jsonl", "".join(json.dumps({"step": i, "x": "y" * 200}) + "\n" for i in range(1000)) + "[1]\n\0\0"
    )
    assert last_step(run) == 999


def test_a_run_that_is_damaged_is_waited_for(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write("run.json", "{")
    found = Looker().look(run)
    assert found.kind == "gone"
    assert "run.json" in found.missing
