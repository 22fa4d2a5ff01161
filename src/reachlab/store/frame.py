"""A run's samples as a pandas frame, for notebooks: `reachlab.load_run`.

Axes. N: samples, P: problems.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from reachlab.runs import RunFolder
from reachlab.store.columns import LATER
from reachlab.store.samples import SampleStore
from reachlab.types import FILTERED

CATEGORIES = {"finish": ("stop", "length", FILTERED), "engine": (), "verdict": ("correct", "wrong", "unscored")}
"""Columns that become categories, and those that each always has, in this order."""


def load_run(path: str | Path, *, problems: bool = False) -> pd.DataFrame:
    """All samples of a run, each once, in the order of its problems and of the samples' indices.

    The columns are those of docs/formats.md, and whatever others the parts have. `verdict`, `finish` and `engine` are
    categories; `steps` and `valid_steps` are whole numbers that may be missing; other missing numbers are NaN.

    Args:
        path: the run's folder, or a URL of one.
        problems: whether to add the `prompt`, `answer` and `metadata` of each sample's problem.

    Raises:
        ReachlabError: not a run of samples, or one that holds none yet or cannot be read.
    """
    store = SampleStore(RunFolder(path))
    table, row_N = store.numbered(None)
    for field in LATER:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(len(table), field.type))
    for at, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type) and field.name not in CATEGORIES:
            table = table.set_column(at, field.name, table.column(at).cast(field.type.value_type))
    order_N = np.lexsort((table["sample"].to_numpy(), row_N))
    frame = table.to_pandas().take(order_N).reset_index(drop=True)
    for name, categories in CATEGORIES.items():
        frame[name] = frame[name].cat.set_categories(
            [*categories, *sorted(set(frame[name].cat.categories) - {*categories})]
        )
    for name in ("valid_steps", "steps"):
        frame[name] = frame[name].astype("Int32")
    if problems:
        listed = store.problems()
        for name in ("prompt", "answer", "metadata"):
            values_P = np.empty(len(listed), object)
            values_P[:] = [getattr(problem, name) for problem in listed]
            frame[name] = values_P[row_N[order_N]]
    return frame
