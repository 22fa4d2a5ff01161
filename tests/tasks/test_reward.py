import math
import pickle
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from tests.training.letters import Letters

import reachlab as rl
from reachlab.errors import ReachlabError
from reachlab.origins import Maker
from reachlab.plugins import load_plugin
from reachlab.tasks.blind import Blinded
from reachlab.tasks.chain import Chain
from reachlab.tasks.countdown import Countdown
from reachlab.tasks.judging import Judge
from reachlab.tasks.math import Math
from reachlab.tasks.reward import Rewarded
from reachlab.tasks.rewards import hash_reward, load_reward, maker_of_reward
from reachlab.tasks.scenes import Scenes

MODULE = """
import time

def tenths(problem, answer):
    return len(answer) / 10 - len(problem.prompt)

def whole(problem, answer):
    return 7

def endless(problem, answer):
    time.sleep(1000)

def nothing(problem, answer):
    pass

def raises(problem, answer):
    raise KeyError("x")

def nan(problem, answer):
    return float("nan")

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
        ("rewards_here:LIMIT", "a function is wanted"),
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


def test_where_there_is_no_reward_the_verdict_stays() -> None:
    task = Letters()
    problem = task.problems("train", 1)[0]
    for name, says in (("nothing", "returned None, which is no number"), ("raises", "KeyError: 'x'"), ("nan", "NaN")):
        (verdict,) = Judge(Rewarded(task, f"rewards_here:{name}"), workers=1, timeout_s=30).verify([(problem, "1")])
        assert (verdict.status, math.isnan(verdict.score)) == (task.verify(problem, "1").status, True)
        assert says in verdict.reason


def test_a_reward_keeps_to_its_range(nothing_registered: None) -> None:
    rl.register.reward("narrow", range=(0.0, 1.0), full_credit=1.0)(lambda _, text: float(len(text)))
    rewarded = Rewarded(Letters(), "narrow")
    problem = rewarded.problems("train", 1)[0]
    assert rewarded.verify(problem, "1").score == 1
    late = rewarded.verify(problem, "123")
    assert (math.isnan(late.score), late.reason) == (
        True,
        "no reward narrow: ValueError: it returned 3, and its range is 0 to 1",
    )
    assert not rewarded.isolated  # no other process can have a lambda
    with Judge(rewarded) as judge:
        assert judge.verify([(problem, "1")])[0].score == 1
    for wrong in ({"range": (1.0, 0.0)}, {"full_credit": -1.0}):
        with pytest.raises(ReachlabError, match="reward 'bad': "):
            rl.register.reward("bad", **wrong)(len)


def test_a_registered_reward_is_found_in_another_process(folder: Path, nothing_registered: None) -> None:
    text = "import reachlab as rl\n\n@rl.register.reward('tens')\ndef tens(problem, text):\n    return 10.0\n"
    (folder / "rewards_mine.py").write_text(text)
    load_plugin("rewards_mine.py")
    for name in ("tens", "rewards_mine.py:tens"):
        rewarded = Rewarded(Letters(), name)
        assert rewarded.isolated
        with Judge(rewarded, workers=1, timeout_s=30) as judge:
            assert judge.verify([(rewarded.problems("train", 1)[0], "1")])[0].score == 10


def test_a_reward_of_a_place_keeps_what_it_says(folder: Path, nothing_registered: None) -> None:
    text = """
from reachlab.tasks.rewards import Reward

def score(problem, text):
    return 0.5

class Called:
    def __call__(self, problem, text):
        return 0.5

R, C = Reward(name="r", function=score, range=(0.0, 1.0), full_credit=1.0), Called()
"""
    (folder / "rewards_said.py").write_text(text)
    hashes = {}
    for name in ("rewards_said.py:R", "rewards_said:R"):
        reward = load_reward(name)
        assert (reward.name, reward.range, reward.full_credit) == (name, (0.0, 1.0), 1.0)
        assert pickle.loads(pickle.dumps(reward)).range == (0.0, 1.0)
    for high in ("1.0", "2.0"):
        (folder / "rewards_said.py").write_text(text.replace("(0.0, 1.0)", f"(0.0, {high})"))
        hashes[high] = hash_reward("rewards_said:R"), hash_reward("rewards_said:C")
    assert not {*hashes["1.0"]} & {*hashes["2.0"]}
    assert maker_of_reward("rewards_said.py:R") == Maker(module="reachlab_plugin_rewards_said")
    assert maker_of_reward("rewards_said:R") is None
    sys.modules.pop("rewards_said")


def test_what_no_other_process_can_have_is_not_judged_in_one(nothing_registered: None) -> None:
    class Here(Letters):
        isolated = True

    with pytest.raises(ReachlabError, match="cannot have what a notebook or a function defines; put it into a file"):
        Judge(Here())


def test_a_function_that_hangs_is_unscored() -> None:
    rewarded = Rewarded(Letters(), "rewards_here:endless")
    with Judge(rewarded, workers=1, wall_s=0.2) as judge:
        (verdict,) = judge.verify([(rewarded.problems("train", 1)[0], "1")])
    assert (verdict.status, verdict.reason) == ("unscored", "timed out after 0.2 s on the clock")
