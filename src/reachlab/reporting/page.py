"""One self-contained HTML file: what the samples say, what was run, and nothing asked of the network.

Everything that users or models wrote is escaped, by jinja2 in the text and by `script_json` in the figures; samples
and tables lie in blocks of base64 (`blocks.py`), and the browser makes text of them; of an answer's Markdown and
formulas it makes elements one by one, of a short list of allowed ones (`rendering.js`), and never of HTML. Behind that
stands the page's content security policy: only its own scripts may run (named by hash), and nothing may be loaded.

What a reader sees first comes first in the file: verdicts and the first figure need no script. Plotly, the tables and
the samples follow, packed, and are opened when they are looked at.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from reachlab import __version__
from reachlab.boundary.comparison import Findings
from reachlab.measures.completions import QuestionMemory
from reachlab.measures.table import Table, cut
from reachlab.pairing import conditions
from reachlab.reporting import assets, memory_table, problem_browser, sentences
from reachlab.reporting.blocks import packed
from reachlab.reporting.changed_problems import changed_problems
from reachlab.reporting.content import Content, Served, plotly
from reachlab.reporting.entries import Entry, Runs, measure_entries, read_entries
from reachlab.reporting.figures import of_measures, of_samples, of_training
from reachlab.reporting.footnotes import footnotes
from reachlab.reporting.making import Extra
from reachlab.reporting.power_table import shortness
from reachlab.reporting.run_section import run_section
from reachlab.reporting.tables import against, fold_indices, summarise
from reachlab.reporting.titles import title_of
from reachlab.runs import write_atomically
from reachlab.storable import encoded

LISTED = 20_000
"""Most characters of one list of problems; the table of all problems has the rest."""


def write_report(
    comparison: Findings,
    runs: Sequence[Runs],
    out: str | Path,
    *,
    title: str = "",
    extra: Extra | None = None,
    remarks: Sequence[str] = (),
    notes: Sequence[str] = (),
    memories: Sequence[QuestionMemory] = (),
) -> Path:
    """Write the report of a comparison as one HTML file, and return its path.

    Args:
        comparison: of the models, in the order of `runs`.
        runs: the run folders of samples that `comparison.models` were measured on, one a model. Training
            curves are shown of those whose `facts.model_path` leads to a training run.
        out: the file to write; it appears whole or not at all.
        title: the page's heading; without one it names the models and the task.
        extra: more that was run, such as the time of every stage, and the command that writes this page.
        remarks: what a study concludes, in sentences; they come before everything else.
        notes: what is to be known of how problems were matched; they stand below the verdicts.
        memories: how the models complete questions; they stand beside the verdicts.

    Raises:
        ReachlabError: runs and models do not match, a run cannot be read, or the file cannot be written.
    """
    content = compose(
        comparison, runs, title=title, extra=extra or Extra(), remarks=remarks, notes=notes, memories=memories
    )
    write_atomically(Path(out), encoded(content.html))
    return Path(out)


def compose(
    comparison: Findings,
    runs: Sequence[Runs],
    *,
    title: str,
    extra: Extra,
    remarks: Sequence[str],
    notes: Sequence[str],
    memories: Sequence[QuestionMemory],
    served: Served | None = None,
) -> Content:
    """The page, as a file holds it or as a server shows it; arguments as of `write_report`.

    Raises:
        ReachlabError: as of `write_report`.
    """
    entries = read_entries(comparison, runs)
    figures = of_samples.of_samples(comparison, entries)
    results = measure_entries(comparison, entries)
    doubtful = [run.look_at for run in results.runs]
    learners = [*entries, *(served.trainings if served else ())]
    sections = [*of_measures.sections(entries, results), *of_training.sections(learners)]
    every = [*figures.values(), *(figure for section in sections for figure in section.figures)]
    summary = summarise(comparison)
    rows = {row.name: row for row in summary.rows}
    shelf = (problem_browser.listing if served else problem_browser.shelve)(entries, doubtful)
    shell, scripts = assets.read(assets.SHELL), assets.scripts(assets.served() if served else assets.SCRIPTS)
    blocks = {
        "plotly": plotly(),
        "rendering": packed(assets.rendering()),
        "data": packed(json.dumps({figure.id: figure.data.csv() for figure in every})),
        "index": shelf.index,
        **{f"pictures-{p}": block for p, block in shelf.pictures.items()},
        **{f"chunk-{at}": block for at, block in enumerate(shelf.chunks)},
    }
    html = assets.template("page.html").render(
        css=assets.css(),
        policy=assets.policy([shell, *scripts, get_plotlyjs(), assets.rendering()], fetches=served is not None),
        shell=shell,
        scripts=scripts,
        blocks={} if served else blocks,
        served=served,
        plots=script_json({figure.id: figure.plot for figure in every}),
        version=__version__,
        written=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        title=title or title_of(entries),
        remarks=remarks,
        others_said=[f"{pair.name} against {pair.base} is {against(pair)}" for pair in comparison.others],
        notes=[*notes, *footnotes(comparison), *shortness(comparison, {e.name: e.outcomes for e in entries})],
        conditions=_conditions(entries),
        memories=memory_table.tabulate(memories),
        meaning=memory_table.meaning(memories),
        comparison=comparison,
        sentences=sentences,
        models=entries,
        others=[e for e in entries if e.pair],
        columns=summary.columns,
        rows=[(e, rows[e.name]) for e in entries],
        coverage=[(e, _coverage(e)) for e in entries if e.pair],
        lists=[(e, _lists(e, sentences.below(comparison))) for e in entries],
        figures=figures,
        sections=sections,
        shelf=shelf,
        doubtful=any(doubtful),
        sure=any(e.pair.coverage.surely_gained is not None for e in entries if e.pair),
        ran=run_section(entries, extra),
        changed=changed_problems(entries),
    )
    return Content(html=html, blocks=blocks, entries=entries, doubtful=doubtful)


def script_json(drawn: Mapping[str, Any]) -> str:
    """Figures as one JSON object that is safe inside a script element: no ``<`` that could end it."""
    text = "{" + ",".join(f'"{name}":{figure.to_json()}' for name, figure in drawn.items()) + "}"
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _coverage(entry: Entry) -> list[tuple[str, int, int]]:
    """The four sets, their sizes and in how many of each the test tells the models apart, in an order that keeps what
    each of the two models solved in one piece."""
    assert entry.pair is not None
    sets = entry.pair.coverage
    return [
        (kind, len(getattr(sets, kind)), len(getattr(sets, f"surely_{kind}", None) or ()))
        for kind in ("lost", "both", "gained", "neither")
    ]


def _lists(entry: Entry, below: str) -> list[tuple[str, int, str, str]]:
    """Lists of problems: name, how many, the ids, and which problems the browser shows for it."""
    lists: list[tuple[str, tuple[str, ...] | None, str]] = [("solved", entry.model.solved, "")]
    if entry.pair:
        sets = entry.pair.coverage
        lists += [
            ("gained", sets.gained, "gained"),
            (f"gained with {below}", sets.surely_gained, "surely-gained"),
            ("lost", sets.lost, "lost"),
            (f"lost with {below}", sets.surely_lost, "surely-lost"),
        ]
    return [(name, len(ids), cut(fold_indices(ids), LISTED), show) for name, ids, show in lists if ids is not None]


def _conditions(entries: Sequence[Entry]) -> Table | None:
    """What differs between the runs, and is not the model."""
    names = [e.name for e in entries]
    found = conditions.conditions([e.store for e in entries], names)
    rows = ((one.what, tuple(one.values[name] or conditions.NOT_KNOWN for name in names)) for one in found)
    return Table(conditions.HEADING, tuple(names), tuple(rows)) if found else None
