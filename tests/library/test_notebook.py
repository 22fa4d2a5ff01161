"""A notebook that is really executed: bars in one place, tables, the page in its frame."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="pip install nbclient ipykernel")
nbclient = pytest.importorskip("nbclient", reason="pip install nbclient ipykernel")
pytest.importorskip("ipykernel", reason="pip install nbclient ipykernel")

CELLS = (
    "import reachlab as rl\nfrom reachlab.progress import track",
    "with track('work', 40) as advance:\n    for _ in range(40):\n        advance(1, loss=0.5)",
    "import numpy as np\nright = np.eye(4, 6) > 0\nrl.compare({'base': right, '<b>rl</b>': right}, resamples=100)",
    "run = rl.sample(MODEL, 'countdown,numbers=3', problems=3, samples=4, max_tokens=6, out=OUT)\nrun",
    "rl.report([run], OUT + '.html', resamples=100)",
)


def executed(*cells: str) -> list[Any]:
    """What each cell shows."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells]


@pytest.mark.slow
def test_a_notebook_shows_bars_tables_and_the_page(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    setting = f"MODEL, OUT = {str(checkpoint)!r}, {str(tmp_path / 'run')!r}\n"
    first, bar, table, cell, page = executed(setting + CELLS[0], *CELLS[1:])
    assert first == []
    (shown,) = bar  # forty steps, and one output
    assert shown.output_type == "display_data"
    assert 'value="40"' in shown.data["text/html"]
    assert shown.data["text/plain"].startswith("work: 40/40")
    assert len(table) == 1
    html = table[0].data["text/html"]
    assert "4 problems, k up to 6, base base" in table[0].data["text/plain"]
    assert "&lt;b&gt;rl&lt;/b&gt; is " in html
    assert "<b>rl" not in html
    run = [out for out in cell if out.output_type != "stream"]
    assert "sample: 12/12" in run[0].data["text/plain"]
    assert "<td>12</td>" in run[-1].data["text/html"]
    assert page[-1].data["text/html"].startswith('<iframe sandbox="allow-scripts allow-popups allow-downloads"')
    assert not [out for shown in (bar, cell) for out in shown if out.output_type == "stream" and out.name == "stdout"]
