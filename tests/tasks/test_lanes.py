"""Several callers at once, in threads of their own."""

import contextlib
import threading
from collections.abc import Callable

import psutil
import pytest
from tests.tasks.hostile import Hostile, Stepping, Unloadable

from reachlab.errors import ReachlabError
from reachlab.tasks.judging import Judge
from reachlab.types import Judged, Problem, Verdict

PROBLEM = Problem(id="5", prompt="What is 5?", answer="5")
HONEST = [(PROBLEM, "5")]


def judging() -> list[psutil.Process]:
    """The processes that judge for this one."""
    found = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if "reachlab.tasks.worker" in process.cmdline():
                found.append(process)
    return found


class Caller(threading.Thread):
    """Calls `work` and keeps what it returns or raises."""

    def __init__(self, work: Callable[[], list[Verdict]]) -> None:
        super().__init__(daemon=True)
        self.work, self.found, self.error = work, list[Verdict](), None
        self.start()

    error: BaseException | None

    def run(self) -> None:
        try:
            self.found = self.work()
        except BaseException as error:
            self.error = error


def test_each_caller_gets_its_own_in_order() -> None:
    task = Stepping(50)
    found: dict[int, list[Judged]] = {}
    with Judge(task, workers=2) as judge:

        def judge_all(k: int) -> None:
            found[k] = judge.judge([
                (p, f"{k}:{p.answer}" if i % 4 == k else f"{k}:{i}no") for i, p in enumerate(task.all_problems)
            ])  # fmt: skip

        threads = [threading.Thread(target=judge_all, args=(k,)) for k in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    for k in range(4):
        assert [said.final_answer for said in found[k]] == [str(i) if i % 4 == k else f"{i}no" for i in range(50)]
        assert [said.verdict.status == "correct" for said in found[k]] == [i % 4 == k for i in range(50)]


def test_one_answer_is_not_behind_another_callers_thousands() -> None:
    begun, enough = threading.Event(), threading.Event()
    told: list[int] = []

    def tell(done: int) -> None:
        told.append(done)
        begun.set()
        if enough.is_set():
            raise KeyboardInterrupt

    with Judge(Hostile(), workers=1) as judge:
        many = Caller(lambda: judge.verify([(PROBLEM, f"sleep:0.02:{i}") for i in range(10_000)], tell))
        begun.wait()
        for _ in range(3):
            assert judge.verify(HONEST) == [Verdict.correct()]
        assert len(told) < 10_000
        enough.set()
        many.join()
    assert isinstance(many.error, KeyboardInterrupt)


@pytest.mark.parametrize("workers", [1, 2])
def test_one_answer_is_not_behind_another_callers_slow_ones(workers: int) -> None:
    with Judge(Hostile(), workers=workers) as judge:
        slow = Caller(lambda: judge.verify([(PROBLEM, f"hang:{i}") for i in range(6)]))
        for _ in range(3):
            assert judge.verify(HONEST) == [Verdict.correct()]
            assert len(judging()) <= 2 * workers
        assert slow.is_alive()
        judge.close()
        slow.join()
        assert str(slow.error) == "the judge was closed while it judged"
        assert isinstance(slow.error, ReachlabError)
        assert not judging()
        assert judge.verify(HONEST) == [Verdict.correct()]
    assert not judging()


def test_an_interrupted_caller_leaves_nothing_and_harms_no_other() -> None:
    task = Hostile(40)

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with Judge(task, workers=2) as judge:
        other = Caller(lambda: judge.verify([(p, f"sleep:0.02:{p.answer}") for p in task.all_problems]))
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                judge.verify([(p, "no") for p in task.all_problems], progress=interrupt)
        assert judge.verify([(p, p.answer) for p in task.all_problems]) == [Verdict.correct()] * 40
        other.join()
    assert other.found == [Verdict.correct()] * 40


def test_that_no_worker_starts_is_told_to_all() -> None:
    with Judge(Unloadable(), workers=2) as judge:
        callers = [Caller(lambda: judge.verify(HONEST)) for _ in range(3)]
        for caller in callers:
            caller.join()
            assert isinstance(caller.error, ReachlabError)
            assert "did not start: exit code 1 (RuntimeError: this task does not load)" in str(caller.error)
        with pytest.raises(ReachlabError, match="did not start"):
            judge.verify(HONEST)
    assert not judging()


def test_a_task_that_cannot_be_sent_is_an_error_of_the_caller() -> None:
    task = Hostile()
    task.all_problems = [Problem(id="1", prompt="?", answer=lambda: None)]
    with Judge(task, workers=1) as judge, pytest.raises(RuntimeError, match="a lane of the judge failed") as caught:
        judge.verify(HONEST)
    assert "pickle" in str(caught.value.__cause__)


def test_a_problem_that_cannot_be_sent_is_an_error_of_its_caller_alone() -> None:
    with Judge(Hostile(), workers=1) as judge:
        other = Caller(lambda: judge.verify([(PROBLEM, f"sleep:0.02:{i}:5") for i in range(50)]))
        with pytest.raises(RuntimeError, match="a lane of the judge failed"):
            judge.verify([(Problem(id="1", prompt="?", answer=lambda: None), "1")])
        other.join()
        assert other.found == [Verdict.correct()] * 50
        assert judge.verify(HONEST) == [Verdict.correct()]
