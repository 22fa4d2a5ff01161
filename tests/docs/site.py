"""The site, built once for all tests, and what its pages link to."""

import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT


@dataclass
class Found(HTMLParser):
    """The anchors of a page, what it refers to, and its pictures without words."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    wordless: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        self.ids |= {has[name] for name in ("id", "name") if has.get(name)}
        if tag == "a" and "href" in has:
            self.links.append(has["href"])
        elif tag == "link" and has.get("rel") != "canonical":
            self.loaded.append(has["href"])
        elif "src" in has:
            self.loaded.append(has["src"])
        if tag == "img" and not has.get("alt"):
            self.wordless.append(has.get("src", ""))


def found_in(page: Path) -> Found:
    """What a page holds."""
    found = Found()
    found.feed(page.read_text(encoding="utf-8"))
    return found


def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built strictly: one for all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "site"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "index.html").exists():
            done = subprocess.run(
                [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
                cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            assert not done.stderr.strip(), done.stderr
    return folder
