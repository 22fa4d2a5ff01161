"""Reachlab measures what a training stage really added to a language model, and trains models that reach further."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__version__ = "0.1.0"


def load_run(path: "str | Path", *, problems: bool = False) -> "pd.DataFrame":
    """The samples of a run as a pandas frame, one row a sample: see `reachlab.sampling.frame`."""
    from reachlab.sampling.frame import load_run

    return load_run(path, problems=problems)
