"""The command that shows runs in a browser while they go on."""

from dataclasses import replace
from typing import Any

from tyro.conf import OmitArgPrefixes as Flat

from reachlab.cli.output import remark
from reachlab.comparing.config import ServeConfig
from reachlab.errors import ReachlabError


def serve(config: Flat[ServeConfig]) -> None:
    """Show the page of `reachlab report` with every sample in the runs, and follow runs that go on.

    Takes what `report` takes, and training runs, whose curves grow while it is open. A run that is still being drawn is
    compared again as samples come; one that is not there yet is waited for. Nothing is written. Ctrl-C ends it.

    Example: reachlab serve runs/demo/samples/base runs/demo/samples/pods --open

    Example: reachlab serve base=runs/demo/samples/base rl=runs/demo/samples/grpo runs/demo/grpo --port 0
    """
    from reachlab.comparing.models import compare_models, read_completions
    from reachlab.serving.hosts import is_loopback
    from reachlab.serving.serving import serve
    from reachlab.serving.still import StillFolder

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
