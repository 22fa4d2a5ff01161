"""The installed wheel in the hands of somebody who has nothing else of ours."""

import json
import shutil
from pathlib import Path

import pytest
from tests.package.conftest import ROOT
from tests.package.outside import Outside

import reachlab

pytestmark = [pytest.mark.slow, pytest.mark.package]

DEVELOPERS = ("hypothesis", "mypy", "playwright", "pytest", "ruff", "setuptools", "uv")
HEAVY = ("torch", "transformers", "numba", "reasoning_gym", "ray", "openai")


def absent(where: Outside, names: tuple[str, ...]) -> set[str]:
    """Which of some modules an environment does not have."""
    said = where.says(f"from importlib.util import find_spec; print(*(n for n in {names} if find_spec(n) is None))")
    return set(said.split())


def test_a_plain_environment_has_no_more_than_it_needs(plain: Outside) -> None:
    assert absent(plain, DEVELOPERS + HEAVY) == set(DEVELOPERS + HEAVY)
    assert "No broken requirements" in plain.call("python", "-m", "pip", "check")
    where, version = plain.says("import reachlab; print(reachlab.__file__, reachlab.__version__)").split()
    assert Path(where).is_relative_to(plain.environment)
    assert version == reachlab.__version__


def test_help_and_version(plain: Outside) -> None:
    assert "reachlab COMMAND --help" in plain.call("reachlab", "--help")
    assert "--matrix" in plain.call("reachlab", "compare", "--help")
    assert "reachlab COMMAND --help" in plain.call("python", "-m", "reachlab", "--help")


def test_from_a_log_to_the_page(plain: Outside) -> None:
    """Import, compare, report and the library, with nothing but the base install."""
    shutil.copy(ROOT / "examples" / "data" / "models.jsonl", plain.folder)
    plain.call("reachlab", "import", "models.jsonl", "--out", "runs/solutions")
    small, large = "runs/solutions/small", "runs/solutions/large"
    said = plain.call("reachlab", "compare", small, large)
    assert "pass@1" in said
    plain.call("reachlab", "report", small, large, "--out", "page.html")
    page = (plain.folder / "page.html").read_text(encoding="utf-8")
    assert "markdown-it" in page
    assert "temml" in page
    assert "<svg" in page or "plotly" in page.lower()
    run = json.loads((plain.folder / small / "run.json").read_text(encoding="utf-8"))
    assert run["provenance"]["versions"]["reachlab"] == reachlab.__version__
    assert run["provenance"]["commit"] is None
    assert plain.says(f"import reachlab; print(type(reachlab.load_run({small!r})).__name__)") == "DataFrame"


def test_a_table_is_enough(plain: Outside) -> None:
    for name in ("base.csv", "rl.csv"):
        shutil.copy(ROOT / "examples" / "data" / name, plain.folder)
    assert "pass@1" in plain.call("reachlab", "compare", "--matrix", "base.csv", "rl.csv")


def test_what_is_missing_is_named(plain: Outside) -> None:
    said = plain.call("reachlab", "pretrain", "--data", "countdown", "--out", "runs/a", code=2)
    assert "pip install 'reachlab[train]'" in said
    assert not (plain.folder / "runs").exists()


@pytest.mark.timeout(1200)
def test_the_demo_from_nothing_to_its_report(train: Outside) -> None:
    """The whole of it, with as few steps and samples as there can be."""
    assert absent(train, DEVELOPERS) >= {"pytest", "mypy", "hypothesis", "ruff", "playwright"}
    words = ("study", "demo", "--scale", "0.001", "--problems", "4", "--samples", "4", "--out", "runs/demo")
    said = train.call("reachlab", *words)
    assert "the report is runs/demo/report.html" in said
    page = (train.folder / "runs" / "demo" / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("base", "grpo", "pods", "distilled"))
    run = json.loads((train.folder / "runs" / "demo" / "base" / "run.json").read_text(encoding="utf-8"))
    assert run["provenance"]["commit"] is None
