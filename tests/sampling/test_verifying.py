from pathlib import Path

import pytest

from reachlab.errors import ReachlabError
from reachlab.runs import RunFolder
from reachlab.sampling.config import VerifyConfig
from reachlab.sampling.store import SampleStore
from reachlab.sampling.verifying import verify
from reachlab.tasks.registry import load_task
from reachlab.types import Sample, Verdict

UNSCORED = Verdict.unscored("timed out after 5 s")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Two problems: a right answer judged wrong, a wrong one that was never judged, one judged rightly."""
    folder = RunFolder(tmp_path / "run")
    folder.claim("sample", {"task": "countdown,numbers=3"})
    store = SampleStore(folder)
    task = load_task("countdown,numbers=3")
    problems = task.problems("test", 2)
    store.write_problems(problems)
    right = str(problems[0].metadata["solution"])
    for index, (text, verdict) in enumerate(
        [(right, Verdict.wrong("a mistake")), ("1+1=3", UNSCORED), (right, Verdict.correct())]
    ):
        store.write_part(
            [
                Sample(
                    problem_id=problems[0].id, index=index, text=text, tokens=5, finish="stop", logprob=-2.0,
                    seed=index, engine="e", verdict=verdict,
                )
            ]
        )  # fmt: skip
    return folder


def statuses(run: RunFolder) -> list[str]:
    return [s.verdict.status for s in SampleStore(run).samples()]


def test_every_answer_is_judged_again(run: RunFolder) -> None:
    before = SampleStore(run).samples()
    assert verify(VerifyConfig(run=str(run.path))) == {"wrong -> correct": 1, "unscored -> wrong": 1}
    assert statuses(run) == ["correct", "wrong", "correct"]
    after = SampleStore(run).samples()
    assert [(s.text, s.seed, s.logprob, s.tokens) for s in after] == [
        (s.text, s.seed, s.logprob, s.tokens) for s in before
    ]
    assert verify(VerifyConfig(run=str(run.path))) == {}


def test_only_what_had_no_verdict(run: RunFolder) -> None:
    assert verify(VerifyConfig(run=str(run.path), only_unscored=True)) == {"unscored -> wrong": 1}
    assert statuses(run) == ["wrong", "wrong", "correct"]


def test_another_task_may_judge(run: RunFolder) -> None:
    with pytest.raises(ReachlabError, match="unknown task family 'chess'"):
        verify(VerifyConfig(run=str(run.path), task="chess"))
    assert statuses(run) == ["wrong", "unscored", "correct"]
    assert verify(VerifyConfig(run=str(run.path), task="countdown,numbers=3"))["wrong -> correct"] == 1


def test_a_run_that_does_not_say_its_task(tmp_path: Path) -> None:
    RunFolder(tmp_path).claim("import", {})
    with pytest.raises(ReachlabError, match="the run does not say its task; give --task"):
        verify(VerifyConfig(run=str(tmp_path)))
    with pytest.raises(ReachlabError, match="not a run folder"):
        verify(VerifyConfig(run=str(tmp_path / "nothing")))


def test_a_sample_of_an_unlisted_problem(run: RunFolder) -> None:
    store = SampleStore(run)
    store.write_problems(store.problems()[1:])
    with pytest.raises(ReachlabError, match=r"part-.*: problem '.*' is not in the run's problems\.jsonl"):
        verify(VerifyConfig(run=str(run.path)))
