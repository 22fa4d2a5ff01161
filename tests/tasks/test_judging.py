import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.tasks.hostile import Hostile, Stepping, Unloadable

from reachlab.errors import ReachlabError
from reachlab.tasks.base import Task
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


def test_time_is_the_workers_own_and_sleep_has_a_limit_on_the_clock() -> None:
    task = Hostile()
    said = ["sleep:1.5:0", "burn", "busy", "hang", "work:0.2:4"]
    with Judge(task, workers=2, timeout_s=0.5, wall_s=3) as judge:
        verdicts = judge.verify(zip(task.all_problems, said, strict=False))
    assert verdicts == [
        Verdict.correct(),
        Verdict.unscored("timed out after 0.5 s of CPU"),
        Verdict.unscored("timed out after 0.5 s of CPU"),
        Verdict.unscored("timed out after 3 s on the clock"),
        Verdict.correct(),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hostile", "math"])
def test_verdicts_do_not_depend_on_the_load(name: str) -> None:
    if name == "hostile":
        task: Task = Hostile()
        kinds = ["{n}:{a}", "sleep:0.001:{n}{a}", "work:0.005:{n}", "raise:{n}", "score:{n}"]
        late, nearly = "burn", "work:0.4:{a}"
    else:
        task = Math()
        kinds = ["#### {a}", "A: {n}", "A: {n}.0", "#### -{n}", "#### {a}.00"]
        late, nearly = "$9^{9^{9^{9}}}$", "\\boxed{{\\frac{{{n}}}{{7}}}}"
    said = [kinds[n % len(kinds)].format(n=n, a=n % 9) for n in range(500)]
    said[100] = late
    said[20], said[480] = (nearly.format(n=n, a=n % 9) for n in (20, 480))
    pairs = [(Problem(id=str(n % 9), prompt="?", answer=str(n % 9)), text) for n, text in enumerate(said)]

    def judge() -> list[Verdict]:
        with Judge(task, workers=1, timeout_s=1) as judging:
            return judging.verify(pairs)

    alone = judge()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(10)]
    try:
        assert judge() == alone
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert {"correct", "wrong"} <= {v.status for v in alone}


def test_a_computation_that_no_signal_handler_can_stop_is_stopped() -> None:
    task = Hostile()
    with Judge(task, workers=1, timeout_s=0.5) as judge:
        verdicts = judge.verify([(task.all_problems[0], "busy"), (task.all_problems[1], "1")])
    assert [v.status for v in verdicts] == ["unscored", "correct"]


def test_what_was_judged_but_not_yet_sent_is_not_blamed() -> None:
    task = Hostile()
    said = [*(f"{i}:5" for i in range(40)), "kill", *(f"{i}:5" for i in range(40, 80)), "busy", "81:5"]
    with Judge(task, workers=1, timeout_s=0.5) as judge:
        verdicts = judge.verify([(PROBLEM, text) for text in said])
    assert {i: v.reason for i, v in enumerate(verdicts) if v.status != "correct"} == {
        40: "verifier died: killed by SIGKILL",
        81: "timed out after 0.5 s of CPU",
    }


SAID = {
    "raise half": "ValueError: half \\ud800 and \ufffd",
    "raise unspeakable": "UnspeakableError: (its text raises ValueError)",
    "raise exit": "SystemExit: enough",
    "raise interrupt": "KeyboardInterrupt: ",
    "score:nan": "ValueError: the verifier returned the score nan, which is not in [0, 1]",
    "score:1.5": "ValueError: the verifier returned the score 1.5, which is not in [0, 1]",
    "score:-1": "ValueError: the verifier returned the score -1, which is not in [0, 1]",
    "status:splendid": "ValueError: the verifier returned the status 'splendid'",
    "last words": "verifier died: exit code 3 (here it ends)",
}


def test_whatever_a_verifier_does_there_is_a_verdict_that_can_be_stored() -> None:
    task = Hostile()
    deep, much = "raise deep", "raise much"
    said = [*SAID, deep, much, "flood", "half \ud800:5", "\ud800\x00"]
    with Judge(task, workers=2) as judge:
        found = dict(zip(said, judge.verify([(PROBLEM, text) for text in said]), strict=True))
        assert judge.verify([(PROBLEM, "5")]) == [Verdict.correct()]
    assert {text: found[text] for text in SAID} == {text: Verdict.unscored(reason) for text, reason in SAID.items()}
    assert found[deep].reason.startswith("RecursionError: maximum recursion depth exceeded")
    assert found[much] == Verdict.unscored(("ValueError: " + "much " * 60)[:300])
    assert found["flood"] == Verdict.wrong()
    assert found["half \ud800:5"] == Verdict.correct()
    assert found["\ud800\x00"] == Verdict.wrong()
    for verdict in found.values():
        verdict.reason.encode()


def test_scores_of_a_task_that_bounds_none_are_what_they_are() -> None:
    task = Hostile()
    task.bounded_score = False
    with Judge(task, workers=1) as judge:
        low, none = judge.verify([(PROBLEM, "score:-2.5"), (PROBLEM, "score:nan")])
    assert low == Verdict.wrong(score=-2.5)
    assert math.isnan(none.score)


def test_the_parent_stays_flat() -> None:
    task = Hostile()
    said = [f"{kind}:{i}" for i in range(25) for kind in ("flood", "raise much", "print", "memory")]
    with Judge(task, workers=2) as judge:
        judge.verify([(PROBLEM, "5")])
        before = psutil.Process().memory_info().rss
        verdicts = judge.verify([(PROBLEM, text) for text in said])
        assert psutil.Process().memory_info().rss - before < 64 << 20
        assert judge.verify([(PROBLEM, "5")]) == [Verdict.correct()]
    assert "correct" not in {v.status for v in verdicts[1::4]} | {v.status for v in verdicts[3::4]}
    assert all(v.reason for v in verdicts[1::4] + verdicts[3::4])


def test_a_victim_of_earlier_answers_is_judged_in_a_new_worker() -> None:
    task = Hostile()
    with Judge(task, workers=1, memory_bytes=1 << 30) as judge:
        verdicts = judge.verify([(PROBLEM, text) for text in ("hold:5", "need:5", "1:5", "fragile:5", "2:5")])
        assert verdicts == [Verdict.correct()] * 5
        # What was held is let go of with the worker, before somebody needs it.
        judge.verify([(PROBLEM, "hold:5")])
        assert judge.verify([(PROBLEM, "seen")]) == [Verdict.wrong("1")]


def test_a_final_answer_is_bounded_and_equal_ones_stay_equal() -> None:
    task = Stepping()
    said = ["ok:" + "x" * 1000, "ok:" + "x" * 100_000, "no:" + "x" * 100_000, "ok:" + "x" * 99_999 + "y", "ok:\ud800"]
    with Judge(task, workers=1) as judge:
        whole, one, same, other, half = judge.final_answers([(PROBLEM, text) for text in said])
    assert whole == "x" * 1000
    assert one is not None
    assert one.startswith("x" * 200 + "… (100000 characters, blake2b ")
    assert (same, half) == (one, "\\ud800")
    assert other is not None
    assert other != one


def test_memory_is_limited() -> None:
    task = Hostile()
    with Judge(task, workers=1) as judge:
        verdicts = judge.verify([(task.all_problems[0], "memory"), (task.all_problems[1], "1")])
    assert verdicts[0].reason.startswith("MemoryError")
    assert verdicts[1] == Verdict.correct()


@pytest.mark.parametrize("bomb", ["$9^{9^{9^{9}}}$", "The answer is 10^10^10^10"])
def test_an_answer_that_hangs_math_verify_is_not_correct_and_harms_no_other(bomb: str) -> None:
    with Judge(Math(), workers=1, timeout_s=2) as judge:
        verdicts = judge.verify([(PROBLEM, "\\boxed{5}"), (PROBLEM, bomb), (PROBLEM, "#### 6")])
    assert (verdicts[0].status, verdicts[2].status) == ("correct", "wrong")
    assert verdicts[1].status != "correct"
    assert verdicts[1].reason


def test_a_worker_killed_from_outside_loses_no_answer_but_its_first() -> None:
    task = Hostile(100)
    killed: list[int] = []

    def kill_one(done: int) -> None:
        if done in (5, 40):
            victim = min(children() - set(killed))
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)

    with Judge(task, workers=2) as judge:
        verdicts = judge.verify([(p, f"sleep:0.02:{p.answer}") for p in task.all_problems], progress=kill_one)
    assert len(killed) == 2
    lost = [v for v in verdicts if v.status != "correct"]
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


def test_a_final_answer_that_hangs_leaves_the_verdict() -> None:
    task = Stepping(hangs_at="final_answer")
    with Judge(task, workers=1, timeout_s=0.5) as judge:
        late, well = judge.judge([(task.all_problems[1], "burn:1"), (task.all_problems[2], "2")])
    assert late == Judged(Verdict.correct(), StepCheck(1, 2), None)
    assert well == Judged(Verdict.correct(), StepCheck(1, 2), "2")


def test_a_verifier_that_hangs_leaves_the_final_answer() -> None:
    task = Stepping(hangs_at="verify")
    with Judge(task, workers=1, timeout_s=0.5) as judge:
        (late,) = judge.judge([(task.all_problems[1], "burn:1")])
    assert late == Judged(Verdict.unscored("timed out after 0.5 s of CPU"), StepCheck(1, 2), "1")


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
