"""What code inside the walls sees, reaches and may ask the kernel for."""

import contextlib
import errno
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import reachlab
from reachlab.errors import ReachlabError
from reachlab.tasks.sandbox import bubble, cgroup, seccomp, values, walls
from reachlab.tasks.sandbox.bubble import Allowance, Limits, Sandbox
from reachlab.tasks.sandbox.referee import Answer, Example, Referee

pytestmark = pytest.mark.skipif(bool(bubble.available()), reason=f"no sandbox: {bubble.available()}")
REFUSED_X86 = {"io_setup": 206, "modify_ldt": 154, "fanotify_init": 300, "pidfd_open": 434, "vmsplice": 278}


@pytest.fixture(scope="module", autouse=True)
def _groups() -> Iterator[None]:
    yield
    cgroup.leave()


def asked(program: str, limits: Limits | None = None, walled: bool = True) -> Any:
    """What a function `found` returns inside, or why it does not."""
    with Sandbox("player.py", limits or Limits(), walls=walled) as player:
        said = []
        for do, given in (
            ("take", {"text": f"```python\n{program}\n```", "begins": "", "entry": "", "before": ""}),
            ("load", {}),
            ("call", {"call": "found", "args": values.pack(()), "kwargs": values.pack({})}),
        ):
            lines = [json.dumps({"do": do, "s": 10}).encode(), json.dumps(given).encode()]
            said.append(json.loads(player.ask(lines, Allowance(20), 10)))
    assert said[:2] == [{"taken": True}, {"loaded": True}], said
    return values.unpack(said[2]["value"]) if "value" in said[2] else said[2]


def test_no_host_path_shows(tmp_path: Path) -> None:
    os.environ["A_SECRET"] = "secret-4711"
    looks = """
    import os, sys, sysconfig, site, json, traceback, zoneinfo, ctypes, subprocess
    def read(path):
        try: return open(path, errors='replace').read()
        except OSError as error: return type(error).__name__
    def tree(top):
        return [os.path.join(at, name) for at, folders, files in os.walk(top) for name in folders + files]
    def found():
        seen = [read(f'/proc/{who}/{what}') for who in ('self', '1', 'thread-self') for what in
                ('mountinfo', 'mounts', 'mountstats', 'maps', 'cmdline', 'environ', 'cgroup', 'status')]
        seen += [read(p) for p in ('/proc/cmdline', '/proc/mounts', '/proc/version', '/etc/passwd', '/etc/mtab',
                                   '/etc/hostname', '/etc/fstab', '/etc/resolv.conf', '/etc/os-release')]
        seen += [sys.executable, sys.prefix, sys.base_prefix, sys.exec_prefix, sys._base_executable, repr(sys.path),
                 repr(sys.argv), repr(sys.orig_argv), repr(os.environ), repr(sysconfig.get_config_vars()),
                 repr(sysconfig.get_paths()), json.__file__, json.__spec__.origin, repr(sys.flags), os.getcwd(),
                 os.uname().nodename,
                 repr(site.getsitepackages()), repr(zoneinfo.TZPATH), sysconfig.get_makefile_filename()]
        seen += [repr([m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)])]
        try: json.loads('[')
        except ValueError: seen.append(traceback.format_exc())
        seen += tree('/dev') + tree('/home') + tree('/tmp') + tree('/packages') + os.listdir('/')
        seen += os.listdir('/python') + os.listdir('/python/lib') + tree('/usr/local')
        seen.append(subprocess.run([sys.executable, '-c', 'import sys; print(sys.path, sys.prefix)'],
                                   capture_output=True, text=True).stdout)
        return seen
    """
    seen = asked(textwrap.dedent(looks))
    assert isinstance(seen, list), seen
    text = "\n".join(map(str, seen))
    prefix = Path(sys.base_prefix).resolve()
    for trace in (
        "secret-4711",
        "pytest",
        "root:",
        str(Path.home()),
        str(tmp_path),
        str(walls.HERE),
    ):
        assert trace in ("/", "") or trace not in text, (trace, text)
    if prefix != Path("/usr"):
        assert str(prefix) not in text
    command_line = Path("/proc/cmdline").read_text().split()
    assert not [word for word in command_line if len(word) > 8 and word in text]
    assert f"/python/bin/{walls.VERSION}" in text
    assert "/python/lib" in text
    assert "sandbox" in seen


def test_nothing_of_the_host_is_read_or_changed(tmp_path: Path) -> None:
    mark = Path.home() / ".sandbox-escaped"
    looks = f"""
import os, glob
def found():
    seen = [repr(os.getuid() == 0)] + [repr(glob.glob(p + '/*')) for p in ({str(Path.home())!r}, {str(tmp_path)!r})]
    for target in ({str(mark)!r}, {str(tmp_path / "mark")!r}, '/usr/mark', '/etc/mark', '/sandbox/mark', '/home/mark',
                   '/mark', '/dev/mark', '/sandbox/player.py', '/python/mark', '/python/lib/mark', '/packages/mark',
                   '/usr/local/mark', '/python/lib/{walls.VERSION}/site-packages/mark'):
        try:
            open(target, 'w').write('mark'); seen.append('WROTE ' + target)
        except OSError: pass
    for source in ('/etc/passwd', '/etc/shadow', '/root', '/work', '/var/run', '/sys/kernel'):
        try: os.symlink(source, '/tmp/l'); seen.append('READ: ' + open('/tmp/l').read())
        except OSError: pass
        finally:
            try: os.unlink('/tmp/l')
            except OSError: pass
    for call in ('os.setuid(0)', 'os.chroot("/tmp")', 'os.mknod("/tmp/sda", 0o60600, os.makedev(8, 0))',
                 'os.sethostname("x")', 'os.nice(-5)', 'os.nice(5)', 'os.sched_setscheduler(0, 5, os.sched_param(0))',
                 'os.openpty()', 'os.kill(1, 9)'):
        try: eval(call); seen.append('DID ' + call if 'kill' not in call else '')
        except Exception: pass
    return ' | '.join(seen)
"""
    seen = asked(looks)
    assert "[] | []" in seen
    for trace in ("WROTE", "DID", "READ:", "True"):
        assert trace not in seen, seen
    assert not mark.exists()
    assert not list(tmp_path.iterdir())


def test_every_call_that_is_refused_is() -> None:
    column, _ = seccomp.ARCHES[platform.machine()]
    numbers = {name: both[column] for name, both in seccomp.FORBIDDEN.items() if both[column] is not None}
    if platform.machine() == "x86_64":
        assert {name: numbers[name] for name in REFUSED_X86} == REFUSED_X86
    numbers["clone3"] = seccomp.CLONE3[column]
    program = f"""
import ctypes
def found():
    libc = ctypes.CDLL(None, use_errno=True)
    def error(*words):
        ctypes.set_errno(0)
        return ctypes.get_errno() if libc.syscall(*map(ctypes.c_long, words)) < 0 else 0
    calls = {{name: error(number, 0, 0, 0, 0, 0, 0) for name, number in {numbers!r}.items()}}
    for flag in range(32):
        if 1 << flag & {seccomp.NEW_NAMESPACES}: calls[f'clone {{flag}}'] = error({seccomp.CLONE[column]}, 1 << flag, 0)
    return calls
"""
    found = asked(program)
    assert found.pop("clone3") == errno.ENOSYS
    assert {name for name, error in found.items() if error != errno.EPERM} == set()
    assert len(found) > 100


def test_sockets_are_local_or_the_internets() -> None:
    program = """
import socket, os
def tried(work):
    try: work()
    except OSError as error: return error.errno
    return 0
def found():
    pairs = [tried(lambda f=f: socket.socketpair(f)) for f in (1, 16, 40)]
    families = {f: tried(lambda f=f: socket.socket(f, socket.SOCK_DGRAM)) for f in range(46)}
    kinds = [tried(lambda p=p: socket.socket(socket.AF_INET, socket.SOCK_STREAM, p)) for p in (0, 6, 33, 132, 262)]
    s = socket.socket()
    sizes = [tried(lambda o=o: s.setsockopt(socket.SOL_SOCKET, o, 1 << 20)) for o in (7, 8, 32, 33)]
    plain = tried(lambda: s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1))
    level = tried(lambda: s.setsockopt(socket.IPPROTO_TCP, 7, 1))
    raw = tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
    return [pairs, families, kinds, sizes, plain, level, raw]
"""
    pairs, families, kinds, sizes, plain, level, raw = asked(program)
    assert pairs == [0, errno.EAFNOSUPPORT, errno.EAFNOSUPPORT]
    assert {f for f, error in families.items() if error != errno.EAFNOSUPPORT} <= {1, 2, 10}
    assert families[1] == families[2] == 0
    assert kinds == [0, 0, *[errno.EPROTONOSUPPORT] * 3]
    assert sizes == [errno.EPERM] * 4
    assert (plain, level) == (0, 0)
    assert raw in (errno.EPERM, errno.EPROTONOSUPPORT)


def test_no_network() -> None:
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(1)

        def listen() -> None:
            with contextlib.suppress(OSError):
                heard.append(server.accept())

        thread = threading.Thread(target=listen)
        thread.start()
        port = server.getsockname()[1]
        program = f"""
import socket
def found():
    reached = []
    for host in ('127.0.0.1', 'localhost', '::1', '10.0.0.1'):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                s = socket.socket(socket.AF_INET, kind); s.settimeout(0.1); s.connect((host, {port})); s.send(b'hello')
                if kind == socket.SOCK_STREAM: reached.append(host)
            except OSError: pass
    return reached
"""
        assert asked(program) == []
        server.close()
        thread.join()
    assert not heard


def test_what_ordinary_programs_need_is_there() -> None:
    program = """
import asyncio, concurrent.futures, ctypes, dataclasses, decimal, hashlib, multiprocessing, os, sqlite3, ssl, subprocess
import tempfile, threading, time, uuid, zoneinfo, datetime, random, sysconfig
@dataclasses.dataclass
class Point:
    x: 'int'
def square(x): return x * x
async def nothing(): await asyncio.sleep(0.01); return 5
def found():
    context = multiprocessing.get_context('fork')
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        squares = list(pool.map(square, range(4)))
    with tempfile.NamedTemporaryFile('w+') as file: file.write('text'); file.flush(); size = os.path.getsize(file.name)
    said = subprocess.run(['echo', 'hello'], capture_output=True, text=True).stdout
    return [asyncio.run(nothing()), squares, size, said, Point(3).x, os.cpu_count() > 0,
            str(datetime.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo('UTC'))), exit is not None,
            sqlite3.connect(':memory:').execute('select 1').fetchone()]
"""
    found = asked(program)
    assert found == [5, [0, 1, 4, 9], 4, "hello\n", 3, True, "2020-01-01 00:00:00+00:00", True, (1,)]


def test_packages_come_by_name_and_only_those() -> None:
    program = """
import sys, importlib.util
def found():
    import numpy
    return [int(numpy.arange(4).sum()), numpy.__file__, importlib.util.find_spec('pytest') is None, sys.path[-1]]
"""
    sum_, place, alone, last = asked(program, Limits(packages=("numpy",)))
    assert (sum_, alone, last) == (6, True, "/packages")
    assert place.startswith("/packages/numpy/")
    assert "numpy" in walls.modules(("numpy",))
    with pytest.raises(ReachlabError, match="packages=no-such: not installed here; pip install no-such"):
        asked("def found(): pass", Limits(packages=("no-such",)))


@pytest.mark.skipif(cgroup.home() is None, reason="no control group is ours to make here")
def test_groups_go_with_whom_they_were_made_by() -> None:
    program = (
        "import time\nfrom reachlab.tasks.sandbox.bubble import Limits, Sandbox\n"
        "box = Sandbox('player.py', Limits())\nprint(*box._group._made, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        made = [Path(word) for word in process.stdout.readline().split()]
        assert made
        assert all(path.is_dir() for path in made)
        process.kill()
    for _ in range(200):
        if not any(path.exists() for path in made):
            break
        threading.Event().wait(0.05)
    assert not [path for path in made if path.exists()]


def test_memory_and_time_are_kept_without_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "home", lambda: None)
    files = "for n in range(3): open(f'/tmp/{n}', 'wb').write(b'x' * (14 << 20))\n"
    hungry = f"x = bytearray(60 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\n{files}while True: pass"
    children = "import os\nfor _ in range(3): os.fork()\nwhile True: pass"
    sockets = (
        "import socket, time\nx = []\ntry:\n    while True: x += socket.socketpair()\nexcept OSError: pass\n"
        "import os\nfor _ in range(16):\n    if os.fork() == 0:\n        del x[:]\n        try:\n"
        "            while True: x += socket.socketpair()\n        except OSError: time.sleep(99)\ntime.sleep(99)"
    )
    referee = Referee(Limits(memory_bytes=96 << 20), test_s=2, total_s=3)
    examples = [Example([2], 4)]
    try:
        assert referee.calls(Answer("def f(x): return 2 * x"), "f", examples).passed == 1
        assert "out of memory" in referee.calls(Answer(hungry), "f", examples).first
        assert "out of memory" in referee.calls(Answer(sockets), "f", examples).first
        assert "no answer within 2 s" in referee.calls(Answer(children), "f", examples).first
    finally:
        referee.close()


@pytest.mark.skipif(os.getuid() != 0, reason="this is not root already")
def test_as_a_user_who_is_not_root() -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv")
    us = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    newer = "import sys; sys.exit(sys.version_info < (3, 11))"
    pythons = (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3")
    can = [
        p
        for p in pythons
        if Path(p).exists() and not subprocess.run([*us, p, "-c", newer], capture_output=True).returncode
    ]
    if not can:
        pytest.skip("no Python 3.11 that anybody may run")
    program = """
from reachlab.tasks.sandbox import bubble
from reachlab.tasks.sandbox.referee import Answer, Example, Limits, Referee
if why := bubble.available():
    print(why)
    raise SystemExit(77)
referee = Referee(Limits(memory_bytes=320 << 20), test_s=2, total_s=3)
for program in ("def f(x): return 2 * x", "while True: pass", "x = []\\nwhile True: x.append(bytearray(1 << 22))",
                "import os\\nwhile True:\\n    try: os.fork()\\n    except OSError: pass",
                "def f(x): return open('/etc/passwd').read()", "def f(x): return open('/proc/self/mountinfo').read()"):
    found = referee.calls(Answer(program), "f", [Example([2], 4)])
    print(found.passed, found.first)
"""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(reachlab.__file__).parent
        shutil.copytree(source, f"{folder}/reachlab", ignore=shutil.ignore_patterns("__pycache__"))
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        found = subprocess.run(
            [*us, can[0], "-c", program], env={"PYTHONPATH": folder, "PATH": os.environ["PATH"], "HOME": folder},
            capture_output=True, text=True, check=False, cwd="/",
        )  # fmt: skip
    if found.returncode == 77:
        pytest.skip(found.stdout)
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert lines[0] == "1 "
    for line, says in zip(
        lines[1:],
        ("no answer within 2 s", "out of memory", "no answer", "FileNotFoundError", "FileNotFoundError"),
        strict=True,
    ):
        assert line.startswith("0 ")
        assert says in line
