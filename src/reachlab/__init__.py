"""Reachlab measures what a training stage really added to a language model, and trains models that reach further.

    import reachlab as rl

Each name is imported when it is asked for, so that this costs nothing; docs/library.md shows them by example.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reachlab.errors import ReachlabError as ReachlabError
    from reachlab.errors import ReachlabWarning as ReachlabWarning
    from reachlab.library.comparison import Comparison as Comparison
    from reachlab.library.comparison import compare as compare
    from reachlab.library.frames import compare_matrices as compare_matrices
    from reachlab.library.frames import load_run as load_run
    from reachlab.library.measuring import chance as chance
    from reachlab.library.measuring import entropy as entropy
    from reachlab.library.measuring import measure as measure
    from reachlab.library.measuring import perplexity as perplexity
    from reachlab.library.measuring import power as power
    from reachlab.library.measuring import score as score
    from reachlab.library.page import report as report
    from reachlab.library.passk import pass_at_k as pass_at_k
    from reachlab.library.run import Run as Run
    from reachlab.library.sampling import export as export
    from reachlab.library.sampling import import_samples as import_samples
    from reachlab.library.sampling import load_task as load_task
    from reachlab.library.sampling import sample as sample
    from reachlab.library.sampling import verify as verify
    from reachlab.library.selecting import densify as densify
    from reachlab.library.selecting import max_variance as max_variance
    from reachlab.library.served import serve as serve
    from reachlab.library.studying import study as study
    from reachlab.library.training import Training as Training
    from reachlab.library.training import distill as distill
    from reachlab.library.training import merge as merge
    from reachlab.library.training import pretrain as pretrain
    from reachlab.library.training import train_rl as train_rl
    from reachlab.registering import register as register

__version__ = "0.1.0"

PLACES = {
    "Comparison": "reachlab.library.comparison",
    "ReachlabError": "reachlab.errors",
    "ReachlabWarning": "reachlab.errors",
    "Run": "reachlab.library.run",
    "Training": "reachlab.library.training",
    "chance": "reachlab.library.measuring",
    "compare": "reachlab.library.comparison",
    "compare_matrices": "reachlab.library.frames",
    "densify": "reachlab.library.selecting",
    "distill": "reachlab.library.training",
    "entropy": "reachlab.library.measuring",
    "export": "reachlab.library.sampling",
    "import_samples": "reachlab.library.sampling",
    "load_run": "reachlab.library.frames",
    "load_task": "reachlab.library.sampling",
    "max_variance": "reachlab.library.selecting",
    "measure": "reachlab.library.measuring",
    "merge": "reachlab.library.training",
    "pass_at_k": "reachlab.library.passk",
    "perplexity": "reachlab.library.measuring",
    "power": "reachlab.library.measuring",
    "pretrain": "reachlab.library.training",
    "register": "reachlab.registering",
    "report": "reachlab.library.page",
    "sample": "reachlab.library.sampling",
    "score": "reachlab.library.measuring",
    "serve": "reachlab.library.served",
    "study": "reachlab.library.studying",
    "train_rl": "reachlab.library.training",
    "verify": "reachlab.library.sampling",
}
"""Where each name is; it has the same name there."""

__all__ = [*PLACES, "__version__"]


if not TYPE_CHECKING:  # a type checker is to notice a name that there is not

    def __getattr__(name: str) -> Any:
        """Import a name when it is asked for."""
        if name not in PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(PLACES[name]), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *PLACES})
