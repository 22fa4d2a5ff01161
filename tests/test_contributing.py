"""The recipes of CONTRIBUTING.md, run as printed: each file is written into a copy of the project, each line put into
its list."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.tiny import ENVIRONMENT

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = TEXT[TEXT.index("\n## Adding a choice") : TEXT.index("\n## Adding a kind of answer")]
BLOCK = re.compile(r"^```(python)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`((?:src|tests)/\S+\.py)`:\n\n$")
LINE = re.compile(r"A line in `(\w+)` of `(src/\S+\.py)`:\n\n$")
OF_EVERY_ALGORITHM = ("test_every_algorithm_learns_a_trivial_reward", "test_what_is_refused_is_the_rows_own")
CHOICES = {
    "reverse", "min_reward", "reinforce", "until_right", "scaled", "common", "parrot", "lr", "measures", "quizbook",
}  # fmt: skip
"""What a command says to have each."""


def blocks() -> tuple[dict[str, str], dict[str, tuple[str, str]], list[str]]:
    """Files by path, lines by their list's name and path, and commands."""
    files: dict[str, str] = {}
    lines: dict[str, tuple[str, str]] = {}
    commands: list[str] = []
    for block in BLOCK.finditer(RECIPES):
        before, (python, text) = RECIPES[: block.start()], block.groups()
        if not python:
            commands += text.strip().splitlines()
        elif line := LINE.search(before):
            lines[line[1]] = line[2], text
        else:
            file = FILE.search(before)
            assert file, f"a block without a path: {text[:80]}"
            files[file[1]] = text
    return files, lines, commands


IN_ONE_PROCESS = """
import json, sys
from reachlab.cli import main

for program, *words in json.loads(sys.argv[1]):
    sys.argv = [program, *words]
    try:
        exec(words[1]) if program == "python" else main()
    except SystemExit as exit:
        assert not exit.code, (sys.argv, exit.code)
"""
"""Most of the time of these commands is that of a process's start."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with every recipe in it."""
    copy = tmp_path_factory.mktemp("contributing")
    for folder in ("src", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    files, lines, _ = blocks()
    for path, text in files.items():
        assert not (copy / path).exists()
        (copy / path).write_text(text, encoding="utf-8")
    for name, (path, line) in lines.items():
        rows = (copy / path).read_text(encoding="utf-8").splitlines(keepends=True)
        start = next(i for i, row in enumerate(rows) if row.startswith(name))
        end = next(i for i, row in enumerate(rows[start:], start) if re.match(r"(    )?}|\)$", row))
        rows.insert(end, line)
        (copy / path).write_text("".join(rows), encoding="utf-8")
    return copy


def run(project: Path, *words: str, timeout: float = 600) -> str:
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(map(str, (project / "src", project)))}
    found = subprocess.run(
        [sys.executable, *words], cwd=project, capture_output=True, text=True, timeout=timeout, env=environment
    )
    assert found.returncode == 0, f"{' '.join(words)}\n{found.stdout[-4000:]}\n{found.stderr[-4000:]}"
    return found.stdout


def test_a_choice_is_one_file_one_line_one_test() -> None:
    files, lines, commands = blocks()
    assert len(lines) == len(CHOICES)
    assert [path.partition("/")[0] for path in files] == ["src", "tests"] * len(CHOICES)
    assert all(line.count("\n") == 1 for _, line in lines.values())
    assert all(any(name in command for command in commands) for name in CHOICES)


def test_the_printed_tests_pass(project: Path) -> None:
    tests = [path for path in blocks()[0] if path.startswith("tests/")]
    printed = run(project, "-m", "pytest", "-n0", "-p", "no:cacheprovider", *tests)
    assert " passed" in printed


@pytest.mark.slow
def test_an_algorithm_of_the_list_is_trained_as_every_other(project: Path) -> None:
    tests = [f"tests/training/test_rl.py::{name}[reinforce]" for name in OF_EVERY_ALGORITHM]
    assert "2 passed" in run(project, "-m", "pytest", "-n0", "-p", "no:cacheprovider", *tests)


def test_the_printed_files_are_in_our_style(project: Path) -> None:
    files = [*blocks()[0], *(path for path, _ in blocks()[1].values())]
    run(project, "-m", "ruff", "check", *files)
    run(project, "-m", "ruff", "format", "--check", *files)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_printed_files_have_types(project: Path) -> None:
    assert "Success: no issues found" in run(project, "-m", "mypy", *blocks()[0])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_printed_commands_run(project: Path) -> None:
    lines = [[word.strip('"') for word in re.findall(r'"[^"]*"|\S+', command)] for command in blocks()[2]]
    run(project, "-c", IN_ONE_PROCESS, json.dumps(lines))
    metrics = (project / "runs" / "reverse-rl" / "metrics.jsonl").read_text()
    assert len(metrics.splitlines()) == 2
