"""Executes the notebooks of `examples/notebooks` and keeps what they show, as somebody sees it who only reads them.

    python docs/notebooks.py [NAME ...]

A code host shows tables and pictures, and neither plotly's figures nor frames. So both are kept as a picture, taken in
chromium, and what is said on stderr (bars, remarks) is left out. Each runs in a folder of its own: paths are relative.
"""

import base64
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"
FIGURE, FRAME = "application/vnd.plotly.v1+json", "<iframe"
WIDTH, HEIGHT = 900, 480
"""Pixels of a figure."""
MACHINE = re.compile(r"/(?:tmp|home|root|work|Users)/")
"""A path that is somebody's own."""


def executed(path: Path, folder: Path) -> Any:
    """A notebook with what its cells show, run in a folder."""
    notebook = nbformat.read(path, as_version=4)
    hidden = nbformat.v4.new_code_cell("import plotly.io\nplotly.io.renderers.default = 'plotly_mimetype'")
    notebook.cells.insert(0, hidden)
    NotebookClient(
        notebook, timeout=280, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    del notebook.cells[0]
    return notebook


def kept(output: Any) -> Any | None:
    """What is kept of a cell's output; None of stderr and of bars."""
    if output.output_type == "stream":
        return output if output.name == "stdout" else None
    data = output.data
    if output.output_type == "display_data" and FIGURE not in data:
        return None
    if FIGURE in data:
        import plotly.graph_objects as go

        page = go.Figure(data[FIGURE]["data"], data[FIGURE]["layout"]).to_html(
            default_width=WIDTH, default_height=HEIGHT
        )
        output.data = nbformat.from_dict({"image/png": picture(page, HEIGHT + 20), "text/plain": "Figure"})
    elif FRAME in data.get("text/html", ""):
        page = f"<body style='margin:0'>{data['text/html']}</body>"
        output.data = nbformat.from_dict({"image/png": picture(page, 904), "text/plain": data["text/plain"]})
    output.metadata = nbformat.from_dict({})
    return output


def picture(html: str, height: int) -> str:
    """A page as one sees it: a PNG in base64."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        (page_file := Path(folder) / "page.html").write_text(html, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH + 20, "height": height})
        page.goto(page_file.as_uri(), wait_until="networkidle")
        page.wait_for_timeout(1500)
        shot = page.screenshot()
        browser.close()
    return base64.b64encode(shot).decode()


def main() -> None:
    """Write the notebooks that are named, or all."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        if sys.argv[1:] and path.stem not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            notebook = executed(path, Path(folder))
        for at, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), 1):
            cell.outputs = [one for output in cell.outputs if (one := kept(output)) is not None]
            cell.execution_count, cell.metadata = at, nbformat.from_dict({})
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = at
        notebook.metadata.language_info = nbformat.from_dict({"name": "python"})
        text = nbformat.writes(notebook)
        assert not MACHINE.search(text), f"{path.name}: a path of this machine"
        path.write_text(f"{text}\n", encoding="utf-8")
        print(f"{path.name}: {len(text) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
