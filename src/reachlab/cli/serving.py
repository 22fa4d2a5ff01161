"""The command that shows runs in a browser while they go on."""

from dataclasses import dataclass, replace
from typing import Any

from tyro.conf import OmitArgPrefixes as Flat

from reachlab.cli.comparing import CompareConfig, compare_models, read_completions
from reachlab.cli.output import remark
from reachlab.errors import ReachlabError


@dataclass(frozen=True, kw_only=True)
class ServeCommand:
    """Show runs in a browser."""

    compare: Flat[CompareConfig]
    port: int = 8765
    """Where it listens; 0 takes a port that is free."""
    host: str = "127.0.0.1"
    """Who reaches it: by default this machine alone. With any other address whoever knows the printed one with its
    token, unencrypted; from another machine, `ssh -L 8765:localhost:8765 HOST` is safer."""
    open: bool = False
    """Open a browser."""
    title: str = ""
    """The page's heading; default the models and the task, as of `report`."""

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65_536:
            raise ReachlabError(f"port={self.port} must be 0 to 65535")


def serve(config: Flat[ServeCommand]) -> None:
    """Show the page of `reachlab report` with every sample in the runs, and follow runs that go on.

    Takes what `report` takes, and training runs, whose curves grow while it is open. A run that is still being drawn is
    compared again as samples come; one that is not there yet is waited for. Nothing is written. Ctrl-C ends it.

    Example: reachlab serve runs/demo/samples/base runs/demo/samples/pods --open

    Example: reachlab serve base=runs/demo/samples/base rl=runs/demo/samples/grpo runs/demo/grpo --port 0
    """
    from reachlab.serve.hosts import is_loopback
    from reachlab.serve.serving import serve
    from reachlab.serve.still import StillFolder

    if config.compare.matrix:
        raise ReachlabError("serve: a page shows samples, which tables do not hold; `reachlab compare --matrix` does")
    if not is_loopback(config.host):
        remark(f"--host {config.host}: whoever reaches this machine and knows the address reads the runs, unencrypted")

    def compare(ready: tuple[str, ...]) -> Any:
        asked = replace(config.compare, runs=ready, names=())
        comparison, compared = compare_models(asked, say=lambda said: None, folder=StillFolder)
        return comparison, compared, read_completions(asked, comparison, compared)

    serve(
        config.compare.models,
        compare,
        title=config.title,
        host=config.host,
        port=config.port,
        opens=config.open,
        say=lambda address: print(address, flush=True),
    )
