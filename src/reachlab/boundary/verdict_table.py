"""Outcomes of a table of right and wrong: a row a problem, a column a sample; nobody has to make a run first.

A cell is 1 (right), 0 (wrong), or NaN, −1 or None (unscored). Anything else, such as a score of 0.5, is refused: to
round it would be to judge. Problems are paired by their ids; where no table has ids, by the place of their rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reachlab.boundary.compare import compare
from reachlab.boundary.comparison import Findings
from reachlab.boundary.outcomes import Ints, Outcomes
from reachlab.errors import ReachlabError

WANTED = "1 is right, 0 wrong, an empty cell, nan or -1 unscored, and nothing else"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class VerdictTable:
    """One model's table, counted. ``place`` is where it stands, for messages; ``problem_ids`` None: it has none."""

    name: str
    place: str
    problem_ids: tuple[str, ...] | None
    n_P: Ints
    c_P: Ints
    unscored_P: Ints


def count_table(
    name: str, right_PN: ArrayLike, problem_ids: Sequence[Any] | None = None, place: str = ""
) -> VerdictTable:
    """Count a table's cells.

    Args:
        name: the model's.
        right_PN: the table; whatever numpy makes an array of two axes of. A masked cell is unscored.
        problem_ids: one a row.
        place: what a message calls the table; its name unless said otherwise.

    Raises:
        ReachlabError: no table of two axes, none of whose sides is empty; a cell that is none of the above; another
            number of ids.
    """
    place = place or name
    cells_PN = _numbers(right_PN, place)
    ids = None if problem_ids is None else tuple(map(str, problem_ids))
    if ids is not None and len(ids) != len(cells_PN):
        raise ReachlabError(f"{place}: {len(ids):,} problem ids for {len(cells_PN):,} rows")
    true_PN, false_PN, unscored_PN = cells_PN == 1, cells_PN == 0, cells_PN == -1
    if cells_PN.dtype.kind == "f":
        unscored_PN |= np.isnan(cells_PN)
    if (strange_PN := ~(true_PN | false_PN | unscored_PN)).any():
        p, n = np.unravel_index(int(strange_PN.argmax()), strange_PN.shape)
        raise ReachlabError(f"{place}[{p}, {n}] is {cells_PN[p, n].item()!r}: {WANTED}")
    c_P: Ints = true_PN.sum(axis=1, dtype=np.int64)
    return VerdictTable(
        name=name,
        place=place,
        problem_ids=ids,
        n_P=c_P + false_PN.sum(axis=1, dtype=np.int64),
        c_P=c_P,
        unscored_P=unscored_PN.sum(axis=1, dtype=np.int64),
    )


def paired(tables: Sequence[VerdictTable]) -> list[Outcomes]:
    """The tables' outcomes, under ids by which `compare` can pair them; rows without ids are numbered from 0.

    Raises:
        ReachlabError: tables without ids beside tables with some, or of another number of rows; an id twice.
    """
    bare = [t for t in tables if t.problem_ids is None]
    if bare and len(bare) < len(tables):
        named = next(t for t in tables if t.problem_ids is not None)
        raise ReachlabError(
            f"{bare[0].place} has no problem ids and {named.place} has: rows cannot be paired; give ids to all or none"
        )
    if other := next((t for t in bare if len(t.n_P) != len(bare[0].n_P)), None):
        raise ReachlabError(
            f"{bare[0].place} has {len(bare[0].n_P):,} rows and {other.place} {len(other.n_P):,}: without problem ids "
            "rows are paired by their place, so there must be equally many; give ids"
        )
    return [
        Outcomes(t.name, t.problem_ids or tuple(map(str, range(len(t.n_P)))), t.n_P, t.c_P, t.unscored_P)
        for t in tables
    ]


def compare_matrices(
    right: Mapping[str, ArrayLike],
    *,
    problem_ids: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    **options: Any,
) -> Findings:
    """Compare models by their tables; the first is the base.

    Args:
        right: a table a model, by name.
        problem_ids: one a row, for all models alike or for each by its name: then the shared ones are compared. None:
            row p is the same problem everywhere; but a pandas frame with an index of its own has its ids there.
        options: those of `compare`.

    Raises:
        ReachlabError: as of `count_table`, `paired` and `compare`.

    Example:
        >>> base, trained = [[0, 1, 0, 1], [0, 0, 0, 0]], [[1, 1, 1, 1], [0, 0, 0, 1]]
        >>> found = compare_matrices({"base": base, "trained": trained})
        >>> found.ks.tolist()
        [1, 2, 3, 4]
    """

    def ids_of(name: str) -> Sequence[Any] | None:
        if not isinstance(problem_ids, Mapping):
            return problem_ids
        if name not in problem_ids:
            raise ReachlabError(f"{name}: problem_ids has none for it; give ids to all models or to none")
        return problem_ids[name]

    tables = []
    for name, table in right.items():
        ids = ids_of(name)
        tables.append(count_table(str(name), table, index_of(table) if ids is None else ids))
    return compare(paired(tables), **options)


def index_of(table: Any) -> list[Any] | None:
    """The ids that a pandas frame's index is; None where it only counts rows, or there is none."""
    index = getattr(table, "index", None)
    if index is None or not hasattr(table, "columns"):
        return None
    ids = list(index)
    return None if ids == list(range(len(ids))) else ids


def _numbers(given: ArrayLike, place: str) -> NDArray[Any]:
    """The table as an array of truths, whole numbers or floats."""
    if isinstance(given, np.ma.MaskedArray):
        given = np.ma.filled(given.astype(float), np.nan)
    try:
        cells = np.asarray(given)
    except ValueError as error:
        raise ReachlabError(f"{place}: rows of different lengths; fill the short ones with nan") from error
    if cells.ndim != 2:
        hint = "; one sample of each problem is right[:, None]" if cells.ndim == 1 else ""
        axes = f"{cells.ndim} ax{'i' if cells.ndim == 1 else 'e'}s"
        raise ReachlabError(f"{place}: a table has two axes, problems and samples, and this has {axes}{hint}")
    if not cells.size:
        raise ReachlabError(f"{place}: a table of {cells.shape[0]} problems and {cells.shape[1]} samples holds nothing")
    if cells.dtype.kind == "O":
        cells = _of_objects(cells, place)
    if cells.dtype.kind not in "biuf":
        raise ReachlabError(f"{place}: holds {cells.dtype}, not numbers: {WANTED}")
    return cells


def _of_objects(cells: NDArray[Any], place: str) -> NDArray[np.float64]:
    """Truths, numbers and None, as they lie in a frame that misses some, as floats."""
    found = np.full(cells.shape, np.nan)
    for at, cell in np.ndenumerate(cells):
        if isinstance(cell, bool | int | float | np.bool_ | np.number):
            found[at] = cell
        elif cell is not None:
            raise ReachlabError(f"{place}[{at[0]}, {at[1]}] is {cell!r}: {WANTED}")
    return found
