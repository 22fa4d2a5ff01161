"""What a measure is: an object with a name, a title, a caption and `compute`, from a run to a curve or a table.

A file of this room defines one, opened by its equation and source, and a line of `MEASURES` (`__init__.py`) names it.
The page, `reachlab measures`, `--json` and the table in docs/boundary.md go through that list and know no measure by
name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from reachlab.boundary.curve import Curve
from reachlab.boundary.perplexity import Perplexity
from reachlab.errors import ReachlabError
from reachlab.measures.measured_run import MeasuredRun
from reachlab.measures.table import Table

Unit = Literal["share", "count", "nats"]
"""How a curve's numbers are written: in percent, as they are, with three decimals."""


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no data for a measure in a run, and why; without words where another measure says it.

    A command that would give it the data stands in backticks; the page puts it where it can be copied.
    """

    why: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Quartiles over answers, a box for each run that has them, which is known by its position."""

    title: str
    label: str
    runs: tuple[tuple[int, Perplexity], ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Check:
    """Predictions held against what came out, shares each, with how far a prediction was off; `words` say of each which
    it is. They become a figure beside the measure's own, which `caption` says how to read."""

    title: str
    caption: str
    words: tuple[str, ...]
    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    error: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Result:
    """What a run says, where it is more than a curve or a table.

    `document` stands in --json: beside the curve's numbers where there is a curve. `remarks` are lines below the
    terminal's table, `lead` follows the words above the page's figures. `check` is drawn. `notes` say by name what else
    could not be computed, why, and in backticks by which command it can be. `look_at` has the sample of a problem that
    a person should see; the page's problem browser lists them.
    """

    curve: Curve | None = None
    tables: tuple[Table, ...] = ()
    boxes: tuple[Boxes, ...] = ()
    check: Check | None = None
    document: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    lead: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    look_at: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers for JSON."""
        if self.curve is None and not self.document:
            return {"tables": [{"caption": table.caption, **table.to_dict()} for table in self.tables]}
        return {**({} if self.curve is None else self.curve.to_dict()), **self.document}


Computed = Curve | Table | Result | Missing


def result_of(computed: Computed) -> Result | Missing:
    """A curve or a table alone as a result.

    Raises:
        TypeError: it is nothing that a measure says.
    """
    if isinstance(computed, Curve):
        return Result(curve=computed)
    if isinstance(computed, Table):
        return Result(tables=(computed,), document=computed.to_dict())
    if not isinstance(computed, Result | Missing):
        raise TypeError(f"it gives a {type(computed).__name__}; a Curve, a Table, a Result or Missing is wanted")
    return computed


@dataclass(frozen=True, kw_only=True)
class PagePart:
    """A part of the page, which measures share: its heading, and a line that says what it holds."""

    id: str
    heading: str
    lead: str


BESIDE = PagePart(
    id="beside", heading="Beside pass@k", lead="What else the same samples say; the models that have the data."
)
"""Where a measure stands that says nothing else."""


@dataclass(frozen=True, kw_only=True)
class FigureLook:
    """How a figure departs from the usual one: what is drawn, for who cannot see it; the y axis' name, else the title;
    what the values are called in its data; and whether it takes the page's whole width."""

    label: str = ""
    axis: str = ""
    column: str = "value"
    wide: bool = False


@dataclass(frozen=True, kw_only=True)
class Against:
    """The same measure less the base's: `compute` takes the base and another run."""

    compute: Callable[[MeasuredRun, MeasuredRun], Computed]
    caption: str
    look: FigureLook = FigureLook()


@dataclass(frozen=True, kw_only=True)
class AnyMeasure:
    """What every measure says of itself.

    `name` is its key in --json, where a dot goes one deeper; `title` heads its figure. `caption` says in one sentence
    what its number means: it stands under its figure or its table, on the page and in the terminal, and in --json.
    `source` names the paper, or says that it is ours. `row` heads its row in the terminal (else the title does).
    `part` is where it stands on the page; None: nowhere. `compared`: it is of models that are compared on the problems
    they share, and a run alone does not have it.
    """

    name: str
    title: str
    caption: str
    source: str
    row: str = ""
    unit: Unit = "share"
    part: PagePart | None = BESIDE
    look: FigureLook = FigureLook()
    compared: bool = False


@dataclass(frozen=True, kw_only=True)
class Measure(AnyMeasure):
    """One that is of each run: `compute` says what the run has, and `against` what that is less the base's."""

    compute: Callable[[MeasuredRun], Computed]
    against: Against | None = None


@dataclass(frozen=True, kw_only=True)
class JointMeasure(AnyMeasure):
    """One that is of all compared runs at once."""

    compute: Callable[[Sequence[MeasuredRun]], Computed]
    compared: bool = True


def adopted(name: str, found: Any) -> Measure | JointMeasure:
    """A measure as others give it, under the name that they give it.

    Raises:
        ReachlabError: it is none.
    """
    if not isinstance(found, Measure | JointMeasure):
        raise ReachlabError(
            f"measure {name!r} is a {type(found).__name__}; a Measure or JointMeasure of "
            "reachlab.measures.measure is wanted"
        )
    return replace(found, name=name)
