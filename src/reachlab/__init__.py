"""Reachlab measures what a training stage really added to a language model, and trains models that reach further."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import ArrayLike

    from reachlab.boundary.comparison import Comparison

__version__ = "0.1.0"


def load_run(path: "str | Path", *, problems: bool = False) -> "pd.DataFrame":
    """The samples of a run as a pandas frame, one row a sample: see `reachlab.store.frame`."""
    from reachlab.store.frame import load_run

    return load_run(path, problems=problems)


def compare_matrices(
    right: "Mapping[str, ArrayLike]",
    *,
    problem_ids: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    **options: Any,
) -> "Comparison":
    """Compare models by tables of 0 and 1, a row a problem and a column a sample: see `boundary/verdict_table.py`."""
    from reachlab.boundary.verdict_table import compare_matrices

    return compare_matrices(right, problem_ids=problem_ids, **options)
