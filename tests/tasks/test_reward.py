import pickle
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from tests.training.letters import Letters

from reachlab.errors import ReachlabError
from reachlab.tasks.blind import Blinded
from reachlab.tasks.chain import Chain
from reachlab.tasks.countdown import Countdown
from reachlab.tasks.judging import Judge
from reachlab.tasks.math import Math
from reachlab.tasks.reward import Rewarded, load_reward
from reachlab.tasks.scenes import Scenes

MODULE = """
import time

def tenths(problem, answer):
    return len(answer) / 10 - len(problem.prompt)

def whole(problem, answer):
    return 7

def endless(problem, answer):
    time.sleep(1000)

LIMIT = 3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a module in it that nothing else leads to."""
    (tmp_path / "rewards_here.py").write_text(MODULE)
    (tmp_path / "rewards_broken.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    yield tmp_path
    for name in ("rewards_here", "rewards_broken"):
        sys.modules.pop(name, None)


def test_a_module_of_the_current_folder_is_found(folder: Path) -> None:
    problem = Letters().problems("train", 1)[0]
    assert load_reward("rewards_here:tenths")(problem, "12345") == 0.5 - len(str(problem.prompt))
    before = list(sys.path)
    load_reward("rewards_here:whole")
    assert sys.path == before


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("rewards_here", "must be MODULE:FUNCTION"),
        (":tenths", "must be MODULE:FUNCTION"),
        ("rewards_nowhere:f", "cannot be imported: ModuleNotFoundError"),
        ("rewards_here:f", "cannot be imported: AttributeError"),
        ("rewards_broken:f", "cannot be imported: SystemExit: 3"),
        ("rewards_here:LIMIT", "is not a function"),
    ],
)
def test_a_function_that_is_not_there_is_refused_at_once(name: str, says: str) -> None:
    with pytest.raises(ReachlabError, match=says):
        Rewarded(Letters(), name)


def test_problems_are_the_tasks(folder: Path) -> None:
    task = Countdown(numbers=3)
    rewarded = Rewarded(task, "rewards_here:tenths")
    assert (rewarded.spec, rewarded.finite, rewarded.isolated) == (task.spec, False, True)
    listed = task.problems("test", 5)
    assert rewarded.problems("test", 5) == listed
    assert [rewarded.key(p) for p in listed] == [task.key(p) for p in listed]
    assert list(islice(rewarded.stream("train", 3, 7), 4)) == list(islice(task.stream("train", 3, 7), 4))
    file = folder / "math.jsonl"
    file.write_text('{"question": "1+1?", "answer": "2"}\n')
    assert Rewarded(Math(str(file)), "rewards_here:tenths").finite


def test_final_answers_are_the_tasks() -> None:
    task = Chain(length=2)
    rewarded = Rewarded(task, "rewards_here:tenths")
    problem = task.problems("train", 1)[0]
    assert rewarded.final_answer(problem, "1+2=3") == "3"
    assert rewarded.gold(problem) == task.gold(problem)
    assert rewarded.answer_decides
    assert not Rewarded(Scenes(), "rewards_here:tenths").answer_decides
    assert not Blinded(Scenes()).answer_decides


def test_the_status_is_the_tasks_and_the_score_the_functions() -> None:
    task = Letters()
    problem = task.problems("train", 1)[0]
    for text in ("1", "2", "12345"):
        theirs, ours = task.verify(problem, text), Rewarded(task, "rewards_here:tenths").verify(problem, text)
        assert (ours.status, ours.reason) == (theirs.status, theirs.reason)
        assert ours.score == len(text) / 10 - len(str(problem.prompt))
    score = Rewarded(task, "rewards_here:whole").verify(problem, "1").score
    assert (score, type(score)) == (7.0, float)
    # What the task cannot judge has no reward, whatever the function says.
    unscored = Rewarded(Letters(unscored=1.0), "rewards_here:whole").verify(problem, "1")
    assert (unscored.status, unscored.reason) == ("unscored", "the judge is out")


def test_it_pickles_and_is_judged_in_another_process() -> None:
    rewarded = Rewarded(Letters(), "rewards_here:tenths")
    problems = rewarded.problems("train", 3)
    here = [rewarded.verify(p, "12") for p in problems]
    copy = pickle.loads(pickle.dumps(rewarded))
    assert [copy.verify(p, "12") for p in problems] == here
    with Judge(rewarded, workers=1, timeout_s=30) as judge:
        assert judge.verify((p, "12") for p in problems) == here


def test_a_function_that_hangs_is_unscored() -> None:
    rewarded = Rewarded(Letters(), "rewards_here:endless")
    with Judge(rewarded, workers=1, wall_s=0.2) as judge:
        (verdict,) = judge.verify([(rewarded.problems("train", 1)[0], "1")])
    assert (verdict.status, verdict.reason) == ("unscored", "timed out after 0.2 s on the clock")
