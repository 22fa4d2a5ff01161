"""`reachlab.compare`: models held against each other, as `reachlab compare` does it, and what comes of it."""

import io
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from reachlab.boundary import comparison as boundary
from reachlab.boundary.verdict import Conclusion
from reachlab.comparing.config import CompareConfig
from reachlab.comparing.models import compare_recipes, document, read_completions
from reachlab.errors import InvalidArgumentError
from reachlab.library.border import border, remark
from reachlab.library.functions import takes
from reachlab.library.html import paragraphs, table
from reachlab.library.keywords import build, converted
from reachlab.library.models import Models, read_models
from reachlab.pairing.compared import Compared

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

Rows = Literal["pass_at_k", "difference", "models"]
NOT_HERE = ("runs", "names", "matrix")
"""Options of the command that the first argument says."""
COLUMNS = 120
"""Width of the table as text."""


class Comparison:
    """Models held against each other: verdicts, curves, differences. Made by `reachlab.compare`.

    A notebook shows the verdicts and the table that the command prints; ``print`` prints them.
    """

    def __init__(self, found: boundary.Findings, models: Models, config: CompareConfig):
        self.found = found
        """All that the samples say, as `boundary/comparison.py` has it."""
        self.config = config
        """How it was compared."""
        self._models = models

    # -- what it says -----------------------------------------------------------------------------------------------

    @property
    def verdicts(self) -> Mapping[str, Conclusion]:
        """Each model's verdict against the base, by its name: ``label`` is the word, ``sentence`` all of it. With
        ``pairs="all"`` those of other pairs stand under "model against other"."""
        against_base = {pair.name: pair.verdict for pair in self.found.pairs}
        return against_base | {f"{pair.name} against {pair.base}": pair.verdict for pair in self.found.others}

    @property
    def base(self) -> str:
        """The name of the model that the others are held against."""
        return self.found.base

    @property
    def models(self) -> tuple[boundary.Model, ...]:
        """The models on the shared problems, each with its curve."""
        return self.found.models

    @property
    def pairs(self) -> tuple[boundary.Pair, ...]:
        """Each model against the base: difference, crossing, coverage, gap, verdict."""
        return self.found.pairs

    @property
    def others(self) -> tuple[boundary.Pair, ...]:
        """The other pairs, where they were asked for."""
        return self.found.others

    @property
    def problem_ids(self) -> tuple[str, ...]:
        """The problems that all models were measured on."""
        return self.found.problem_ids

    @property
    def ks(self) -> "np.ndarray":
        """The values of k: (K,)."""
        return self.found.ks

    def to_frame(self, rows: Rows = "pass_at_k") -> "pd.DataFrame":
        """A tidy frame.

        Parameters
        ----------
        rows : {'pass_at_k', 'difference', 'models'}, default='pass_at_k'
            pass_at_k: a row a model and k, with the interval's ends. difference: a row a pair and k, the model less the
            base, with interval, band and p. models: a row a model, with its verdict.
        """
        import pandas as pd

        with border():
            chosen = converted(rows, Rows, "to_frame: rows")
        made = {"pass_at_k": self._points, "difference": self._differences, "models": self._rows}[chosen]
        return pd.DataFrame(made())

    def _points(self) -> list[dict[str, Any]]:
        level = self.found.level
        return [
            {"model": model.name, "k": k, "pass_at_k": value, "low": low, "high": high, "level": level}
            for model in self.found.models
            for k, value, low, high in zip(*_columns(model.curve, "x", "values", "low", "high"), strict=True)
        ]

    def _differences(self) -> list[dict[str, Any]]:
        names = ("k", "difference", "low", "high", "band_low", "band_high", "p")
        return [
            {"model": pair.name, "base": pair.base, **dict(zip(names, point, strict=True)), "level": self.found.level}
            for pair in (*self.found.pairs, *self.found.others)
            for point in zip(
                *_columns(pair.difference, "x", "values", "low", "high"),
                *(end.tolist() for end in pair.difference.band),
                pair.difference.p.tolist(),
                strict=True,
            )
        ]

    def _rows(self) -> list[dict[str, Any]]:
        pairs = {pair.name: pair for pair in self.found.pairs}
        first, last = int(self.found.ks[0]), int(self.found.ks[-1])
        found = []
        for model in self.found.models:
            pair, curve = pairs.get(model.name), model.curve
            found.append(
                {
                    "model": model.name,
                    f"pass@{first}": float(curve.values[0]),
                    f"pass@{last}": float(curve.values[-1]),
                    "label": pair.verdict.label if pair else None,
                    "crossing": pair.crossing.k if pair else None,
                    "gained": len(pair.coverage.gained) if pair else None,
                    "lost": len(pair.coverage.lost) if pair else None,
                    "unscored": model.unscored,
                    "verdict": pair.verdict.sentence if pair else None,
                }
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """All of it as ``reachlab compare --json`` has it: plain lists, strings and numbers."""
        with border():
            return self._document

    @cached_property
    def _document(self) -> dict[str, Any]:
        from reachlab.pairing.conditions import conditions

        compared = self.compared
        differing = [] if compared is None else conditions(compared.matched.stores, compared.names)
        return document(self.found, compared, differing, self.memories)

    @property
    def compared(self) -> Compared | None:
        """The runs that were compared, matched problem by problem; None of tables."""
        return self._models.compared

    @property
    def texts(self) -> tuple[str, ...]:
        """The models as a command names them, ``NAME=RUN``; none of tables."""
        return self._models.texts

    @cached_property
    def memories(self) -> list[Any]:
        """How the models complete questions, where ``memory`` names runs."""
        return read_completions(self.config, self.found, self._models.compared)

    # -- shown ------------------------------------------------------------------------------------------------------

    def plot(self) -> "go.Figure":
        """The page's main figure: pass@k of every model over k, with intervals and crossings."""
        from reachlab.library.figures import coloured
        from reachlab.reporting import sentences
        from reachlab.reporting.figures import plots
        from reachlab.reporting.styles import Style

        found, ks = self.found, self.found.ks
        styles = {model.name: Style(at) for at, model in enumerate(_base_first(found))}
        marks = [
            plots.Mark(name=p.name, style=styles[p.name], k=p.crossing.k, sure=sentences.crosses(p))
            for p in found.pairs
            if p.crossing.k and p.crossing.k > ks[0]
        ]
        at = plots.thin(ks, [mark.k for mark in marks])
        lines = [plots.Line(m.name, styles[m.name], m.curve.take(at)) for m in _base_first(found)]
        return coloured(plots.passk(lines, marks, int(ks[-1])))

    def __str__(self) -> str:
        from rich.console import Console

        from reachlab.reporting.tables import print_comparison

        text = io.StringIO()
        # In a kernel rich would show what it prints, whatever its file is.
        console = Console(
            file=text, width=COLUMNS, color_system=None, force_terminal=False, force_jupyter=False, legacy_windows=False
        )
        print_comparison(self.found, console)
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines()).strip()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from reachlab.reporting.tables import against, summarise

        found = self.found
        verdicts = [f"{pair.name} is {pair.verdict.sentence}" for pair in found.pairs]
        verdicts += [f"{pair.name} against {pair.base} is {against(pair)}" for pair in found.others]
        summary = summarise(found)
        rows = [
            {"model": row.name}
            | {
                column: f"{cell.text}\n{cell.interval}".strip()
                for column, cell in zip(summary.columns, row.cells, strict=True)
            }
            for row in summary.rows
        ]
        size = f"{len(found.problem_ids):,} problems, k up to {ks_last(found):,}, base {found.base}"
        return paragraphs([*verdicts, size]) + table(rows)


def ks_last(found: boundary.Findings) -> int:
    """The largest k."""
    return int(found.ks[-1])


def _base_first(found: boundary.Findings) -> list[boundary.Model]:
    return sorted(found.models, key=lambda model: model.name != found.base)


def _columns(curve: Any, *names: str) -> list[list[Any]]:
    return [getattr(curve, name).tolist() for name in names]


@takes(CompareConfig, without=NOT_HERE)
def compare(runs: Any, **options: Any) -> Comparison:
    """Compare models by their samples: pass@k with intervals, crossing, problems gained and lost, a verdict.

    Parameters
    ----------
    runs : dict, or list of runs
        Models by their names, the base first, or runs and paths without names. A model is a run (`Run`, a path, a
        URL), a list of runs of one recipe, a seed each, whose verdict is then about the recipe; a table of 0 and 1, a
        row a problem and a column a sample (array, tensor, frame, lists; nan or -1 is unscored); a file of one (.csv,
        .npy, .npz); or counts, ``(correct, drawn)``, ``{problem: (correct, drawn)}`` or a frame with these columns. A
        frame's index, or its column ``problem_id``, has the problems' ids, a series' index too. A list of tables or
        counts is a recipe, a seed each. Runs and tables cannot be mixed.

    Returns
    -------
    Comparison
        The numbers of ``reachlab compare``; `to_frame`, `to_dict`, `plot`. Nothing is written.

    Raises
    ------
    ReachlabError
        And ValueError: models that cannot be compared, an option that cannot be. And OSError: a run that is not there.

    Examples
    --------
    >>> import reachlab as rl
    >>> found = rl.compare({"base": [[0, 1, 0, 1], [0, 0, 0, 0]], "rl": [[1, 1, 1, 1], [0, 0, 0, 1]]}, resamples=200)
    >>> found.verdicts["rl"].label
    'undecided'
    >>> found.to_frame()[["model", "k", "pass_at_k"]].head(1).values.tolist()
    [['base', 1, 0.25]]
    """
    return compared(runs, options, "compare")


def compared(runs: Any, options: Mapping[str, Any], function: str) -> Comparison:
    """The comparison of what a function was given.

    Raises:
        ReachlabError: as of `compare`.
    """
    if isinstance(runs, Comparison):
        if options:
            raise InvalidArgumentError(
                f"{function}: {next(iter(options))} is for runs; this comparison is made already"
            )
        return runs
    given = {"runs": (), **_allowed(options, function)}
    config: CompareConfig = build(CompareConfig, given, function=function, command=function)
    models = read_models(runs, config, remark)
    found = compare_recipes(config, models.recipes, models.compared, remark)
    if config.memory and models.compared is None:
        raise InvalidArgumentError("memory goes with runs: a table does not hold what was asked, nor of which model")
    return Comparison(found, models, config)


def _allowed(options: Mapping[str, Any], function: str) -> Mapping[str, Any]:
    if bad := next((name for name in options if name in NOT_HERE), None):
        raise InvalidArgumentError(f"{function}: there is no keyword {bad!r}: the first argument says it")
    return options
