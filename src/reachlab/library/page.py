"""`reachlab.report`: the page of a comparison, written to a file and shown in a notebook."""

from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from reachlab.commands.words import words_of
from reachlab.comparing.config import CompareConfig, ReportConfig
from reachlab.errors import InvalidArgumentError
from reachlab.library.comparison import NOT_HERE, Comparison, compared
from reachlab.library.functions import takes
from reachlab.library.given import path_of

HEIGHT = 900
"""Pixels of the frame in a notebook."""
SANDBOX = "allow-scripts allow-popups allow-downloads"
"""What the page may in its frame: run its own scripts, and nothing of the notebook's."""


class Page:
    """A page that was written. A notebook shows it where it is the value of a cell's last line.

    The frame holds a copy of the page (two megabytes and more, with plotly in it), so that it is seen wherever the
    notebook is opened, and that copy is kept in the notebook. To keep the file alone, give the page a name:
    ``page = rl.report(...)``, and open ``page.path`` in a browser.
    """

    def __init__(self, path: Path, comparison: Comparison):
        self.path = path
        """The file."""
        self.comparison = comparison
        """What it shows."""

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Page({str(self.path)!r})"

    @property
    def url(self) -> str:
        """The file's address, for a browser."""
        return self.path.absolute().as_uri()

    def to_frame(self, *args: Any, **options: Any) -> Any:
        """The comparison's frame: as of `Comparison.to_frame`."""
        return self.comparison.to_frame(*args, **options)

    def to_dict(self) -> dict[str, Any]:
        """The comparison for JSON: as of `Comparison.to_dict`."""
        return self.comparison.to_dict()

    def _repr_html_(self) -> str:
        page = escape(self.path.read_text("utf-8"), quote=True)
        style = f"width:100%;height:{HEIGHT}px;border:1px solid #ccc"
        return f'<iframe sandbox="{SANDBOX}" title="{escape(str(self.path))}" style="{style}" srcdoc="{page}"></iframe>'


@takes(ReportConfig, without=NOT_HERE)
def report(runs: Any, out: Any = "report.html", *, title: str = "", **options: Any) -> Page:
    """Compare models by their samples and write one HTML page that opens offline.

    Parameters
    ----------
    runs : dict, list of runs, or Comparison
        Runs as of `compare`, or what it returned. Tables hold no samples, which a page shows.

    Returns
    -------
    Page
        With its `path`; a notebook shows it. An older page there is replaced, another file never.

    Raises
    ------
    ReachlabError
        And ValueError: as of `compare`. And OSError: a file that cannot be written.

    Examples
    --------
    >>> import reachlab as rl
    >>> rl.report({"base": "runs/base", "rl": "runs/rl"}, "report.html")  # doctest: +SKIP
    """
    from reachlab.reporting.making import Extra
    from reachlab.reporting.page import write_report
    from reachlab.runs import check_page

    path = path_of(out, "out")
    check_page(path)
    found = compared(runs, options, "report")
    if found.compared is None:
        raise InvalidArgumentError("report: a page shows samples, which tables do not hold; compare() does without")
    written = write_report(
        found.found,
        found.compared.stores,
        path,
        title=title,
        notes=found.compared.matched.remarks,
        memories=found.memories,
        extra=Extra(command=_command(found, path, title)),
    )
    return Page(written, found)


def _command(found: Comparison, out: str, title: str) -> tuple[str, ...]:
    """The command that writes the same page; none where a name is no word of a command line."""
    texts = found.texts
    if any(set(model.name) & set("=/\\:") for model in found.models if not any(model.name == t for t in texts)):
        return ()
    config: CompareConfig = replace(found.config, runs=texts)
    try:
        return words_of(ReportConfig(compare=config, out=out, title=title), "report")
    except ValueError:
        return ()
