"""`reachlab.serve`: the page of a comparison from a server, beside the notebook that started it."""

from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

from reachlab.comparing.config import ServeConfig
from reachlab.comparing.models import compare_models, read_completions
from reachlab.errors import InvalidArgumentError
from reachlab.library.border import remark
from reachlab.library.comparison import NOT_HERE
from reachlab.library.functions import takes
from reachlab.library.keywords import build
from reachlab.library.models import run_texts

if TYPE_CHECKING:
    from reachlab.serving.serving import Serving

HEIGHT = 900
"""Pixels of the frame in a notebook."""


class Server:
    """A server that goes on until `stop`, or until the process ends. As a context manager it stops at the end."""

    def __init__(self, serving: "Serving"):
        self._serving = serving
        self.url = serving.address
        """Where the page is."""

    def stop(self) -> None:
        """End it; its address is free again. A comparison that is being made is not interrupted, which is said."""
        self._serving.stop()
        if not self._serving.ended:
            remark("the server has stopped; the comparison that it was making goes on until it is made")

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Server({self.url!r})"

    def _repr_html_(self) -> str:
        address = escape(self.url, quote=True)
        return f'<p><a href="{address}" target="_blank">{address}</a></p>'


@takes(ServeConfig, without=NOT_HERE)
def serve(
    runs: Any, *, port: int = 0, host: str = "127.0.0.1", open: bool = False, title: str = "", **options: Any
) -> Server:
    """Show the page of `report` with every sample in the runs, and follow runs that go on. It does not block.

    Parameters
    ----------
    runs : dict, or list of runs
        Runs as of `compare`, and training runs, whose curves grow while it is open. One that is not there yet is
        waited for.
    port : int, default=0
        Where it listens; 0 takes a port that is free.

    Returns
    -------
    Server
        Its `url`, and `stop()`.

    Raises
    ------
    ReachlabError
        And ValueError: an option that cannot be, no such host, or a port that is taken.

    Examples
    --------
    >>> import reachlab as rl
    >>> with rl.serve({"base": "runs/base", "rl": "runs/rl"}) as server:  # doctest: +SKIP
    ...     print(server.url)
    """
    import webbrowser

    from reachlab.serving.hosts import is_loopback
    from reachlab.serving.serving import Serving
    from reachlab.serving.still import StillFolder

    if bad := next((name for name in options if name in NOT_HERE), None):
        raise InvalidArgumentError(f"serve: there is no keyword {bad!r}: the first argument says it")
    given = {**options, "runs": run_texts(runs), "port": port, "host": host, "title": title}
    config: ServeConfig = build(ServeConfig, given, function="serve", command="serve")
    if not is_loopback(config.host):
        remark(f"host={config.host}: whoever reaches this machine and knows the address reads the runs, unencrypted")

    def compare(ready: tuple[str, ...]) -> Any:
        asked = replace(config.compare, runs=ready)
        comparison, compared = compare_models(asked, say=lambda said: None, folder=StillFolder)
        return comparison, compared, read_completions(asked, comparison, compared)

    serving = Serving(config.compare.runs, compare, title=config.title, host=config.host, port=config.port)
    serving.start()
    if config.open:
        webbrowser.open(serving.address)
    return Server(serving)
