"""What ran: versions of packages, the machine, the commit of the code. Kept beside a run, and no part of what it is."""

import contextlib
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "reachlab",
    "torch",
    "transformers",
    "numpy",
    "numba",
    "pyarrow",
    "sympy",
    "latex2sympy2-extended",
    "reasoning-gym",
)
"""Packages that results may depend on."""


@cache
def provenance() -> dict[str, Any]:
    """What ran: package versions, interpreter, platform, git commit of the code and whether its tree was dirty."""
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    return {
        "versions": versions,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        **commit_of(Path(__file__)),
    }


def commit_of(file: Path) -> dict[str, Any]:
    """The commit that a file of the code is of, and whether its tree was dirty; nulls where it is in no checkout of its
    own. An environment inside somebody's repository is none: there git knows nothing of the file."""
    folder = file.parent

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = ask("rev-parse", "HEAD") if ask("ls-files", "--error-unmatch", file.name) else None
    return {
        "commit": commit,
        "dirty": bool(ask("status", "--porcelain", "--untracked-files=no")) if commit else None,
    }
