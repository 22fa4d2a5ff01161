"""The page's sections of measures: what the list of measures has, in its order; what no run has data for is left out.

Measures of one part of the page share a section. A curve becomes a figure with its numbers, the same less the base's
another one beside it; tables of one caption become one with the rows of all models, and each says what its numbers
mean. What has not been measured stands with the command that does it: in its section, or where there is none, in one
of its own.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from reachlab.boundary.cover import Cover
from reachlab.boundary.curve import Curve
from reachlab.boundary.extrapolation import Extrapolation
from reachlab.measures import load_measures
from reachlab.measures.measure import AnyMeasure, Boxes, FigureLook, Measure, PagePart, Result, Unit
from reachlab.measures.results import Results
from reachlab.measures.table import merged
from reachlab.reporting.data import Data
from reachlab.reporting.entries import Entry
from reachlab.reporting.figures import plots
from reachlab.reporting.figures.plots import Line
from reachlab.reporting.figures.section import Figure, Section, Unmeasured
from reachlab.reporting.sentences import DOUBTS

FORMS: dict[Unit, str] = {"share": ".1%", "count": ".3g", "nats": ".3f"}
QUARTILES = ("answers", "median", "lower_quartile", "upper_quartile", "mean", "corpus", "low", "high")

COMMAND = re.compile("`(reachlab [^`]+)`")
"""A command in a note."""

Found = Sequence[tuple[Entry, Result]]
"""The models that have data for a measure."""


def sections(entries: Sequence[Entry], results: Results) -> list[Section]:
    """The sections that these runs have data for, in the order in which measures name them first."""
    measures = load_measures()
    parts = dict.fromkeys(measure.part for measure in measures if measure.part is not None)
    made = [_section(part, [m for m in measures if m.part == part], entries, results) for part in parts]
    found = [section for section in made if section.figures or section.tables]
    shown = {section.id for section in found}
    left = [one for section in made if section.id not in shown for one in section.missing]
    return found + ([replace(NOWHERE, missing=left)] if left else [])


NOWHERE = Section(
    id="unmeasured",
    heading="Not measured yet",
    lead="What these samples could still say, and the command that asks them; write the report again after it.",
    models=(),
    figures=(),
)
"""Of measures that no model has."""


def unmeasured(measure: AnyMeasure, entries: Sequence[Entry], results: Results) -> list[Unmeasured]:
    """The models that a measure has no data of, and the commands that give it, as its notes have them in backticks."""
    key = measure.name.split(".")[0]
    said = [(e.name, run.notes.get(key, "")) for e, run in zip(entries, results.runs, strict=True)]
    of = {model: COMMAND.findall(why) for model, why in said}
    models = tuple(model for model, commands in of.items() if commands)
    commands = [*(c for found in of.values() for c in found), *COMMAND.findall(results.notes.get(key, ""))]
    return [Unmeasured(models, measure.title, measure.caption, tuple(commands))] if commands else []


def absent(measure: AnyMeasure, results: Results) -> list[str]:
    """Why no model has a measure, where no command would give it."""
    key = measure.name.split(".")[0]
    why = next((run.notes[key] for run in results.runs if key in run.notes), "")
    return [f"No {measure.row or measure.title}: {why}."] if why and not COMMAND.search(why) else []


def _section(part: PagePart, measures: Sequence[AnyMeasure], entries: Sequence[Entry], results: Results) -> Section:
    figures: list[Figure] = []
    tables, leads, looked_at, missing = [], [part.lead], False, list[Unmeasured]()
    models: dict[str, Entry] = {}
    runs = [(e, run.of) for e, run in zip(entries, results.runs, strict=True)]
    for measure in measures:
        joint = results.joint.get(measure.name)
        found = [(e, of[measure.name]) for e, of in runs if measure.name in of]
        curves = _curves(found)
        models |= {e.name: e for e, _ in curves}
        if curves:
            figures.append(_figure(measure.name, measure.title, measure.caption, measure.look, measure.unit, curves))
        figures += [] if joint is None else _boxes(measure, joint.boxes, entries)
        moved = _less_the_base(measure, entries, results)
        figures += [] if moved is None else [moved]
        every = [result for _, result in found] + ([] if joint is None else [joint])
        figures += _checked(measure, found)
        missing += unmeasured(measure, entries, results)
        leads += [] if found or joint else absent(measure, results)
        meaning = "" if curves else measure.caption
        tables += [replace(t, note=t.note or meaning) for result in every for t in result.tables]
        leads += dict.fromkeys(result.lead for result in every if result.lead)
        looked_at |= any(result.look_at for result in every)
    return Section(
        id=part.id,
        heading=part.heading,
        lead=" ".join(leads),
        models=list(models.values()),
        figures=figures,
        tables=merged(tables),
        show=DOUBTS[0] if looked_at else "",
        missing=missing,
    )


def _checked(measure: AnyMeasure, found: Found) -> list[Figure]:
    """The figure of predictions held against what came out."""
    checks = [(e, r.check) for e, r in found if r.check is not None]
    if not checks:
        return []
    first = checks[0][1]
    rows = [
        (e.name, *row)
        for e, check in checks
        for row in zip(check.words, check.predicted, check.observed, check.error, strict=True)
    ]
    return [
        Figure(
            id=f"{measure.name}-check",
            title=first.title,
            label=f"{first.title}, a point each",
            caption=first.caption,
            size="mid",
            plot=plots.predicted([(e.name, e.style, check) for e, check in checks]),
            data=Data(("model", "what", "predicted", "observed", "error"), rows),
        )
    ]


def _curves(found: Found) -> list[tuple[Entry, Curve]]:
    """Those that are more than one number."""
    return [(e, r.curve) for e, r in found if r.curve is not None and (len(r.curve.x) > 1 or r.curve.last > 1)]


def _less_the_base(measure: AnyMeasure, entries: Sequence[Entry], results: Results) -> Figure | None:
    """The figure of what a measure is less the base's."""
    if not isinstance(measure, Measure) or measure.against is None:
        return None
    found = [(e, r) for e, r in zip(entries, results.against[measure.name], strict=True) if r is not None]
    curves = _curves(found)
    title, against = f"{measure.title} less the base's", measure.against
    name = f"{measure.name}-difference"
    return _figure(name, title, against.caption, against.look, measure.unit, curves, moved=True) if curves else None


def _figure(
    name: str, title: str, caption: str, look: FigureLook, unit: Unit, curves: Sequence[tuple[Entry, Curve]],
    *, moved: bool = False,
) -> Figure:  # fmt: skip
    lines = [Line(e.name, e.style, curve) for e, curve in curves]
    first = curves[0][1]
    over = "tau" if first.OVER == "taus" else "k"
    besides = [curve.besides() for _, curve in curves]
    rows = [
        (line.name, *point, *more)
        for line, columns in zip(lines, besides, strict=True)
        for point, *more in zip(line.points(), *(column.tolist() for column in columns.values()), strict=True)
    ]
    return Figure(
        id=name.replace("_", "-").replace(".", "-"),
        title=title,
        label=look.label or title,
        caption=caption,
        size="" if look.wide else "mid",
        plot=_plot(lines, look.axis or title, unit, moved=moved),
        data=Data(("model", over, look.column, "low", "high", *besides[0]), rows),
    )


def _plot(lines: Sequence[Line], axis: str, unit: Unit, *, moved: bool) -> object:
    if isinstance(lines[0].curve, Cover):
        draw = plots.share_difference if moved else plots.over_share
        return draw(lines, "τ, share of right samples", axis)
    most = max(line.curve.last for line in lines)
    drawn = [line.curve.largest_k for line in lines if isinstance(line.curve, Extrapolation)]
    figure = plots.over_k(lines, most, axis, "+" * moved + FORMS[unit], measured=min(drawn, default=0))
    if moved:
        figure.add_hline(y=0, line={"color": "var(--series-0)", "width": 1.5})
    return figure


def _boxes(measure: AnyMeasure, boxes: Sequence[Boxes], entries: Sequence[Entry]) -> Iterator[Figure]:
    """A figure of quartiles each."""
    for i, one in enumerate(boxes):
        runs = [(entries[at], p) for at, p in one.runs]
        ends = [(p.lower_quartile, p.median, p.upper_quartile) for _, p in runs]
        yield Figure(
            id=f"{measure.name}-{i}",
            title=f"Under {one.title}",
            size="mid",
            rows=len(runs),
            label=one.label,
            caption=measure.caption,
            plot=plots.quartiles([e.style for e, _ in runs], [e.name for e, _ in runs], ends),
            data=Data(
                ("model", "judge", *QUARTILES),
                [(e.name, one.title, p.samples, *(getattr(p, name) for name in QUARTILES[1:])) for e, p in runs],
            ),
        )
