"""Every script of `examples/` does what its docstring says, from another folder, and again."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.examples.scripts import FOLDER, LONGEST, NEEDS
from tests.tiny import ENVIRONMENT

BUILT = Path(__file__).parents[2] / "dist" / ".installed"
TRAINING = [name for name, (extra, _) in NEEDS.items() if extra]


def run(name: str, folder: Path, *words: str) -> str:
    """What a script prints, in a folder of its user's."""
    done = subprocess.run(
        [sys.executable, FOLDER / f"{name}.py", *words], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True,
        timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_script_is_known_here_and_in_the_readme() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == NEEDS.keys() | {"grpo_one_page", "trl_pods", "verl_pods"}
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name, (extra, _) in NEEDS.items():
        row = next(line for line in readme.splitlines() if f"({name}.py)" in line)
        assert (f"`[{extra}]`" if extra else "base install") in row


@pytest.mark.parametrize("name", NEEDS)
def test_a_script_is_short_and_says_how_it_is_run(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST
    said = ast.get_docstring(ast.parse(text)) or ""
    extra = NEEDS[name][0]
    command = re.search(rf"^ *python examples/{name}\.py +# (.*)$", said, re.MULTILINE)
    assert command
    assert command[1].startswith(f"needs reachlab[{extra}]; " if extra else "base install; ")
    assert re.search(r"\b[Ii]t prints\b", " ".join(said.split()))
    assert text.count('if __name__ == "__main__":') == 1


@pytest.mark.slow
def test_own_samples_are_judged_and_compared_and_again_the_same(tmp_path: Path) -> None:
    first = run("own_samples", tmp_path)
    NEEDS["own_samples"][1](first)
    page = (tmp_path / "runs" / "own-samples" / "page.html").read_text(encoding="utf-8")
    assert "The answer is" in page
    assert run("own_samples", tmp_path) == first


@pytest.mark.slow
def test_own_samples_of_a_reader(tmp_path: Path) -> None:
    for name, added in (("base", 9), ("trained", 1)):
        rows = [{"question": f"1 + {n}?", "answer": f"{n + 1}", "responses": [f"{n + added}", "0"]} for n in range(8)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    said = run("own_samples", tmp_path, "--base", "base.jsonl", "--trained", "trained.jsonl", "--out", "kept")
    assert "base {'correct': 0, 'wrong': 16, 'unscored': 0}" in said
    assert "trained {'correct': 8, 'wrong': 8, 'unscored': 0}" in said
    assert (tmp_path / "kept" / "page.html").exists()


def test_statistics_on_a_matrix(tmp_path: Path) -> None:
    NEEDS["matrix_statistics"][1](run("matrix_statistics", tmp_path))
    data = FOLDER / "data"
    said = run("matrix_statistics", tmp_path, "--base", str(data / "base.csv"), "--trained", str(data / "rl.csv"))
    assert "20 problems, k up to 16, base base" in said


@pytest.mark.slow
@pytest.mark.skipif(BUILT.exists(), reason="tests/package runs them, with the wheel")
@pytest.mark.parametrize("name", TRAINING)
def test_what_trains_shows_what_it_says(name: str, tmp_path: Path) -> None:
    NEEDS[name][1](run(name, tmp_path))
