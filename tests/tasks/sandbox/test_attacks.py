"""Hostile answers: none is ever right or unscored, the host is as it was, and the next honest one is judged as ever."""

import json
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import psutil
import pytest
from tests.tasks.sandbox.attacks import FAMILIES, KINDS

from reachlab.errors import ReachlabError
from reachlab.tasks.code import CodeTask
from reachlab.tasks.judging import Judge
from reachlab.tasks.registry import load_task
from reachlab.tasks.sandbox import bubble
from reachlab.types import Problem, Verdict

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(bubble.available()), reason=f"no sandbox: {bubble.available()}"),
]

HONEST = {
    "whole": "a, b = map(int, input().split())\nprint(a + b)\n",
    "call": "def add(a, b):\n    return a + b\n",
    "checked": "def add(a, b):\n    return a + b\n",
}
ROWS = [
    {"id": "whole", "prompt": "Add.", "tests": [{"input": "2 3\n", "output": "5"}, {"input": "20 22", "output": "42"}]},
    {
        "id": "call",
        "prompt": "Add.",
        "function": "add",
        "tests": [{"input": [2, 3], "output": 5}, {"input": [20, 22], "output": 42}],
    },
    {
        "task_id": "checked",
        "prompt": "def add(a, b):\n    ''' Add. '''\n",
        "entry_point": "add",
        "test": "def check(candidate):\n    assert candidate(2, 3) == 5\n    assert candidate(20, 22) == 42\n"
        "    assert all(map(lambda x: candidate(x, x) == 2 * x, range(9)))\n",
    },
]
MOST_GROWTH = 48 << 20


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> CodeTask:
    file = tmp_path_factory.mktemp("code") / "tasks.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    found = load_task(f"code:{file},seconds=0.3,total=0.6,memory=128").task
    assert isinstance(found, CodeTask)
    return found


@pytest.fixture(scope="module")
def judge(task: CodeTask) -> Iterator[Judge]:
    with Judge(task, workers=1) as judge:
        yield judge


def problem_of(task: CodeTask, kind: str) -> Problem:
    return next(p for p in task.all_problems if p.id == kind)


def verdict(judge: Judge, task: CodeTask, kind: str, program: str) -> Verdict:
    """Fenced, so that it is taken as it stands."""
    (found,) = judge.verify([(problem_of(task, kind), f"```python\n{program}\n```")])
    return found


def honest(judge: Judge, task: CodeTask, *kinds: str) -> None:
    pairs = [(problem_of(task, k), f"```python\n{HONEST[k]}# {time.time()}\n```") for k in kinds or HONEST]
    found = judge.verify(pairs)
    assert [v.status for v in found] == ["correct"] * len(pairs), found


def workers() -> list[psutil.Process]:
    """The processes that judge for this one."""
    ours = psutil.Process().children()
    return [p for p in ours if "reachlab.tasks.worker" in " ".join(p.cmdline())]


def left_behind() -> list[str]:
    """Programs that live in sandboxes of this process's judges; not the ones with the tests."""
    inside = [p for worker in workers() for p in worker.children(recursive=True)]
    return [line for p in inside if "/sandbox/player.py" in (line := " ".join(p.cmdline()))]


def test_there_are_many() -> None:
    assert sum(map(len, FAMILIES.values())) >= 130


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_in_a_row(family: str, judge: Judge, task: CodeTask) -> None:
    honest(judge, task)
    (worker,) = workers()
    processes = (psutil.Process(), worker)
    before = [p.memory_info().rss for p in processes]
    kinds = cycle(KINDS.get(family, tuple(HONEST)))
    for number, (name, program) in enumerate(FAMILIES[family].items()):
        kind = next(kinds)
        found = verdict(judge, task, kind, program)
        assert found.status == "wrong", (name, kind, found)
        assert found.reason, (name, kind)
        found.reason.encode()
        assert not left_behind(), name
        if number % 4 == 0:
            honest(judge, task, kind)
    honest(judge, task)
    assert workers() == [worker]
    for process, was in zip(processes, before, strict=True):
        assert process.memory_info().rss - was < MOST_GROWTH


def test_memory_of_all_processes_counts(judge: Judge, task: CodeTask) -> None:
    for name in ("memory of many", "shared pages", "sockets"):
        assert "out of memory" in verdict(judge, task, "call", FAMILIES["memory"][name]).reason, name


def test_a_process_left_behind_is_gone(judge: Judge, task: CodeTask) -> None:
    marker = f"left-{time.time_ns()}"
    daemon = f"""
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(300)', {marker!r}])
    os._exit(0)
time.sleep(0.2)
"""
    for kind in HONEST:
        assert verdict(judge, task, kind, daemon).status == "wrong"
        assert marker not in " ".join(" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"]))
    honest(judge, task)


def test_the_judging_process_killed_takes_its_sandboxes_along(task: CodeTask) -> None:
    before = set(workers())
    with Judge(task, workers=1) as judge:
        honest(judge, task)
        (worker,) = set(workers()) - before
        inside = [p for p in worker.children(recursive=True) if "checker.py" in " ".join(p.cmdline())]
        assert inside
        worker.kill()
        psutil.wait_procs(inside, timeout=5)
        assert not [p for p in inside if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        honest(judge, task)


def test_without_bubblewrap_it_refuses(task: CodeTask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    bubble.available.cache_clear()
    try:
        with pytest.raises(ReachlabError, match="bubblewrap is not installed: apt-get install bubblewrap"):
            load_task(task.spec)
        loose = load_task(f"{task.spec},UNSANDBOXED=true")
        assert loose.spec.endswith("UNSANDBOXED=true")  # so that run.json says it
        monkeypatch.undo()
        with Judge(loose, workers=1) as judge:
            for problem in task.all_problems:
                (right, wrong) = judge.verify([(problem, HONEST[problem.id]), (problem, "while True: pass")])
                assert (right.status, wrong.status) == ("correct", "wrong")
    finally:
        bubble.available.cache_clear()
