"""Hostile answers: none is ever right, the host is as it was, and the next honest answer is judged as ever."""

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

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
    {"id": "call", "prompt": "Add.", "function": "add", "tests": [{"input": [2, 3], "output": 5}]},
    {
        "task_id": "checked",
        "prompt": "def add(a, b):\n    ''' Add. '''\n",
        "entry_point": "add",
        "test": "def check(candidate):\n    assert candidate(2, 3) == 5\n    assert candidate(20, 22) == 42\n",
    },
]

# Each runs before anything is asked; what follows it is nothing, so only a trick could make it right.
ATTACKS = {
    "fork bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "fork bomb that dies": "import os\nwhile True:\n    try:\n        if os.fork() == 0: pass\n    except OSError: os._exit(0)",
    "threads": "import threading\nwhile True:\n    threading.Thread(target=lambda: __import__('time').sleep(99)).start()",
    "memory": "x = []\nwhile True: x.append(bytearray(1 << 22))",
    "memory of many": (
        "import os, time\nfor _ in range(12):\n    if os.fork() == 0: break\n"
        "x = bytearray(200 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\ntime.sleep(99)"
    ),
    "files in memory": (
        "import os\nn = 0\nwhile True:\n    try: open(f'/tmp/{n}', 'wb').write(b'x' * (1 << 22))\n"
        "    except OSError: pass\n    n += 1"
    ),
    "shared memory": (
        "import os\nn = 0\nwhile True:\n    try: open(f'/dev/shm/{n}', 'wb').write(b'x' * (1 << 22))\n"
        "    except OSError: pass\n    n += 1"
    ),
    "memfd": "import os\nfor i in range(99):\n    f = os.memfd_create('x')\n    os.write(f, b'x' * (15 << 20))",
    "endless output": "while True: print('5' * 1000)",
    "endless errors": "import sys\nwhile True: sys.stderr.write('5' * 1000)",
    "sleep": "import time\ntime.sleep(1000)",
    "busy and deaf": (
        "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nwhile True: pass"
    ),
    "alarm switched off": "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\nsignal.alarm(0)\nwhile True: pass",
    "catches all": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "kill all": "import os\nos.kill(-1, 9)",
    "kill the first": "import os\nos.kill(1, 9)\nos.kill(os.getppid(), 9)",
    "kill the group": "import os\nos.killpg(0, 9)",
    "exit": "import os\nos._exit(0)",
    "exit politely": "raise SystemExit(0)",
    "abort": "import os\nos.abort()",
    "segfault": "import ctypes\nctypes.string_at(0)",
    "deep recursion": "def f(n): return f(n + 1)\nimport sys\nsys.setrecursionlimit(10**9)\nf(0)",
    "huge number": "import sys\nsys.set_int_max_str_digits(0)\nx = str(10 ** 10 ** 8)",
    "deep syntax": "x = " + "(" * 5000 + ")" * 5000,
    "regex": "import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')",
    "null bytes": "x = 1\x00",
    "prints verdicts": (
        "import os, json\nfor m in ({'test': 0, 'passed': True}, {'done': 2}, {'over': True}, {'value': 5}, {'tests': 1}):\n"
        "    for fd in range(64):\n        try: os.write(fd, json.dumps(m).encode() + b'\\n')\n        except OSError: pass"
    ),
    "prints rubbish": (
        "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'\\xff{[' * 100 + b'\\n')\n    except OSError: pass"
    ),
    "an endless message": (
        "import os\nwhile True:\n    for fd in range(3, 64):\n        try: os.write(fd, b'[' * 4096)\n        except OSError: pass"
    ),
    "patches builtins": (
        "import builtins, json, sys\nbuiltins.print = lambda *a, **k: None\n"
        "for m in list(sys.modules.values()):\n    for n in ('dumps', 'pack', 'attempt'):\n"
        "        if hasattr(m, n): setattr(m, n, lambda *a, **k: b'{\"value\": true}\\n')"
    ),
    "patches the player": (
        "import sys\nmain = sys.modules['__main__']\nmain.attempt = main.run = lambda *a: {'value': True, 'stdout': 'True'}"
    ),
    "equal to all": (
        "class Yes(int):\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\n"
        "    __hash__ = int.__hash__\n    def __repr__(self): return '5'\n    __str__ = __repr__\n"
        "def add(a, b): return Yes(7)\nprint('Yes')"
    ),
    "raises AssertionError": "def add(a, b): raise AssertionError\nassert False",
    "looks for the tests": (
        "import gc, inspect, sys\nfound = [o for o in gc.get_objects() if isinstance(o, (str, dict)) and '42' in str(o)[:4000]]\n"
        "f = sys._getframe()\nwhile f:\n    found += [v for v in f.f_locals.values() if '\"output\"' in str(v)]\n    f = f.f_back\n"
        "assert not [x for x in found if 'output' in str(x) and 'tests' in str(x) and 'looks' not in str(x)]"
    ),
}


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> CodeTask:
    file = tmp_path_factory.mktemp("code") / "tasks.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    found = load_task(f"code:{file},seconds=0.7,total=2,memory=256")
    assert isinstance(found, CodeTask)
    return found


@pytest.fixture(scope="module")
def judge(task: CodeTask) -> Iterator[Judge]:
    with Judge(task, workers=1, timeout_s=10) as judge:
        yield judge


def verdicts(judge: Judge, task: CodeTask, program: str) -> list[Verdict]:
    """On each kind of problem, fenced so that it is taken as it stands."""
    return judge.verify([(problem, f"```python\n{program}\n```") for problem in task.all_problems])


def honest(judge: Judge, task: CodeTask) -> None:
    pairs: list[tuple[Problem, str]] = [
        (p, f"```python\n{HONEST[p.id]}# {time.time()}\n```") for p in task.all_problems
    ]
    assert [v.status for v in judge.verify(pairs)] == ["correct"] * 3


def pids(judge: Judge) -> list[int]:
    """The judge's processes."""
    return [lane.process.popen.pid for lane in judge._lanes.lanes if lane.process]


def left_behind(judge: Judge) -> list[str]:
    """Processes in sandboxes of this judge's worker (they bear a number made of its own); not the one with the tests."""
    marks = [f'"uid": {bubble.NOBODY + pid}' for pid in pids(judge)]
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if "/sandbox/player.py" in line and any(mark in line for mark in marks)]


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack(attack: str, judge: Judge, task: CodeTask) -> None:
    began = time.monotonic()
    found = verdicts(judge, task, ATTACKS[attack])
    assert all(v.status in ("wrong", "unscored") for v in found), found
    assert time.monotonic() - began < 3 * 12
    assert not left_behind(judge)
    if attack == "memory of many":
        assert all("out of memory" in v.reason for v in found), found
    honest(judge, task)


def test_nothing_of_the_host_is_to_be_seen_or_changed(judge: Judge, task: CodeTask, tmp_path: Path) -> None:
    os.environ["A_SECRET"] = "secret-4711"
    mark = Path.home() / ".sandbox-escaped"
    looks = f"""
import os, glob
def found():
    seen = [repr(os.environ), repr(glob.glob('/home/*')), repr(glob.glob({str(Path.home())!r} + '/*')),
            repr(glob.glob({str(tmp_path)!r} + '/*')), repr(os.listdir('/tmp')), repr(os.getuid() == 0)]
    for p in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):
        try: seen.append(open(p).read())
        except OSError: pass
    for target in ({str(mark)!r}, {str(tmp_path / "mark")!r}, '/usr/mark', '/etc/mark', '/sandbox/mark', '/home/mark',
                   '/mark', '/dev/mark', '/sandbox/player.py', '/proc/1/root' + {str(mark)!r}, '/proc/self/cwd/../mark',
                   '/proc/sys/kernel/hostname', '/proc/sysrq-trigger', '/proc/1/mem', '/proc/1/oom_score_adj'):
        try:
            open(target, 'w').write('mark'); seen.append('WROTE ' + target)
        except OSError: pass
    for source in ('/etc/passwd', '/etc/shadow', '/root', '/work', '/proc/1/root/etc/shadow', '/var/run'):
        try: os.symlink(source, '/tmp/l'); seen.append('READ: ' + open('/tmp/l').read())
        except OSError: pass
        finally:
            try: os.unlink('/tmp/l')
            except OSError: pass
    for call in ('os.setuid(0)', 'os.chroot("/tmp")', 'os.mknod("/tmp/sda", 0o60600, os.makedev(8, 0))',
                 'os.unshare(0x10000000)', 'os.sethostname("x")', 'os.nice(-5)'):
        try: eval(call); seen.append('DID ' + call)
        except Exception: pass
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    for name, args in (('ptrace', (16, 1, 0, 0)), ('unshare', (0x10000000,)), ('mount', (b'x', b'/tmp', b'tmpfs', 0, 0)),
                       ('shmget', (0, 1 << 30, 0o1600)), ('keyctl', (0,)), ('personality', (0x0040000,))):
        if getattr(libc, name, None) is not None and getattr(libc, name)(*args) >= 0: seen.append('DID ' + name)
    return ' | '.join(seen)
"""
    referee = bubble.Sandbox("player.py", task.limits)
    with referee as sandbox:
        until = time.monotonic() + 20
        sandbox.send({"load": looks, "s": 5}, until)
        assert sandbox.receive(until) == {"loaded": True}
        sandbox.send({"call": "found", "args": ["tuple", []], "kwargs": ["dict", []], "s": 10}, until)
        said = sandbox.receive(until)
    seen = str(said["value"])
    for trace in ("secret-4711", "WROTE", "DID", "READ:", "pytest", "root:", str(Path.home()) + "/"):
        assert trace not in seen, seen
    assert "[]" in seen
    assert not mark.exists()
    assert not list(tmp_path.iterdir())


def test_no_network(judge: Judge, task: CodeTask) -> None:
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)

        def listen() -> None:
            with contextlib.suppress(OSError):
                heard.append(server.accept())

        thread = threading.Thread(target=listen)
        thread.start()
        port = server.getsockname()[1]
        program = f"""
import socket
for host in ('127.0.0.1', 'localhost', '::1', '10.0.0.1'):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            s = socket.socket(socket.AF_INET, kind); s.settimeout(0.1); s.connect((host, {port})); s.send(b'hello')
        except OSError: pass
"""
        assert all(v.status == "wrong" for v in verdicts(judge, task, program))
        server.close()
        thread.join()
    assert not heard


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
    assert all(v.status == "wrong" for v in verdicts(judge, task, daemon))
    assert marker not in " ".join(" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"]))
    honest(judge, task)


def test_the_judging_process_killed_takes_its_sandboxes_along(task: CodeTask) -> None:
    with Judge(task, workers=1, timeout_s=10) as judge:
        honest(judge, task)
        (pid,) = pids(judge)
        children = psutil.Process(pid).children(recursive=True)
        inside = [p for p in children if "checker.py" in " ".join(p.cmdline())]
        assert inside
        os.kill(pid, signal.SIGKILL)
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
