"""Hostile answers by family. Each tries to be right, to be unscored, to reach the host or to cost it something."""

BY_FDS = "import os\nfor fd in range(3, 64):\n    try: os.write(fd, {})\n    except OSError: pass\n"
RETURN = "def add(a, b):\n    return {}\n"
RAISE = "class E(Exception):\n    {}\ndef add(a, b): raise E('x')\n"
MANY = "import os, time\nfor _ in range(12):\n    if os.fork() == 0: break\n"

TIME = {
    "busy": "while True: pass",
    "busy and deaf": (
        "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nwhile True: pass"
    ),
    "blocks signals": "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
    "timers off": ("import signal\nfor t in range(3): signal.setitimer(t, 0)\nsignal.alarm(0)\nwhile True: pass"),
    "catches all": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "another handler": "import signal\nsignal.signal(signal.SIGPROF, lambda *a: None)\nwhile True: pass",
    "busy thread": "import threading\ndef f():\n    while True: pass\nthreading.Thread(target=f).start()",
    "busy child": "import os\nif os.fork() == 0:\n    while True: pass\nos.wait()",
    "busy daemon": (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        while True: pass\n"
        "    os._exit(0)\ntime.sleep(99)"
    ),
    "children that nobody buries": (
        "import os, signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nwhile True:\n    try:\n"
        "        if os.fork() == 0:\n            for i in range(10**6): pass\n            os._exit(0)\n    except OSError: pass"
    ),
    "regex": "import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')",
    "huge number": "import sys\nsys.set_int_max_str_digits(0)\nx = str(10 ** 10 ** 8)",
    "power": "x = 7 ** (7 ** (7 ** 7))",
    "sum": "sum(range(10 ** 14))",
    "sleep": "import time\ntime.sleep(1000)",
    "lock": "import threading\nx = threading.Lock()\nx.acquire()\nx.acquire()",
    "a pipe that says nothing": "import os\nr, w = os.pipe()\nos.read(r, 1)",
    "stops itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "sleeps at the end": "import atexit, time\natexit.register(time.sleep, 99)\ndef add(a, b): time.sleep(99)",
    "child that only lives": "import os, time\nif os.fork():\n    os.wait()\ntime.sleep(99)",
}
MEMORY = {
    "memory": "x = []\nwhile True: x.append(bytearray(1 << 22))",
    "one piece": "x = bytearray(1 << 40)",
    "string": "x = 'x' * (1 << 36)",
    "doubling": "x = [0]\nwhile True: x += x",
    "memory of many": MANY + "x = bytearray(200 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\ntime.sleep(99)",
    "shared pages": (
        "import mmap, os, time\nx = [mmap.mmap(-1, 20 << 20) for _ in range(20)]\nfor m in x: m.write(b'x' * (20 << 20))"
    ),
    "files in memory": (
        "import os\nn = 0\nwhile True:\n    try: open(f'/tmp/{n}', 'wb').write(b'x' * (1 << 22))\n"
        "    except OSError: pass\n    n += 1"
    ),
    "a file without end": "f = open('/tmp/x', 'wb')\nwhile True: f.write(b'x' * (1 << 20))",
    "files without number": "n = 0\nwhile True:\n    open(f'/tmp/{n}', 'w').close()\n    n += 1",
    "folders in folders": "import os\nwhile True:\n    os.mkdir('/tmp/x' if os.getcwd() == '/tmp' else 'x')\n    os.chdir('x')",
    "shared memory": (
        "import os\nn = 0\nwhile True:\n    try: open(f'/dev/shm/{n}', 'wb').write(b'x' * (1 << 22))\n"
        "    except OSError: pass\n    n += 1"
    ),
    "memfd": "import os\nfor i in range(99):\n    f = os.memfd_create('x')\n    os.write(f, b'x' * (15 << 20))",
    "sockets": (
        "import socket\nkeep = []\n" + MANY + "try:\n    while True:\n        a, b = socket.socketpair()\n"
        "        a.setblocking(False)\n        keep.append((a, b))\n        try:\n"
        "            while True: a.send(b'x' * 65536)\n        except BlockingIOError: pass\nexcept OSError: time.sleep(99)"
    ),
    "pipes": (
        "import os\nkeep = []\nwhile True:\n    r, w = os.pipe()\n    os.set_blocking(w, False)\n    keep.append((r, w))\n"
        "    try:\n        while True: os.write(w, b'x' * 65536)\n    except BlockingIOError: pass"
    ),
    "fork bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "fork bomb that dies": "import os\nwhile True:\n    try:\n        if os.fork() == 0: pass\n    except OSError: os._exit(0)",
    "threads": "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,)).start()",
    "modules": "import sys, types\nwhile True: sys.modules[str(len(sys.modules))] = types.ModuleType('x' * 1000)",
}
MESSAGES = {
    "verdicts": (
        "import os, json\nfor m in ({'test': 0, 'passed': True}, {'done': 2}, {'over': True}, {'tests': 1}, {'taken': True}):\n"
        "    for fd in range(64):\n        try: os.write(fd, json.dumps(m).encode() + b'\\n')\n        except OSError: pass"
    ),
    "a value beforehand": BY_FDS.format("b'{\"value\": 41}\\n' * 9"),
    "an output beforehand": BY_FDS.format('b\'{"stdout": "41"}\\n\' * 9'),
    "loaded, and gone": BY_FDS.format("b'{\"loaded\": true}\\n'") + "os._exit(0)",
    "rubbish": BY_FDS.format(r"b'\xff{[' * 100 + b'\n'"),
    "nothing, many times": BY_FDS.format(r"b'\n' * 1000"),
    "zeros": BY_FDS.format(r"b'\0' * 1000 + b'\n'"),
    "half a message": BY_FDS.format("b'{\"value\": '"),
    "no object": BY_FDS.format(r"b'[1, 2]\n' * 9"),
    "null": BY_FDS.format(r"b'null\n' * 9"),
    "digits": BY_FDS.format("b'{\"value\": ' + b'7' * 2_000_000 + b'}\\n'"),
    "hexadecimals": BY_FDS.format("b'{\"value\": [\"int\", \"' + b'f' * 2_000_000 + b'\"]}\\n'"),
    "a float of digits": BY_FDS.format("b'{\"value\": [\"float\", \"0x' + b'f' * 2_000_000 + b'\"]}\\n'"),
    "depth": BY_FDS.format(r"b'[' * 1_000_000 + b'\n'"),
    "depth in an object": BY_FDS.format("b'{\"value\": ' * 100_000 + b'\\n'"),
    "too long": BY_FDS.format(r"b'{\"value\": \"' + b'x' * (9 << 20) + b'\"}\n'"),
    "endless": "import os\nwhile True:\n    for fd in range(3, 64):\n        try: os.write(fd, b'[' * 4096)\n        except OSError: pass",
    "a missing module of no name": BY_FDS.format('b\'{"error": "x", "missing": [1]}\\n\' * 3'),
    "half a surrogate": BY_FDS.format(r"b'{\"error\": \"\\ud800\", \"said\": \"\\udfff\"}\n' * 9"),
    "colliding keys": BY_FDS.format(
        "b'{\"value\": [\"set\", [' + b', '.join(b'[\"int\", \"%x\"]' % (k * (2**61 - 1)) for k in range(90_000)) + b']]}\\n'"
    ),
    "closes the line": "import os\nos.closerange(3, 64)",
    "another line": "import os, socket\na, b = socket.socketpair()\nfor fd in range(3, 64):\n    try: os.dup2(a.fileno(), fd)\n    except OSError: pass",
    "hangs up": (
        "import socket\nfor fd in range(3, 64):\n    try: socket.socket(fileno=fd).shutdown(2)\n    except OSError: pass"
    ),
    "eats the questions": "import os\nfor fd in range(3, 64):\n    try:\n        os.set_blocking(fd, False)\n        os.read(fd, 999)\n    except OSError: pass",
    "answers in a thread": (
        "import os, threading, time\ndef f():\n    while True:\n        time.sleep(0.001)\n        for fd in range(3, 9):\n"
        "            try: os.write(fd, b'{\"value\": 1}\\n')\n            except OSError: pass\n"
        "threading.Thread(target=f, daemon=True).start()\ndef add(a, b): time.sleep(0.05)"
    ),
}
HARNESS = {
    "patches builtins": (
        "import builtins, json, sys\nbuiltins.print = lambda *a, **k: None\n"
        "for m in list(sys.modules.values()):\n    for n in ('dumps', 'pack', 'attempt', 'program_of'):\n"
        "        if hasattr(m, n): setattr(m, n, lambda *a, **k: b'{\"value\": true}\\n')"
    ),
    "patches json": "import json\njson.loads = json.dumps = lambda *a, **k: {'value': 41, 'do': 'run', 's': 9, 'stdin': ''}",
    "patches os": "import os\nos.write = lambda fd, data: len(data)",
    "patches the player": (
        "import sys\nm = sys.modules['__main__']\nfor n in list(vars(m)): setattr(m, n, lambda *a: {'value': True, 'stdout': 'True'})"
    ),
    "frames": (
        "import sys\nf = sys._getframe()\nwhile f:\n    for v in list(f.f_locals.values()):\n"
        "        if type(v).__name__ == 'Player': v.answer = lambda *a: {'value': 41, 'stdout': '41', 'loaded': True}\n    f = f.f_back"
    ),
    "collector": (
        "import gc\nfor o in gc.get_objects():\n    if type(o).__name__ == 'Player':\n"
        "        o.program = 'print(41)'\n        o.answer = lambda *a: {'value': 41, 'stdout': '41'}"
    ),
    "fake module": "import sys, types\nfor n in ('values', 'player', 'extraction', 'comparison'): sys.modules[n] = types.ModuleType(n)",
    "looks for the tests": (
        "import gc, sys\nfound = [o for o in gc.get_objects() if isinstance(o, (str, dict)) and '42' in str(o)[:4000]]\n"
        "f = sys._getframe()\nwhile f:\n    found += [v for v in f.f_locals.values() if '\"output\"' in str(v)]\n    f = f.f_back\n"
        "assert not [x for x in found if 'output' in str(x) and 'tests' in str(x) and 'looks' not in str(x)]"
    ),
    "reads the checker": (
        "import os\nfor p in ('/sandbox/checker.py', '/proc/1/mem', '/proc/self/mem', '/proc/2/fd/3'):\n"
        "    try: print(open(p).read())\n    except OSError: pass"
    ),
    "exit": "import os\nos._exit(0)",
    "exit politely": "raise SystemExit(0)",
    "exit in a call": "import os\ndef add(a, b): os._exit(0)",
    "exit politely in a call": "def add(a, b): raise SystemExit(5)",
    "abort": "import os\nos.abort()",
    "segfault": "import ctypes\nctypes.string_at(0)",
    "kills all": "import os\nos.kill(-1, 9)",
    "kills its elders": "import os\nos.kill(os.getppid(), 9)\nos.kill(1, 9)",
    "kills its group": "import os\nos.killpg(0, 9)",
    "becomes another": "import os, sys\nos.execv(sys.executable, [sys.executable, '-c', 'print(5)'])",
    "raises AssertionError": "def add(a, b): raise AssertionError\nassert False",
    "recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1)\nf(0)",
    "recursion in C": "import sys\nsys.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**6): x = [x]\nprint(x == x, repr(x)[:5])",
    "no stack": "import resource\nresource.setrlimit(resource.RLIMIT_STACK, (4096, 4096))\nimport os\nos.fork()",
    "audits": "import sys\ndef f(*a): raise RuntimeError\nsys.addaudithook(f)",
    "traces": "import sys\nsys.settrace(lambda *a: 1 / 0)\nsys.setprofile(lambda *a: 1 / 0)",
    "imports nonsense": "import no_such_module_4711",
    "imports in vain": "def add(a, b):\n    import no.such.module",
}
VALUES = {
    "huge int": RETURN.format("1 << 9_000_000"),
    "large int": RETURN.format("1 << 3_000_000"),
    "long string": RETURN.format("'5' * 3_000_000"),
    "long list": RETURN.format("[5] * 300_000"),
    "nested": "def add(a, b):\n    x = []\n    for _ in range(100_000): x = [x]\n    return x",
    "in itself": "def add(a, b):\n    x = []\n    x.append(x)\n    return x",
    "in itself by key": "def add(a, b):\n    x = {}\n    x['x'] = x\n    return x",
    "wide and deep": "def add(a, b):\n    x = [5]\n    for _ in range(60): x = [x, x]\n    return x",
    "colliding set": RETURN.format(
        "{k * (2**61 - 1) for k in range(2000)} and [k * (2**61 - 1) for k in range(150_000)]"
    ),
    "infinite": RETURN.format("1e999"),
    "less than all": RETURN.format("-1e999"),
    "no number": RETURN.format("float('nan')"),
    "truth": RETURN.format("True"),
    "near": RETURN.format("a + b + 1e-3"),
    "text": RETURN.format("str(a + b)"),
    "half a surrogate": RETURN.format("'\\ud800'"),
    "bytes": RETURN.format("b'5'"),
    "equal to all": (
        "class Yes:\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\n"
        "    def __lt__(self, o): return True\n    __le__ = __gt__ = __ge__ = __lt__\n    def __hash__(self): return 5\n"
        + RETURN.format("Yes()")
    ),
    "an int that lies": (
        "class Yes(int):\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\n"
        "    __hash__ = int.__hash__\n    def __repr__(self): return '5'\n    __str__ = __repr__\n"
        "    def __index__(self): return 5\n    def __format__(self, s): return '5'\n" + RETURN.format("Yes(7)")
    ),
    "a list that lies": "class L(list):\n    def __iter__(self): return iter([5])\n    def __len__(self): return 1\n"
    + RETURN.format("L()"),
    "a class that lies": "class F:\n    __class__ = int\n    def __eq__(self, o): return True\n" + RETURN.format("F()"),
    "a name that lies": "class M(type):\n    __name__ = property(lambda s: 1 / 0)\nclass F(metaclass=M): pass\n"
    + RETURN.format("F()"),
    "endless generator": RETURN.format("iter(int, 1)"),
    "endless list": "class L(list):\n    def __iter__(self): return iter(int, 1)\n" + RETURN.format("list(L())"),
    "a function": RETURN.format("add"),
    "ends loops": "def add(a, b): raise StopIteration",
    "interrupts": "def add(a, b): raise KeyboardInterrupt",
    "ends generators": "def add(a, b): raise GeneratorExit",
    "error with surrogates": "def add(a, b): raise ValueError('\\ud800\\udfff')",
    "error of ten megabytes": "def add(a, b): raise ValueError('x' * 10_000_000)",
    "error that is never told": RAISE.format("def __str__(self):\n        while True: pass"),
    "error that cannot be told": RAISE.format("def __str__(self): return 5"),
    "error with a long name": "def add(a, b): raise type('E' * 1_000_000, (Exception,), {})()",
    "error in many lines": "def add(a, b): raise ValueError('a\\nb\\r\\x1b[31m\\0')",
    "no argument fits": "def add(): return 5",
    "changes its arguments": "def add(a, b, *, c): return 5",
    "not a function": "add = 5",
    "a module's name": "import sys\nadd = sys",
}
TEXTS = {
    "four megabytes": "x = '" + "7" * (4 << 20) + "'",
    "a long literal": "x = " + "7" * 900_000,
    "long list display": "x = [" + "5," * 400_000 + "]",
    "deep brackets": "x = " + "(" * 5000 + ")" * 5000,
    "deep lists": "x = " + "[" * 150_000,
    "many signs": "x = " + "-" * 400_000 + "1",
    "many nots": "x = " + "not " * 200_000 + "1",
    "a long chain": "x = a" + ".a" * 300_000,
    "a long sum": "x = 1" + "+1" * 300_000,
    "deep lambdas": "x = " + "lambda: " * 100_000 + "1",
    "deep indents": "".join(" " * i + "if 1:\n" for i in range(300)) + " " * 300 + "pass",
    "many lines": "x = 1\n" * 150_000 + "while True: pass",
    "folded constants": "x = ((((2 ** 64) ** 64) ** 64) ** 64) ** 64\ny = 'x' * 10 ** 9 * 9",
    "null bytes": "x = 1\x00",
    "half a surrogate": "x = '\ud800'",
    "odd coding": "# -*- coding: rot13 -*-\nvzcbeg bf",
    "not closed": "x = '''" + "x" * 100_000,
    "many fences": "```\n" * 100_000,
    "fences in fences": "```python\n" * 50_000 + "```\n" * 50_000,
    "spaces": " " * 500_000 + "x",
    "a tab too many": "\t" * 200_000 + "x = 1\n \tx = 2",
    "words of code": "def add(a, b):\n" * 40_000,
    "nothing": "",
}
OUTPUT = {
    "endless output": "while True: print('5' * 1000)",
    "endless output by the descriptor": "import os\nwhile True: os.write(1, b'5\\n' * 1000)",
    "endless errors": "import sys\nwhile True: sys.stderr.write('5' * 1000)",
    "a megabyte": "print('5 ' * 500_000)",
    "no text": "import os\nos.write(1, bytes(range(256)) * 100)",
    "zeros": "print('\\0' * 900_000)",
    "half a surrogate": "print('\\ud800')",
    "a number without end": "import sys\nsys.set_int_max_str_digits(0)\nprint((1 << 2_000_000))",
    "every number": "print('\\n'.join(map(str, range(100))))",
    "infinite": "print('inf', 1e999)",
    "not a number": "print('NaN')",
    "exponents": "print('1e999999999')",
    "a verdict": 'print(\'{"test": 0, "passed": true}\')',
    "the other's file": "open('/tmp/.stdout', 'w').write('5')\nopen('/tmp/.error', 'w').write('{}')\nimport os\nos.unlink('/tmp/.stdout')\nos._exit(1)",
    "a link for a file": "import os\nos.unlink('/tmp/.stdout')\nos.symlink('/dev/zero', '/tmp/.stdout')\nprint(41)",
}
FAMILIES = {
    "time": TIME,
    "memory": MEMORY,
    "messages": MESSAGES,
    "harness": HARNESS,
    "values": VALUES,
    "texts": TEXTS,
    "output": OUTPUT,
}
KINDS = {"values": ("call", "checked"), "output": ("whole",)}
"""Of problems that a family is about; the others take turns."""
