"""What `compare` and its kin are given, read: runs, tables of 0 and 1, counts, or paths of either.

    {"base": run, "grpo": [run, run]}      runs, or their paths; several in a list are one recipe, a seed each
    {"base": right_PN, "grpo": right_PN}   tables: arrays, tensors, frames, lists of lists
    {"base": (correct_P, drawn_P)}         counts: a tuple of two, or {problem: (correct, drawn)}
    {"base": "base.csv"}                   files of tables

A list of tables or counts is a recipe too. Without names a run is called as its folder, a table's file as the file. A
tuple of two lists of 0 and 1 could be either a table or counts, and is refused.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reachlab.boundary.outcomes import Outcomes
from reachlab.boundary.recipe import Recipe
from reachlab.boundary.verdict_table import VerdictTable, count_table, index_of, paired
from reachlab.comparing.config import CompareConfig, PowerConfig
from reachlab.comparing.models import Say
from reachlab.errors import InvalidArgumentError
from reachlab.library.counts import aligned, array_of, refuse_twice
from reachlab.library.given import path_of
from reachlab.pairing.compared import TABLES, Compared, Given, parse_model, read_given
from reachlab.runs import RunFolder

COUNTED = ("correct", "drawn")
"""Columns of a frame of counts."""
IDS = "problem_id"
"""Column of a frame that has the problems' ids; without it the frame's index has them."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """Models to compare: recipes, and where they came from (None of tables). `texts` name the runs as a command would;
    `paths` the files of tables."""

    recipes: Sequence[Recipe]
    compared: Compared | None
    texts: tuple[str, ...] = ()


def read_models(given: Any, config: CompareConfig | PowerConfig, say: Say) -> Models:
    """The models of an argument, the base first.

    Raises:
        InvalidArgumentError: no model, something that is none, or runs and tables together.
        ReachlabError: a run or a table that cannot be read.
    """
    named = _named(given)
    if not named:
        raise InvalidArgumentError("there is no model; give one or more, e.g. {'base': run, 'rl': run}")
    of_runs = [_is_runs(model) for _, model in named]
    if not any(of_runs):
        if config.match != "id":
            raise InvalidArgumentError(f"match={config.match!r}: tables hold no questions")
        return Models(recipes=_tables(named), compared=None)
    if not all(of_runs):
        run, table = named[of_runs.index(True)][0], named[of_runs.index(False)][0]
        raise InvalidArgumentError(
            f"{run or 'one'} is a run and {table or 'another'} a table; give all as one or the other"
        )
    models = [_runs(name, model) for name, model in named]
    compared = read_given(models, config.match)
    for said in compared.matched.remarks:
        say(said)
    return Models(recipes=compared.recipes, compared=compared, texts=tuple(map(_text, models)))


def run_texts(given: Any) -> tuple[str, ...]:
    """The runs of an argument as a command line names them, ``NAME=RUN,RUN``; they need not be there yet.

    Raises:
        InvalidArgumentError: tables, or what is no model.
    """
    named = _named(given)
    if table := next((name or "a model" for name, model in named if not _is_runs(model)), None):
        raise InvalidArgumentError(f"{table}: a page shows samples, which tables do not hold")
    models = [_runs(name, model) for name, model in named]
    for model in models:
        read = parse_model(_text(model))
        if (read.name, [run.url for run in read.runs]) != (model.name.strip(), [run.url for run in model.runs]):
            raise InvalidArgumentError(
                f"{_text(model)!r}: such a name or path cannot be followed; call the model otherwise, without any of "
                "= / \\ : in its name, and the run without = or a comma"
            )
    return tuple(map(_text, models))


def is_run(given: Any) -> bool:
    """Whether it stands by itself without a name: a run, several, or a file of tables."""
    return isinstance(given, str | os.PathLike) or _is_runs(given)


def _named(given: Any) -> list[tuple[str, Any]]:
    """Models with their names, "" where they have none."""
    if isinstance(given, Mapping) and not _is_frame(given):
        return [(_name(name), model) for name, model in given.items()]
    if _is_runs(given) and isinstance(given, str | os.PathLike):
        return [("", given)]
    if isinstance(given, list | tuple) and all(is_run(one) for one in given):
        return [("", one) for one in given]
    raise InvalidArgumentError("models are given by name, e.g. {'base': run, 'rl': run}, or as a list of runs or paths")


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name.strip():
        raise InvalidArgumentError(f"{name!r} is no name of a model: text is wanted")
    return name


def _is_frame(given: Any) -> bool:
    return hasattr(given, "columns") and hasattr(given, "index")


def _is_table_file(given: Any) -> bool:
    return isinstance(given, str | os.PathLike) and os.fspath(given).lower().endswith(TABLES)


def _is_runs(given: Any) -> bool:
    if isinstance(given, list | tuple):
        return (
            bool(given)
            and all(isinstance(one, str | os.PathLike) for one in given)
            and not any(map(_is_table_file, given))
        )
    return isinstance(given, str | os.PathLike) and not _is_table_file(given)


# -- runs -----------------------------------------------------------------------------------------------------------


def _runs(name: str, model: Any) -> Given:
    paths = [path_of(one, "run") for one in (model if isinstance(model, list | tuple) else [model])]
    if len(set(paths)) < len(paths):
        raise InvalidArgumentError(f"{name or paths[0]}: names a run twice; a recipe's runs are different ones")
    if not name and len(paths) == 1 and not isinstance(model, os.PathLike):
        return parse_model(paths[0])  # text, as on a command line
    return Given(name=name, runs=tuple(map(RunFolder, paths)))


def _text(model: Given) -> str:
    """A model as a command line names it."""
    urls = ",".join(run.url for run in model.runs)
    return f"{model.name}={urls}" if model.name else urls


# -- tables and counts ----------------------------------------------------------------------------------------------


def _tables(named: Sequence[tuple[str, Any]]) -> list[Recipe]:
    """Models that are tables, counts or files of them, paired by their problems."""
    tables: list[list[VerdictTable]] = []
    for name, model in named:
        if _is_table_file(model) and not name:
            tables += [[table] for table in _of_file(model)]
        else:
            tables.append([replace(_counted(name, one), name=name) for one in _several(model)])
    flat = [
        replace(table, name=f"{table.name} ({at})") if len(seeds) > 1 else table
        for seeds in tables
        for at, table in enumerate(seeds, 1)
    ]
    outcomes = iter(paired(flat))
    return [_recipe(seeds[0].name, [next(outcomes) for _ in seeds]) for seeds in tables]


def _recipe(name: str, runs: Sequence[Outcomes]) -> Recipe:
    return Recipe(name, tuple(runs))


def _several(model: Any) -> Iterable[Any]:
    """A model's tables: one, or a list of arrays, frames or counts, one a seed."""
    tables = isinstance(model, list | tuple) and len(model) > 0
    if tables and all(_is_frame(one) or getattr(one, "ndim", 0) == 2 or _is_table_file(one) for one in model):
        return list(model)
    if tables and isinstance(model, list) and all(isinstance(one, Mapping) or _is_counts(one) for one in model):
        return list(model)
    return [model]


def _is_counts(given: Any) -> bool:
    """Whether it is (correct, drawn) of several problems, and no row of a table: a tuple with a list in it."""
    return isinstance(given, tuple) and len(given) == 2 and np.ndim(array_of(given[0])) == 1


def _counted(name: str, model: Any) -> VerdictTable:
    """One table, counted."""
    if _is_table_file(model):
        return _of_file(model, alone=True)[0]
    if _is_frame(model) and set(COUNTED) <= set(model.columns):
        return _counts(name, model["correct"], model["drawn"], _ids(name, model))
    if isinstance(model, Mapping) and not _is_frame(model):
        return _pairs(name, model)
    if isinstance(model, tuple):
        return _tuple(name, model)
    if isinstance(model, list) and all(isinstance(one, tuple) and len(one) == 2 for one in model):
        raise InvalidArgumentError(
            f"{name}: a list of pairs is counts or a table of two samples; write (list of correct, list of drawn) or "
            "{problem: (correct, drawn)} for the one, a list of lists or an array for the other"
        )
    if _is_frame(model) and IDS in model.columns:
        return count_table(name, model.drop(columns=IDS), model[IDS].tolist())
    return count_table(name, array_of(model), index_of(model))


def _ids(name: str, counts: Any) -> list[Any] | None:
    """The problems' ids of a frame of counts. A column that may be ids of another name is not passed over."""
    if IDS in counts.columns:
        return list(counts[IDS].tolist())
    ids = index_of(counts)
    further = [str(column) for column in counts.columns if column not in COUNTED]
    if ids is None and further:
        raise InvalidArgumentError(
            f"{name}: beside correct and drawn there is {further[0]!r}; call the problems' ids {IDS!r}, or leave it out"
        )
    return ids


def _of_file(path: Any, *, alone: bool = False) -> list[VerdictTable]:
    from reachlab.imports.matrix import read_tables

    tables = list(read_tables(path_of(path, "table")))
    if alone and len(tables) != 1:
        raise InvalidArgumentError(
            f"{path}: holds {len(tables)} models, and one is named; give the file without a name"
        )
    return tables


def _pairs(name: str, model: Mapping[Any, Any]) -> VerdictTable:
    bad = [i for i, both in model.items() if not isinstance(both, tuple | list) or len(both) != 2]
    if bad:
        raise InvalidArgumentError(f"{name}: {bad[0]!r}: (correct, drawn) wanted for each problem")
    return _counts(name, [c for c, _ in model.values()], [n for _, n in model.values()], list(map(str, model)))


def _tuple(name: str, model: tuple[Any, ...]) -> VerdictTable:
    """(correct_P, drawn_P), unless it could be a table of two problems."""
    if len(model) != 2:
        raise InvalidArgumentError(
            f"{name}: a tuple is (correct, drawn), two lists; a table is a list of lists or an array"
        )
    *counts, ids = aligned(*model, name)
    correct, drawn = (_array(name, one) for one in counts)
    lists = ids is None and correct.ndim == drawn.ndim == 1 and correct.size and drawn.size
    if lists and max(correct.max(), drawn.max()) <= 1:
        raise InvalidArgumentError(
            f"{name}: a tuple of two lists of 0 and 1 is (correct, drawn) or a table of two problems; write "
            "{problem: (correct, drawn)} for the one, a list of lists or an array for the other"
        )
    return _counts(name, correct, drawn, ids)


def _array(name: str, given: Any) -> "np.ndarray":
    try:
        return np.asarray(given)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{name}: counts must be two lists of whole numbers, correct and drawn") from error


def _counts(name: str, correct: Any, drawn: Any, ids: Sequence[Any] | None) -> VerdictTable:
    c_P, n_P = _array(name, correct), _array(name, drawn)
    if n_P.ndim == 0 and n_P.dtype.kind in "iu":
        n_P = np.broadcast_to(n_P, c_P.shape)
    if c_P.ndim != 1 or c_P.shape != n_P.shape or not c_P.size:
        raise InvalidArgumentError(f"{name}: correct and drawn must be two lists of one length, a number a problem")
    whole = all(x.dtype.kind in "iu" and x.min() >= 0 for x in (c_P, n_P))
    if not whole or (c_P > n_P).any():
        raise InvalidArgumentError(f"{name}: counts must be whole numbers, none below 0, and correct at most drawn")
    if ids is not None:
        refuse_twice(ids, name)
    return VerdictTable(
        name=name,
        place=name,
        problem_ids=None if ids is None else tuple(map(str, ids)),
        n_P=n_P.astype(np.int64),
        c_P=c_P.astype(np.int64),
        unscored_P=np.zeros(len(c_P), np.int64),
    )
