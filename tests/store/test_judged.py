"""A run keeps who judged it."""

from pathlib import Path

from tests.pairing.matching_runs import asked, stored

from reachlab.runs import RunFolder
from reachlab.sampling.config import VerifyConfig
from reachlab.sampling.verifying import verify
from reachlab.store.judged import UNKNOWN, judgement_of, note_judged, read_judged
from reachlab.tasks.registry import load_task

CHAIN, COUNTDOWN = load_task("chain,length=2"), load_task("countdown")


def test_each_verifier_once(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert read_judged(folder) is None
    note_judged(folder, CHAIN, 5.0)
    note_judged(folder, CHAIN, 5.0)
    note_judged(folder, COUNTDOWN, 5.0)
    note_judged(folder, load_task("chain, mistakes=.3,length=2"), 5.0)  # the same task in another spelling
    assert read_judged(folder) == [judgement_of(CHAIN, 5.0), judgement_of(COUNTDOWN, 5.0)]
    note_judged(folder, CHAIN, 5.0, alone=True)
    assert read_judged(folder) == [judgement_of(CHAIN, 5.0)]


def test_a_limit_counts_where_there_is_one() -> None:
    assert "timeout" not in judgement_of(CHAIN, 5.0)
    assert judgement_of(load_task("math"), 5.0)["timeout"] == 5.0


def test_older_samples_were_judged_by_nobody_knows_whom(tmp_path: Path) -> None:
    run = stored(tmp_path / "a", asked()).folder
    verify(VerifyConfig(run=str(tmp_path / "a"), only_unscored=True))
    known = read_judged(run)
    assert known is not None
    assert known[0] == UNKNOWN
    assert known[1]["task"] == "math"
    verify(VerifyConfig(run=str(tmp_path / "a")))
    assert read_judged(run) == known[1:]


def test_of_a_run_that_was_exported_its_facts_say(tmp_path: Path) -> None:
    said = [dict(judgement_of(CHAIN, 5.0))]
    run = stored(tmp_path / "a", asked(), kind="import", facts={"judged": said}).folder
    assert read_judged(run) == said
