from pathlib import Path

import pyarrow.parquet as pq
import pytest

from reachlab.errors import ReachlabError
from reachlab.runs import RunFolder
from reachlab.sampling.config import VerifyConfig
from reachlab.sampling.verifying import verify
from reachlab.store.samples import SampleStore
from reachlab.tasks.registry import load_task
from reachlab.types import Sample, StepCheck, Verdict

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


def without_steps(run: RunFolder) -> None:
    """Make the run one of the days before steps were checked."""
    for path in SampleStore(run).parts():
        pq.write_table(pq.read_table(path).drop_columns(["valid_steps", "steps", "final_answer"]), path)


@pytest.mark.parametrize("only_unscored", [True, False])
def test_steps_that_nobody_checked_are_checked_whatever_is_judged(run: RunFolder, only_unscored: bool) -> None:
    without_steps(run)
    assert [s.steps for s in SampleStore(run).samples()] == [None] * 3
    verify(VerifyConfig(run=str(run.path), only_unscored=only_unscored))
    assert [s.steps for s in SampleStore(run).samples()] == [StepCheck(2, 2), StepCheck(0, 1), StepCheck(2, 2)]
    chain = SampleStore(run).outcomes(chain=True)
    assert (chain.n_P.tolist(), chain.c_P.tolist()) == ([3, 0], [1 if only_unscored else 2, 0])


def test_final_answers_are_read_again_and_scored_by_the_task_that_judges(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.claim("sample", {"task": "chain,length=2"})
    store = SampleStore(folder)
    (problem,) = load_task("chain,length=2").problems("test", 1)
    store.write_problems([problem])
    value = problem.answer["value"]
    lucky = f"0+0={value}"
    store.write_part(
        [
            Sample(
                problem_id=problem.id, index=0, text=lucky, tokens=5, finish="stop", logprob=None, seed=0, engine="e",
                verdict=Verdict.correct(),
            )
        ]
    )  # fmt: skip
    assert verify(VerifyConfig(run=str(folder.path), only_unscored=True)) == {}
    (found,) = store.samples()
    assert (found.steps, found.final_answer) == (StepCheck(0, 2), str(value))
    assert store.outcomes(chain=True).c_P.tolist() == [0]
    assert store.outcomes().c_P.tolist() == [1]


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
