"""What this installation can do, what it lacks for the rest, and what commonly breaks: for `reachlab doctor`.

Packages are found and not imported, for importing them takes seconds and a broken one takes the process with it. torch
and numba are asked in a process of their own, with a limit of time.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import reachlab
from reachlab.extras import ELSEWHERE, EXTRAS, is_installed
from reachlab.provenance import commit_of
from reachlab.tasks.sandbox.bubble import available

BASE = (
    *("fsspec", "jinja2", "latex2sympy2_extended", "numpy", "pandas", "PIL", "plotly", "pyarrow", "rich", "scipy"),
    *("sympy", "tyro"),
)
"""What a plain install brings, by the names they are imported under."""
USES: dict[str, str] = {
    "train": "pretrain, distill, rl, and draw from checkpoints here",
    "fast": "draw on a CPU up to three times as fast",
    "gym": "tasks of reasoning-gym: gym:NAME",
    "serve": "reachlab serve",
    "data": "data sets of the hub, and text of the `datasets` library",
    "openai": "draw from servers: sample --engine openai",
    "ray": "draw on a cluster: sample --ray",
    "lora": "adapters: rl --lora-rank, merge",
    "trl": "down-sampling in TRL's GRPOTrainer",
    "track": "curves elsewhere: --track",
    "vision": "processors of some models that see",
}
"""What each extra is for."""
AT_LEAST = re.compile(r"([\w-]+)>=([\d.]+)")
"""A line of Reachlab's own requirements."""
TORCH_S = 60.0
"""How long torch may take to be imported: long, for the first time on a slow disk."""
ROOM_GB, SHARED_MB = 10, 256
"""Below this much, a model may not fit into the cache; and processes of one command may not find each other."""
ASK_TORCH = """
import json, sys
said = {}
try:
    import torch
    cuda = torch.cuda.is_available()
    said["torch"] = {
        "version": torch.__version__, "cuda": torch.version.cuda, "usable": cuda, "threads": torch.get_num_threads(),
        "gpus": [
            {"name": p.name, "gb": round(p.total_memory / 2**30, 1)}
            for p in map(torch.cuda.get_device_properties, range(torch.cuda.device_count() if cuda else 0))
        ],
    }
except Exception as error:
    said["torch"] = {"broken": f"{type(error).__name__}: {' '.join(str(error).split())}"}
try:
    import numba
    said["numba"] = {"version": numba.__version__}
except ModuleNotFoundError:
    pass
except Exception as error:
    said["numba"] = {"broken": f"{type(error).__name__}: {' '.join(str(error).split())}"}
print(json.dumps(said))
"""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """Something that Reachlab can do, and whether it can here."""

    what: str
    extra: str
    """"" for a plain install's own."""
    usable: bool
    packages: dict[str, str]
    """Versions of what is there."""
    missing: tuple[str, ...] = ()
    """Packages, by the names they are imported under."""
    why: str = ""
    """Where it is not usable and nothing is missing."""

    @property
    def get(self) -> str:
        """The command that brings what is missing, or nothing."""
        if not self.missing:
            return ""
        if self.missing[0] in ELSEWHERE:
            return "docs/engines.md"
        return f"pip install 'reachlab[{self.extra}]'" if self.extra else "pip install --upgrade reachlab"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that commonly breaks, looked at."""

    what: str
    fine: bool
    said: str


@dataclass(frozen=True, kw_only=True)
class Installation:
    """All that was found out."""

    version: str
    commit: str
    """Of a checkout, with `+` where it was changed; nothing for an installed package."""
    python: str
    executable: str
    platform: str
    cores: int
    memory_gb: float
    torch: dict[str, Any]
    """Empty where it is not installed, `broken` where it does not start."""
    features: list[Feature]
    checks: list[Finding]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"features": [asdict(one) | {"get": one.get} for one in self.features]}


def look() -> Installation:
    """Find it all out; nothing is imported that is heavy, and nothing written but a file that is deleted again."""
    asked = _ask(("torch", "numba"))
    about = _version()
    return Installation(
        version=about[0],
        commit=about[1],
        python=platform.python_version(),
        executable=sys.executable,
        platform=platform.platform(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gb=_memory_gb(),
        torch=asked.get("torch", {}),
        features=[*_features(asked)],
        checks=[*_checks(asked.get("torch", {}))],
    )


def version_line() -> str:
    """`reachlab 0.1.0`, and the commit where it runs from a checkout."""
    number, commit = _version()
    return f"reachlab {number}" + f" (commit {commit})" * bool(commit)


def _version() -> tuple[str, str]:
    found = commit_of(Path(reachlab.__file__))
    return reachlab.__version__, str(found["commit"] or "")[:12] + "+" * bool(found["dirty"])


def _ask(packages: Sequence[str]) -> dict[str, Any]:
    """What torch and numba say of themselves, in another process; of one that does not start, how it ended."""
    there = [package for package in packages if is_installed(package)]
    if not there:
        return {}
    try:
        done = subprocess.run(
            [sys.executable, "-c", ASK_TORCH], capture_output=True, text=True, timeout=TORCH_S, check=False
        )
    except subprocess.TimeoutExpired:
        return {package: {"broken": f"not imported within {TORCH_S:g} s"} for package in there}
    except OSError as error:
        return {package: {"broken": str(error)} for package in there}
    try:
        said = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or [f"its process ended with {done.returncode}"])[-1]
        return {package: {"broken": last[:300]} for package in there}
    return {package: said[package] for package in there if package in said}


def _features(asked: dict[str, Any]) -> Iterator[Feature]:
    yield _feature("import, compare, report, measure, plan, export, judge mathematics", "", BASE, asked)
    for extra, what in USES.items():
        if extra != "track":
            yield _feature(what, extra, EXTRAS[extra], asked)
    for package in EXTRAS["track"]:
        yield _feature(f"{USES['track']} {package}", "track", (package,), asked)
    yield _feature("draw by vLLM in this process: sample --engine vllm", "", ("vllm",), asked)
    why = available()
    yield Feature(what="judge programs: code:FILE", extra="", usable=not why, packages={}, why=why)


def _feature(what: str, extra: str, packages: Sequence[str], asked: dict[str, Any]) -> Feature:
    missing = tuple(package for package in packages if not is_installed(package))
    broken = [f"{name}: {asked[name]['broken']}" for name in packages if asked.get(name, {}).get("broken")]
    return Feature(
        what=what,
        extra=extra,
        usable=not missing and not broken,
        packages={name: _version_of(name) for name in packages if name not in missing},
        missing=missing,
        why="; ".join(broken),
    )


def _version_of(package: str) -> str:
    try:
        return version({"PIL": "pillow"}.get(package, package))
    except PackageNotFoundError:
        return "?"


def _checks(torch: dict[str, Any]) -> Iterator[Finding]:
    yield from _versions()
    yield from _gpu(torch)
    yield from _caches()
    shared = Path("/dev/shm")
    if shared.is_dir():
        megabytes = shutil.disk_usage(shared).total >> 20
        fine = megabytes >= SHARED_MB
        more = "" if fine else "; processes of one run talk through it: docker run --shm-size=1g"
        yield Finding(what="shared memory", fine=fine, said=f"/dev/shm holds {megabytes:,} MB{more}")


def _versions() -> Iterator[Finding]:
    """Packages that are older than what Reachlab was tried with; nothing where its own metadata are not here."""
    try:
        asked = requires("reachlab") or []
    except PackageNotFoundError:
        return
    old = []
    for package, least in (match.groups() for match in map(AT_LEAST.match, asked) if match):
        try:
            found = version(package)
        except PackageNotFoundError:
            continue
        if _numbers(found) < _numbers(least):
            old.append(f"{package} {found} (wanted: {least})")
    said = f"older than what Reachlab asks for: {', '.join(old)}" if old else "all as new as Reachlab asks for"
    yield Finding(what="versions", fine=not old, said=said)


def _numbers(number: str) -> tuple[int, ...]:
    """``2.13.0+cpu`` as numbers that can be compared."""
    return tuple(int(part) for part in re.findall(r"\d+", number.partition("+")[0]))


def _gpu(torch: dict[str, Any]) -> Iterator[Finding]:
    """Whether a GPU that the machine has is one that torch uses."""
    if torch.get("broken"):
        yield Finding(what="torch", fine=False, said=f"does not start: {torch['broken']}")
    elif torch.get("usable"):
        named = ", ".join(f"{gpu['name']} ({gpu['gb']:g} GB)" for gpu in torch["gpus"])
        yield Finding(what="GPU", fine=True, said=f"{named}, CUDA {torch['cuda']}")
    elif shutil.which("nvidia-smi") is not None and torch:
        why = "is a CPU build" if not torch["cuda"] else f"is built for CUDA {torch['cuda']} and finds no GPU"
        yield Finding(
            what="GPU",
            fine=False,
            said=f"nvidia-smi is here, and torch {torch['version']} {why}: install the build for your driver "
            "(https://pytorch.org/get-started)",
        )


def _caches() -> Iterator[Finding]:
    """Whether models and data sets of the hub can be kept, and ours."""
    home = Path.home() / ".cache"
    hub = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or home) / "huggingface")
    for what, folder, named in (
        ("cache of the hub", hub, "HF_HOME"),
        ("our cache", Path(os.environ.get("REACHLAB_CACHE") or home / "reachlab"), "REACHLAB_CACHE"),
    ):
        place = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(place).free / 2**30
        if not _writable(place):
            yield Finding(what=what, fine=False, said=f"{folder} cannot be written; {named} names another folder")
        elif what != "our cache" and free < ROOM_GB:
            said = f"{folder}: {free:.1f} GB free, which a model may not fit into; {named} names another folder"
            yield Finding(what=what, fine=False, said=said)
        else:
            yield Finding(what=what, fine=True, said=f"{folder}: {free:,.0f} GB free")


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _memory_gb() -> float:
    """Of the machine; 0 where it does not say."""
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return 0.0
