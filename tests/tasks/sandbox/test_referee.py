"""What a judgement comes to: whose fault is what, in CPU time, with nothing of an answer read on the host."""

from collections.abc import Iterator

import pytest

from reachlab.tasks.sandbox import bubble, cgroup
from reachlab.tasks.sandbox.bubble import Allowance, Limits, Sandbox, SandboxError
from reachlab.tasks.sandbox.referee import (
    MOST_TEXT,
    Answer,
    Code,
    Example,
    MissingModuleError,
    Passed,
    Referee,
    clean,
    wall_limit_s,
)

pytestmark = pytest.mark.skipif(bool(bubble.available()), reason=f"no sandbox: {bubble.available()}")
SUM = [Example("2 3\n", "5"), Example("20 22\n", "42")]
CALLS = [Example([2, 3], 5), Example([20, 22], 42)]
CHECK = "def check(f):\n    assert f(2) == 4\n    assert f(3) == 9\n"
LIMITS = Limits(memory_bytes=128 << 20)


@pytest.fixture(scope="module")
def judge() -> Iterator[Referee]:
    made = Referee(LIMITS, test_s=0.3, total_s=0.8)
    yield made
    made.close()
    cgroup.leave()


def code(tests: str = CHECK, setup: str = "", check: str = "check") -> Code:
    return Code(tests=tests, names=("f",), check=check, setup=setup)


def test_time_asleep_is_not_time(judge: Referee) -> None:
    sleeps = "import time\ndef add(a, b):\n    time.sleep(0.6)\n    return a + b"
    assert judge.calls(Answer(sleeps), "add", CALLS).passed == 2
    for_ever = "import time\ndef add(a, b): time.sleep(99)"
    found = judge.calls(Answer(for_ever), "add", CALLS)
    assert found.passed == 0
    assert "no answer within" in found.first
    assert "asleep" in found.first


def test_time_is_that_of_children_too(judge: Referee) -> None:
    child = "import os\ndef add(a, b):\n    if os.fork() == 0:\n        while True: pass\n    os.wait()"
    assert "no answer within 0.3 s" in judge.calls(Answer(child), "add", CALLS).first
    assert "no answer within 0.3 s" in judge.programs(Answer(f"{child}\nadd(1, 2)"), SUM).first


def test_all_tests_together_have_a_time(judge: Referee) -> None:
    slow = "from time import process_time as t\ndef f(x):\n    s = t()\n    while t() - s < 0.2: pass\n    return x"
    found = judge.calls(Answer(slow), "f", [Example([i], i) for i in range(9)])
    assert 3 <= found.passed <= 4
    assert "no answer within" in found.first or "out of time" in found.first


def test_one_slow_test_spoils_no_other(judge: Referee) -> None:
    slow = "def add(a, b):\n    while a == 2: pass\n    return a + b"
    assert judge.calls(Answer(slow), "add", CALLS) == Passed(1, 2, "test 1: TimeoutError: no answer within 0.3 s")
    slow = "a, b = map(int, input().split())\nwhile a == 2: pass\nprint(a + b)"
    assert judge.programs(Answer(slow), SUM) == Passed(1, 2, "test 1: TimeoutError: no end within 0.3 s")


def test_a_machine_that_gives_no_core_is_not_the_answers_fault(judge: Referee, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubble, "STARVED", -bubble.START_LIMIT_S / 9 + 0.02)
    with Sandbox("player.py", LIMITS) as player:
        monkeypatch.setattr(player.meter, "runs", lambda: True)
        with pytest.raises(SandboxError, match=r"the machine gave it .* s in"):
            player.ask([b'{"do": "take", "s": 9}'], Allowance(9), 9)  # half a question: it waits


def test_a_start_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []
    start = Sandbox._start

    def fails_once(self: Sandbox, script: str) -> None:
        tries.append(script)
        if len(tries) == 1:
            raise SandboxError("busy")
        start(self, script)

    monkeypatch.setattr(Sandbox, "_start", fails_once)
    with Sandbox("player.py", LIMITS) as player:
        assert player.lives()
    assert len(tries) == 2


def test_tests_over_hostile_values_are_the_answers_time(judge: Referee) -> None:
    collide = "def f(x): return [k * (2**61 - 1) for k in range(80_000)]"
    found = judge.code(Answer(collide), code("def check(f):\n    assert f(2) == 4\n    assert len(set(f(3))) == 9\n"))
    assert (found.passed, found.tests) == (0, 2)
    assert judge.code(Answer("def f(x): return x * x"), code()) == Passed(2, 2)
    collide = "def add(a, b): return {k * (2**61 - 1): 0 for k in (5, 6)} if a == 2 else a + b"
    assert judge.calls(Answer(collide), "add", CALLS).passed == 1


def test_a_checker_that_breaks_off_in_a_word(judge: Referee) -> None:
    dies = "    import os, sys\n    os.write(int(sys.argv[1]), b'{\"te')\n    os.kill(os.getpid(), 9)\n"
    tests = f"def check(f):\n    assert f(2) == 4\n{dies}    assert f(3) == 9\n"
    found = judge.code(Answer("def f(x): return x * x"), code(tests))
    assert (found.passed, found.tests, found.first) == (1, 2, "the tests over what it gave: killed by signal 9")
    assert judge.code(Answer("def f(x): return x * x"), code()) == Passed(2, 2)


@pytest.mark.parametrize(
    ("tests", "setup", "says"),
    [
        ("import no_such_module\n" + CHECK, "", "No module named 'no_such_module'"),
        (CHECK, "1 / 0", "ZeroDivisionError"),
        ("def check(f):\n    assert undefined(1) == 2\n", "", "NameError"),
        ("def check(f):\n    while True: pass\n    assert f(2) == 4\n", "", "out of time"),
        ("import os\ndef check(f):\n    assert f(2) == 4\n    os._exit(1)\n", "", "did not come to their end"),
        ("def check(f):\n    f(2)\n", "", "assert nothing"),
        ("import os\ndef check(f):\n    assert os.abort()\n", "", "killed by signal 6"),
    ],
)
def test_broken_tests_are_not_the_answers_fault(judge: Referee, tests: str, setup: str, says: str) -> None:
    with pytest.raises(SandboxError, match=says):
        judge.code(Answer("def f(x): return x * x"), code(tests, setup))
    assert judge.code(Answer("def f(x): return x * x"), code()) == Passed(2, 2)


@pytest.mark.parametrize("error", ["StopIteration", "StopAsyncIteration", "AssertionError", "GeneratorExit"])
def test_no_error_ends_the_loop_of_a_test(judge: Referee, error: str) -> None:
    tests = "def check(f):\n    assert all(map(lambda x: f(x) == x * x, range(3)))\n    assert list(map(f, [])) == []\n"
    found = judge.code(Answer(f"def f(x): raise {error}"), code(tests))
    assert (found.passed, found.tests) == (1, 2)


def test_what_is_late_or_gone_raises_nothing_that_was_wanted(judge: Referee) -> None:
    tests = (
        "def check(f):\n    try:\n        f(-1)\n    except Exception:\n        pass\n    else:\n        assert False\n"
        "    assert f(2) == 4\n"
    )
    right = "def f(x):\n    if x < 0: raise ValueError\n    return x * x"
    assert judge.code(Answer(right), code(tests)) == Passed(2, 2)
    for wrong in ("while True: pass", "__import__('os')._exit(0)"):
        assert judge.code(Answer(f"def f(x):\n    {wrong}"), code(tests)).passed == 0


def test_a_program_that_does_not_load_passes_nothing(judge: Referee) -> None:
    tests = "def check(f):\n    try:\n        assert f(2) == 4\n    except Exception:\n        pass\n"
    found = judge.code(Answer("def f(x: return x"), code(tests))
    assert (found.passed, found.tests) == (0, 1)
    assert "does not load: SyntaxError" in found.first


@pytest.mark.parametrize(
    ("program", "missing"),
    [
        ("import numpy as np\ndef add(a, b): return a + b", "numpy"),
        ("def add(a, b):\n    from scipy.special import comb\n    return a + b", "scipy"),
        ("import no_such_module\ndef add(a, b): return a + b", ""),
        ("import os.nothing\ndef add(a, b): return a + b", ""),
        ("try:\n    import numpy\nexcept ImportError:\n    numpy = None\ndef add(a, b): return a + b + 1", ""),
        ("def add(a, b): raise ImportError('numpy')", ""),
    ],
)
def test_a_module_that_is_missing_here_is_said(judge: Referee, program: str, missing: str) -> None:
    whole = f"{program}\nprint(add(1, 1))"
    if missing:
        says = f"needs the module {missing}; allow it with packages={missing}"
        with pytest.raises(MissingModuleError, match=says):
            judge.calls(Answer(program), "add", CALLS)
        with pytest.raises(MissingModuleError, match=says):
            judge.programs(Answer(whole), SUM)
    else:
        assert judge.calls(Answer(program), "add", CALLS).passed == 0
        assert judge.programs(Answer(whole), SUM).passed == 0


def test_a_module_that_is_there_is_no_excuse() -> None:
    made = Referee(Limits(packages=("numpy",)), test_s=2, total_s=4)
    try:
        good = "import numpy as np\ndef add(a, b): return np.array([a, b]).sum()"
        assert made.calls(Answer(good), "add", CALLS) == Passed(2, 2)
        bad = "def add(a, b): raise ModuleNotFoundError(name='numpy')"
        assert made.calls(Answer(bad), "add", CALLS).passed == 0
        tests = "import numpy as np\ndef check(f):\n    assert np.allclose(f([1, 2]), [2, 4])\n    assert f(3) == 6\n"
        twice = "import numpy as np\ndef f(x): return np.array(x) * 2"
        assert made.code(Answer(twice), code(tests)) == Passed(2, 2)
    finally:
        made.close()


def test_what_stands_before_a_program(judge: Referee) -> None:
    program = "from __future__ import annotations\ndef add(a: Unknown, b) -> Missing: return a + b + int(pi) - 3"
    assert judge.calls(Answer(program, before="from math import pi"), "add", CALLS) == Passed(2, 2)
    assert judge.calls(Answer(program), "add", CALLS).passed == 0


@pytest.mark.parametrize(
    "program",
    [
        "print(sum(map(int, open('/dev/stdin').read().split())))",
        "print(sum(map(int, open(0).read().split())), file=open('/dev/stdout', 'w'))",
        "import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))\nsys.exit(0)",
        "import threading\nthreading.Thread(target=lambda: print(sum(map(int, input().split())))).start()",
        "import atexit, io, sys\nout = io.StringIO()\natexit.register(lambda: sys.__stdout__.write(out.getvalue()))\n"
        "print(sum(map(int, input().split())), file=out)",
        "out = open(1, 'w')\nout.write(str(sum(map(int, input().split()))))",
        "import os\nif os.fork() == 0:\n    print(sum(map(int, input().split())))\nelse:\n    os.wait()",
        "import sys\nassert sys.argv == ['answer.py'] and __name__ == '__main__'\n"
        "import __main__\n__main__.x = 1\nprint(sum(map(int, input().split())) * x)",
    ],
)
def test_whole_programs_as_people_write_them(judge: Referee, program: str) -> None:
    assert judge.programs(Answer(program), SUM) == Passed(2, 2)


def test_each_run_is_a_process_of_its_own(judge: Referee) -> None:
    program = "import builtins\nn = getattr(builtins, 'n', 0) + 1\nbuiltins.n = n\nprint(n)"
    assert judge.programs(Answer(program), [Example("", "1"), Example("", "1")]) == Passed(2, 2)


def test_tolerance_goes_to_the_comparison(judge: Referee) -> None:
    near = [Example("", "1.0")]
    assert judge.programs(Answer("print(1.0001)"), near).passed == 0
    assert judge.programs(Answer("print(1.0001)"), near, tolerance=1e-3).passed == 1
    assert judge.calls(Answer("def f(): return 1.0001"), "f", [Example([], 1.0)]).passed == 0
    assert judge.calls(Answer("def f(): return 1.0001"), "f", [Example([], 1.0)], tolerance=1e-3).passed == 1


def test_no_program(judge: Referee) -> None:
    assert judge.calls(Answer(" \n"), "add", CALLS) == Passed(0, 2, "no program found")
    assert judge.programs(Answer(""), SUM).first == "no program found"
    assert judge.code(Answer(""), code()) == Passed(0, 2, "no program found")
    assert "more than" in judge.programs(Answer("x" * (MOST_TEXT + 1)), SUM).first


def test_what_is_said_can_be_written_anywhere(judge: Referee) -> None:
    for program in ("def add(a, b): raise ValueError('\\ud800 \\x00 \\n')", "def add(a, b): return '\\udfff\\n'"):
        found = judge.calls(Answer(program), "add", CALLS)
        found.first.encode()
        assert "\n" not in found.first
    assert clean("a\n b\ud800" + "x" * 999) == "a b?" + "x" * 196


def test_the_wall_is_far_away() -> None:
    assert wall_limit_s(30.0) > 20 * 30.0
    assert bubble.STARVED > bubble.ASLEEP > 1


def test_without_walls() -> None:
    made = Referee(LIMITS, test_s=0.3, total_s=0.8, walls=False)
    try:
        assert made.calls(Answer("def add(a, b): return a + b"), "add", CALLS) == Passed(2, 2)
        assert made.programs(Answer("print(sum(map(int, input().split())))"), SUM) == Passed(2, 2)
        assert made.code(Answer("def f(x): return x * x"), code()) == Passed(2, 2)
        assert (
            "no answer within 0.3 s" in made.calls(Answer("def add(a, b):\n    while True: pass"), "add", CALLS).first
        )
        assert made.calls(Answer("import sys\ndef add(a, b): return sys.prefix"), "add", [Example([], "")]).passed == 0
    finally:
        made.close()
