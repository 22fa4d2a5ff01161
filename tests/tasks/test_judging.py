import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from tests.tasks.hostile import Hostile, Stepping, Unloadable

from reachlab.errors import ReachlabError
from reachlab.tasks.judging import Judge
from reachlab.tasks.math import Math
from reachlab.types import Judged, Problem, StepCheck, Verdict

PROBLEM = Problem(id="5", prompt="What is 5?", answer="5")


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children()}


def test_a_hostile_answer_costs_only_itself_and_order_is_kept() -> None:
    task = Hostile()
    said = ["ok:0", "hang", "2", "raise", "exit", "no", "kill", "print:7"]
    with Judge(task, workers=2, timeout_s=1, wall_s=1) as judge:
        verdicts = judge.verify(zip(task.all_problems, said, strict=True))
    statuses = [v.status for v in verdicts]
    assert statuses == [
        "correct",
        "unscored",
        "correct",
        "unscored",
        "unscored",
        "wrong",
        "unscored",
        "correct",
    ]
    assert verdicts[1].reason == "timed out after 1 s on the clock"
    assert verdicts[3].reason == "ValueError: no such number"
    assert verdicts[4].reason == "verifier died: exit code 3"
    assert verdicts[6].reason == "verifier died: killed by SIGKILL"


def test_a_computation_that_no_signal_handler_can_stop_is_stopped() -> None:
    task = Hostile()
    with Judge(task, workers=1, timeout_s=0.5) as judge:
        verdicts = judge.verify([(task.all_problems[0], "busy"), (task.all_problems[1], "1")])
    assert [v.status for v in verdicts] == ["unscored", "correct"]


def test_memory_is_limited() -> None:
    task = Hostile()
    with Judge(task, workers=1) as judge:
        verdicts = judge.verify([(task.all_problems[0], "memory"), (task.all_problems[1], "1")])
    assert verdicts[0].reason.startswith("MemoryError")
    assert verdicts[1] == Verdict.correct()


@pytest.mark.parametrize("bomb", ["$9^{9^{9^{9}}}$", "The answer is 10^10^10^10"])
def test_an_answer_that_hangs_math_verify_is_unscored(bomb: str) -> None:
    with Judge(Math(), workers=1, timeout_s=2) as judge:
        verdicts = judge.verify([(PROBLEM, "\\boxed{5}"), (PROBLEM, bomb), (PROBLEM, "#### 6")])
    assert [v.status for v in verdicts] == ["correct", "unscored", "wrong"]
    assert verdicts[1].reason


def test_many_answers_from_several_threads() -> None:
    task = Hostile(50)
    with Judge(task, workers=2) as judge:
        found: dict[int, list[Verdict]] = {}

        def judge_all(k: int) -> None:
            found[k] = judge.verify([(p, p.answer if i % 3 == k else "no") for i, p in enumerate(task.all_problems)])

        threads = [threading.Thread(target=judge_all, args=(k,)) for k in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    for k in range(3):
        assert [v.status == "correct" for v in found[k]] == [i % 3 == k for i in range(50)]


def test_a_worker_killed_from_outside_loses_at_most_the_answer_it_was_at() -> None:
    task = Hostile(100)
    killed: list[int] = []

    def kill_one(done: int) -> None:
        if done in (5, 40):
            victim = min(children() - set(killed))
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)

    with Judge(task, workers=2) as judge:
        verdicts = judge.verify([(p, f"slow:{p.answer}") for p in task.all_problems], progress=kill_one)
    lost = [v for v in verdicts if v.status != "correct"]
    assert len(killed) == 2
    assert len(lost) <= 2
    assert all(v.status == "unscored" and "SIGKILL" in v.reason for v in lost)


def test_equal_answers_are_judged_once_and_all_are_counted() -> None:
    task = Hostile()
    told: list[int] = []
    with Judge(task, workers=2) as judge:
        verdicts = judge.verify([(task.all_problems[i % 2], "random") for i in range(20)], progress=told.append)
    assert len({v.reason for v in verdicts[0::2]}) == len({v.reason for v in verdicts[1::2]}) == 1
    assert verdicts[0] != verdicts[1]
    assert told == sorted(told)
    assert told[-1] == 20


def test_workers_are_reused_and_all_gone_at_the_end() -> None:
    task = Hostile()
    before = children()
    with Judge(task, workers=1) as judge:
        assert children() == before  # nothing starts before there is work
        first, again = (judge.verify([(p, "pid")])[0].reason for p in task.all_problems[:2])
        assert first == again
        assert children() - before == {int(first)}
    assert children() == before
    with pytest.raises(ProcessLookupError):
        os.kill(int(first), 0)


def test_a_worker_killed_between_calls_costs_nothing() -> None:
    task = Hostile()
    before = children()
    with Judge(task, workers=1) as judge:
        (idle,) = judge.verify([(PROBLEM, "pid")])
        os.kill(int(idle.reason), signal.SIGKILL)
        while _runs(int(idle.reason)):
            time.sleep(0.01)
        assert judge.verify([(p, p.answer) for p in task.all_problems]) == [Verdict.correct()] * 8
    assert children() == before


def test_a_number_that_runs_on_for_pages_is_wrong() -> None:
    texts = [f"{mark}{'3' * 6_000}" for mark in ("A: ", "The answer is ", "so ", "1.", "1,")]
    with Judge(Math(), workers=1) as judge:
        assert {v.status for v in judge.verify([(PROBLEM, text) for text in texts])} == {"wrong"}


def test_an_interrupted_call_leaves_nothing_for_the_next() -> None:
    task = Hostile(20)

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with Judge(task, workers=2) as judge:
        with pytest.raises(KeyboardInterrupt):
            judge.verify([(p, "no") for p in task.all_problems], progress=interrupt)
        assert [v.status for v in judge.verify([(p, p.answer) for p in task.all_problems])] == ["correct"] * 20


def test_a_task_that_is_not_isolated_is_judged_in_place() -> None:
    task = Hostile(isolated=False)
    before = children()
    told: list[int] = []
    with Judge(task) as judge:
        verdicts = judge.verify([(task.all_problems[0], t) for t in ("0", "raise", "no", "pid")], progress=told.append)
        assert children() == before
    assert [v.status for v in verdicts] == ["correct", "unscored", "wrong", "wrong"]
    assert verdicts[1].reason == "ValueError: no such number"
    assert verdicts[3].reason == str(os.getpid())
    assert told == [1, 2, 3, 4]


@pytest.mark.parametrize("isolated", [True, False])
def test_nothing_to_judge(isolated: bool) -> None:
    with Judge(Hostile(isolated=isolated)) as judge:
        assert judge.verify([]) == []
        assert judge.judge([]) == []


@pytest.mark.parametrize("isolated", [True, False])
def test_steps_and_final_answers_come_with_the_verdict_or_not_at_all(isolated: bool) -> None:
    task = Stepping(isolated=isolated)
    told: list[int] = []
    with Judge(task, workers=1) as judge:
        found = judge.judge([(task.all_problems[1], t) for t in ("ok:1", "raise", "", "no:beyond")], told.append)
    assert found[0] == Judged(Verdict.correct(), StepCheck(1, 2), "1")
    assert found[1] == Judged(Verdict.unscored("ValueError: no such number"))
    assert found[2] == Judged(Verdict.wrong())
    assert found[3] == Judged(Verdict.wrong(), None, "beyond")  # more valid steps than there are
    assert told[-1] == 4


def test_hostile_steps_cost_no_verdict_of_another() -> None:
    task = Stepping()
    before = children()
    with Judge(task, workers=2, timeout_s=1, wall_s=1) as judge:
        said = ["ok:0", "hang:1", "exit:2", "kill:3", "print:4"]
        found = judge.judge(zip(task.all_problems, said, strict=False))
    assert [f.verdict.status for f in found] == ["correct", "unscored", "unscored", "unscored", "correct"]
    assert [f.steps for f in found] == [StepCheck(1, 2), None, None, None, StepCheck(1, 2)]
    assert [f.final_answer for f in found] == ["0", None, None, None, "4"]
    assert children() == before


def test_a_task_that_checks_no_steps_is_not_asked() -> None:
    before = children()
    with Judge(Hostile()) as judge:
        assert judge.check_steps([(PROBLEM, "hang")]) == [None]
        assert judge.final_answers([(PROBLEM, "hang")]) == [None]
        assert children() == before


def test_a_task_that_does_not_load_in_a_worker_is_an_error() -> None:
    task = Unloadable()
    with (
        Judge(task, workers=2) as judge,
        pytest.raises(ReachlabError, match=r"did not start.*this task does not load"),
    ):
        judge.verify([(p, "0") for p in task.all_problems])


@pytest.mark.parametrize("last", ["judge.close()", "pass"])
def test_a_plain_script_without_a_main_guard_works_and_ends(tmp_path: Path, last: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from reachlab.tasks.judging import Judge\n"
        "from reachlab.tasks.math import Math\n"
        "from reachlab.types import Problem\n"
        "judge = Judge(Math(), workers=2)\n"
        "problem = Problem(id='a', prompt='?', answer='5')\n"
        "print([v.status for v in judge.verify([(problem, '#### 5'), (problem, '#### 6')])])\n"
        f"{last}\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "['correct', 'wrong']\n"


def test_workers_of_a_killed_parent_end_by_themselves(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from tests.tasks.hostile import Hostile\n"
        "from reachlab.tasks.judging import Judge\n"
        "task = Hostile()\n"
        "judge = Judge(task, workers=1)\n"
        "print(judge.verify([(task.all_problems[0], 'pid')])[0].reason, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    worker = int(done.stdout)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and Path(f"/proc/{worker}").exists():
        time.sleep(0.05)
    assert not _runs(worker)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
