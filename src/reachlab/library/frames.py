"""`reachlab.load_run` and `reachlab.compare_matrices`: a run as a frame, and tables compared, in one call each."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reachlab.errors import InvalidArgumentError
from reachlab.library.counts import array_of
from reachlab.library.functions import bordered
from reachlab.library.given import path_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from reachlab.boundary.comparison import Findings


@bordered
def load_run(path: "str | os.PathLike[str]", *, problems: bool = False) -> "pd.DataFrame":
    """All samples of a run as a pandas frame, each once, a row a sample.

    Parameters
    ----------
    path : str, path or Run
        The run's folder, or a URL of one.
    problems : bool, default=False
        Whether to add the ``prompt``, ``answer`` and ``metadata`` of each sample's problem.

    Returns
    -------
    pandas.DataFrame
        The columns of docs/formats.md, in the order of the problems and of the samples' indices.

    Raises
    ------
    ReachlabError
        And OSError: there is no run. And ValueError: one without samples.
    """
    from reachlab.store.frame import load_run

    return load_run(path_of(path, "path"), problems=problems)


@bordered
def compare_matrices(
    right: "Mapping[str, ArrayLike]",
    *,
    problem_ids: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    **options: Any,
) -> "Findings":
    """Compare models by tables of 0 and 1, and return the bare numbers; `compare` takes more and shows more.

    Parameters
    ----------
    right : dict of array_like
        A table a model, by name, the base first: a row a problem, a column a sample.
    problem_ids : list, or dict of lists, optional
        One a row, for all models alike or for each. Without, row p is the same problem everywhere; but a frame with an
        index of its own has its ids there.
    **options
        Of `reachlab.boundary.compare.compare`: ``ks``, ``level``, ``resamples``, ``over`` ...

    Returns
    -------
    reachlab.boundary.comparison.Findings
        Curves, differences, verdicts.

    Raises
    ------
    ReachlabError
        And ValueError: tables that cannot be compared.

    Examples
    --------
    >>> import reachlab as rl
    >>> base, trained = [[0, 1, 0, 1], [0, 0, 0, 0]], [[1, 1, 1, 1], [0, 0, 0, 1]]
    >>> rl.compare_matrices({"base": base, "trained": trained}).ks.tolist()
    [1, 2, 3, 4]
    """
    from reachlab.boundary.verdict_table import compare_matrices
    from reachlab.library.settings import checked

    if not isinstance(right, Mapping):
        raise InvalidArgumentError("compare_matrices: tables are given by name, e.g. {'base': table, 'rl': table}")
    tables = {name: array_of(table) for name, table in right.items()}
    return compare_matrices(tables, problem_ids=problem_ids, **checked(options, "compare_matrices"))
