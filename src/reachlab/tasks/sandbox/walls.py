"""What the walls are: bubblewrap's options, and how the interpreter comes to neutral places inside.

Inside there is a read-only system with Python and nothing of the user's; an empty home; a /tmp of its own in memory; no
network, no other process, no environment; no privilege and no way to gain one. There is no /proc either: its
`mountinfo` names the host's folders, and its `cmdline` the machine's.
"""

import marshal
import os
import struct
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from reachlab.errors import ReachlabError

HERE = Path(__file__).parent
SCRIPTS = (
    "player.py", "extraction.py", "fences.py", "marks.py", "statements.py", "checker.py", "marking.py", "comparison.py",
    "values.py",
)  # fmt: skip
PYTHON, PACKAGES, OURS = "/python", "/packages", "/sandbox"
"""Where the interpreter's folder stands inside, where packages do, and where the scripts do."""
DEVICES = ("null", "zero", "full", "random", "urandom")
IN_MEMORY = ("/tmp", "/dev/shm")
"""Where files can be written."""
VERSION = f"python3.{sys.version_info.minor}"
LOCAL = ("/usr/local", "/usr/src", "/usr/lib/python3/dist-packages")
"""Parts of /usr that are the host's own."""


def options(tmp_bytes: int, packages: Iterable[str]) -> tuple[list[str], list[IO[bytes]]]:
    """bubblewrap's options, and the files that they name by descriptor.

    Raises:
        ReachlabError: a package that is not installed.
    """
    root = os.getuid() == 0
    words = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    # Root stays root up to the script, which becomes nobody: a user's limits do not hold for root, nor for root by
    # another name in a namespace.
    words += ["--cap-drop", "ALL"]
    words += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if root else ["--unshare-user", "--disable-userns"]
    words += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--clearenv"]
    for name, value in _environment().items():
        words += ["--setenv", name, value]
    for place in ("/dev", PYTHON, f"{PYTHON}/bin", PACKAGES):  # made on the way to a file they were root's alone
        words += ["--perms", "0755", "--dir", place]
    words += ["--ro-bind", "/usr", "/usr"]
    for place in LOCAL:
        words += _nothing_at(place) if Path(place).is_dir() else []
    for place in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        if Path(place).is_symlink():
            words += ["--symlink", str(Path(place).readlink()), place]
        elif Path(place).is_dir():
            words += ["--ro-bind", place, place]
    for name in ("/etc/ld.so.cache", "/etc/localtime"):
        words += ["--ro-bind-try", name, name]
    *interpreter, place = _interpreter()
    told = file(_told_of_the_build())
    words += [*interpreter, "--perms", "0444", "--ro-bind-data", str(told.fileno()), place]
    for source in _files_of(tuple(packages)):
        words += ["--ro-bind", str(source), f"{PACKAGES}/{source.name}"]
    scripts = [file(_compiled(script)) for script in SCRIPTS]
    for script, made in zip(SCRIPTS, scripts, strict=True):
        words += ["--perms", "0444", "--ro-bind-data", str(made.fileno()), f"{OURS}/{script}c"]
    for device in DEVICES:
        words += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    # A program's input and output are files (`player.py`): what /proc/self/fd would lead to.
    for name, target in (("stdin", "/tmp/.stdin"), ("stdout", "/tmp/.stdout"), ("stderr", "/dev/null")):
        words += ["--symlink", target, f"/dev/{name}"]
    for place, size in zip(IN_MEMORY, (tmp_bytes, tmp_bytes // 4), strict=True):
        words += ["--perms", "1777", "--size", str(size), "--tmpfs", place]
    return [*words, "--dir", "/home", "--remount-ro", "/", "--chdir", "/tmp"], [told, *scripts]


@cache
def _environment() -> dict[str, str]:
    found = {"PATH": "/usr/bin:/bin", "HOME": "/home", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}
    found |= {"OPENBLAS_NUM_THREADS": "1"}
    if any((_prefix() / "lib").glob("libpython3*.so*")):
        found["LD_LIBRARY_PATH"] = f"{PYTHON}/lib"  # where it looks by itself is the host's place
    return found


def _prefix() -> Path:
    return Path(sys.base_prefix).resolve()


@cache
def _interpreter() -> list[str]:
    """The interpreter and its library, without packages and without what tells where they were built. The last word is
    the place of what `_told_of_the_build` says instead."""
    prefix = _prefix()
    words = ["--ro-bind", str(prefix / "bin" / VERSION), f"{PYTHON}/bin/{VERSION}"]
    for lib in dict.fromkeys(("lib", sys.platlibdir)):
        if (prefix / lib / VERSION).is_dir():
            words += ["--ro-bind", str(prefix / lib), f"{PYTHON}/{lib}"]
            for part in ("site-packages", "dist-packages"):
                words += _nothing_at(f"{PYTHON}/{lib}/{VERSION}/{part}", prefix / lib / VERSION / part)
            words += _nothing_at(f"{PYTHON}/{lib}/pkgconfig", prefix / lib / "pkgconfig")
            for build in sorted((prefix / lib / VERSION).glob("config-3*")):
                words += _nothing_at(f"{PYTHON}/{lib}/{VERSION}/{build.name}", build)
    ours = sysconfig._get_sysconfigdata_name()  # type: ignore[attr-defined]
    found = sorted((prefix / "lib" / VERSION).glob("_sysconfigdata_*.py"))
    for source in found:
        hidden = [] if source.stem == ours else [source]
        for path in (*hidden, *sorted(source.parent.glob(f"__pycache__/{source.stem}.*"))):
            words += ["--ro-bind", "/dev/null", f"{PYTHON}/{path.relative_to(prefix)}"]
    return [*words, *(f"{PYTHON}/{path.relative_to(prefix)}" for path in found if path.stem == ours)]


@cache
def _compiled(script: str) -> bytes:
    """A script of ours as bytecode: every start would compile it again, and where it came from is not to be told."""
    code = compile((HERE / script).read_bytes(), f"{OURS}/{script}", "exec", dont_inherit=True)
    unchecked = 1  # PEP 552: no source to compare with
    return MAGIC_NUMBER + struct.pack("<IQ", unchecked, 0) + marshal.dumps(code)


@cache
def _told_of_the_build() -> bytes:
    """What `sysconfig` may tell of how the interpreter was built: no place but the time zones'."""
    told = {
        name: value
        for name, value in sysconfig.get_config_vars().items()
        if not isinstance(value, str) or "/" not in value or name == "TZPATH"
    }
    return f"build_time_vars = {told!r}\n".encode()


def _nothing_at(place: str, source: Path | None = None) -> list[str]:
    """An empty folder instead of one of the host's."""
    if source is not None and not source.is_dir():
        return []
    return ["--perms", "0555", "--size", "4096", "--tmpfs", place, "--remount-ro", place]


@cache
def _files_of(packages: tuple[str, ...]) -> tuple[Path, ...]:
    """The folders and modules of installed packages and of those they need.

    Raises:
        ReachlabError: one is not installed.
    """
    by_module = metadata.packages_distributions() if packages else {}
    waiting = [(by_module.get(name, [name])[0], True) for name in packages]
    found: dict[str, list[Path]] = {}
    while waiting:
        name, asked = waiting.pop()
        if (key := name.lower().replace("_", "-")) in found:
            continue
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError as error:
            if asked:
                raise ReachlabError(f"packages={name}: not installed here; pip install {name}") from error
            continue  # needed on other machines, say
        parts = {path.parts[0] for path in package.files or () if path.parts[0] not in ("..", "/", "__pycache__")}
        found[key] = [place for part in sorted(parts) if (place := Path(str(package.locate_file(part)))).exists()]
        for line in package.requires or ():
            if "extra ==" not in line:
                end = next((i for i, c in enumerate(line) if not (c.isalnum() or c in "-_.")), len(line))
                waiting.append((line[:end], False))
    return tuple(dict.fromkeys(place for places in found.values() for place in places))


def search_path(packages: tuple[str, ...], walled: bool) -> list[str]:
    """Where packages are found by the one who runs inside."""
    if not packages or walled:
        return [PACKAGES] if packages else []
    return list(dict.fromkeys(str(place.parent) for place in _files_of(packages)))


def modules(packages: tuple[str, ...]) -> set[str]:
    """What can be imported of packages."""
    return {place.name.partition(".")[0] for place in _files_of(packages)}


def file(content: bytes) -> IO[bytes]:
    """A file without a name, to be read from its beginning."""
    made = TemporaryFile()  # noqa: SIM115 (the caller closes it)
    made.write(content)
    made.flush()
    made.seek(0)
    return made
