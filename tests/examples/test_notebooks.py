"""The notebooks are run in a real kernel, show what they say, and hold what they show."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from tests.docs.blocks import ROOT

FOLDER = ROOT / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
TOOL = runpy.run_path(str(ROOT / "docs" / "notebooks.py"))


def said(notebook: Any) -> dict[str, str]:
    """What each cell shows as text, by its name; without what is said on stderr."""
    found: dict[str, str] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stdout":
                found[cell.id] = found.get(cell.id, "") + output.text
            elif output.output_type == "execute_result":
                found[cell.id] = found.get(cell.id, "") + output.data["text/plain"]
    return found


def shown(notebook: Any, cell: str) -> set[str]:
    """The kinds of what a cell shows."""
    (outputs,) = (one.outputs for one in notebook.cells if one.id == cell)
    return {kind for output in outputs for kind in output.get("data", {})}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A notebook by its name, run in a folder of its own, with our sources."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    return lambda name: TOOL["executed"](FOLDER / f"{name}.ipynb", tmp_path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_kept_is_small_whole_and_of_no_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert len(text) < 300_000
    assert TOOL["MACHINE"].search(text) is None
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert not [o for cell in notebook.cells for o in cell.get("outputs", []) if o.output_type == "error"]
    assert "image/png" in shown(notebook, "plot")
    assert notebook.cells[0].source.startswith("# ")


def test_sources_are_in_the_house_style() -> None:
    for words in (("check",), ("format", "--check")):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, FOLDER], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_first_verdict_shows_what_is_kept(run: Any) -> None:
    """To the letter: nothing in it depends on the machine."""
    notebook = run("first_verdict")
    kept = said(nbformat.read(FOLDER / "first_verdict.ipynb", as_version=4))
    assert said(notebook) == kept, "run docs/notebooks.py first_verdict"
    assert kept["verdict"].startswith("narrower\n")
    assert "0.555328 by hand, 0.555328 by reachlab" in kept["by-hand"]
    assert TOOL["FIGURE"] in shown(notebook, "plot")
    assert "text/html" in shown(notebook, "page")
    assert "text/html" in shown(notebook, "runs")


@pytest.mark.slow
def test_own_checkpoint_trains_and_compares(run: Any, tmp_path: Path) -> None:
    notebook = run("own_checkpoint")
    words = said(notebook)
    assert words.keys() == said(nbformat.read(FOLDER / "own_checkpoint.ipynb", as_version=4)).keys()
    models = {row.split()[0] for row in words["compare"].splitlines() if "%" in row and row.startswith(" ")}
    assert models == {"base", "pods", "distilled"}
    assert "distilled is " in words["compare"]
    assert (tmp_path / "runs" / "notebook" / "page.html").exists()
    bars = json.dumps([o for cell in notebook.cells if cell.id == "base" for o in cell.outputs])
    assert "pretrain" in bars
    assert "150/150" in bars
