"""Reach or memory? How the compared models complete questions that they see a part of: a table beside the verdicts.

A model that goes on with a question word for word was trained on it (arXiv 2507.10532), and what it then reaches may be
memory. The runs are those of `reachlab sample --prefix`; each is of a compared model, found by its weights or named. A
run may ask more than what is compared, or other questions altogether, written after the models were trained: these
stand in a row of their own, as what a model completes that it cannot have seen.
"""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reachlab.errors import ReachlabError
from reachlab.measures.completions import QuestionMemory, one_line, read_completions
from reachlab.reporting.tables import Cell, Summary, SummaryRow, percent
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.tasks.registry import bare_task

COLUMNS = ("questions", "shown", "exact completions", "ROUGE-L", "right answers", "words left")
SEEN = (
    "A model that completes questions word for word has seen them, unless so few words are left that they can be "
    "guessed. Where {who} does so on the compared questions, what looks like reach, wider or sharper, may be memory."
)
UNSEEN = (
    "No compared question was completed word for word, which is no sign of memory; translations, paraphrases and "
    "solutions without their questions would leave none."
)
ELSEWHERE = "None of these questions is compared, so they say nothing of these verdicts."


def read_memories(
    runs: Sequence[str], models: Sequence[tuple[str, Sequence[SampleStore]]], problem_ids: Sequence[str], level: float
) -> list[QuestionMemory]:
    """The rows: of each run the compared questions, then the others.

    Args:
        runs: folders of runs that asked for the rest of questions, each of a model that has its weights, or as
            NAME=FOLDER.
        models: names of the compared models and their runs of answers, the base first.
        problem_ids: of the problems that are compared.
        level: of the intervals.

    Raises:
        ReachlabError: another kind of run, or one whose model is not compared.
    """
    if not runs:
        return []
    among = _questions(models[0][1][0], problem_ids)
    rows: list[tuple[int, QuestionMemory]] = []
    for run in runs:
        name, folder = _named(run, [name for name, _ in models])
        found = read_completions(SampleStore(RunFolder(folder)))
        whose = [i for i, (model, _) in enumerate(models) if model == name] if name else _of(found.weights, models)
        if not whose:
            names = ", ".join(model for model, _ in models)
            raise ReachlabError(
                f"{folder}: its model is none of those compared ({names}); where it is, say which: --memory "
                f"{models[0][0]}={folder}"
            )
        label = ", ".join(models[i][0] for i in whose)
        both = (found.memory(label, among, compared=compared, level=level) for compared in (True, False))
        rows += [(whose[0], memory) for memory in both if memory is not None]
    return [memory for _, memory in sorted(rows, key=lambda row: row[0])]


def _named(run: str, names: Sequence[str]) -> tuple[str, str]:
    """A model's name and a folder from NAME=FOLDER; no name where none stands before it."""
    name, mark, folder = run.partition("=")
    return (name, folder) if mark and name in names else ("", run)


def _of(weights: str, models: Sequence[tuple[str, Sequence[SampleStore]]]) -> list[int]:
    """Which of the compared models have these weights, in one of their runs."""

    def own(store: SampleStore) -> str:
        config = store.folder.read_json("run.json").get("config")
        return str(config.get("model") or "") if isinstance(config, dict) else ""

    return [i for i, (_, stores) in enumerate(models) if weights and weights in map(own, stores)]


def _questions(store: SampleStore, problem_ids: Sequence[str]) -> frozenset[str]:
    """The questions that are compared, as a run of answers to them has them."""
    task, wanted = bare_task(store.spec() or "logged"), set(problem_ids)
    return frozenset(one_line(task.question(p)) for p in store.problems() if p.id in wanted)


def tabulate(memories: Sequence[QuestionMemory]) -> Summary:
    """One row each, for the page and the terminal."""
    rows = []
    several = {m.model for m in memories for other in memories if m.model == other.model and m.run != other.run}
    for m in memories:
        kind = "compared" if m.compared else "others"
        missing = f"{m.missing:,} without a completion" if m.missing else ""
        share = percent(m.exact / m.questions) if m.questions else "–"
        cells = (
            Cell(f"{m.questions:,} {kind}", missing),
            Cell(f"{100 * m.share:g}%"),
            Cell(f"{m.exact:,} = {share}", f"{100 * m.low:.1f}–{100 * m.high:.1f}"),
            Cell("–" if m.rouge_l is None else f"{m.rouge_l:.2f}"),
            Cell(f"{m.right:,} of {m.answers:,}" if m.answers else "–"),
            Cell(f"{m.words:g}"),
        )
        rows.append(SummaryRow(f"{m.model} ({m.run})" if m.model in several else m.model, cells))
    return Summary(COLUMNS, tuple(rows))


def meaning(memories: Sequence[QuestionMemory]) -> str:
    """What the table says of the verdicts."""
    compared = [m for m in memories if m.compared]
    if not compared:
        return ELSEWHERE
    seen = list(dict.fromkeys(m.model for m in compared if m.exact))
    return SEEN.format(who=" or ".join(seen)) if seen else UNSEEN


def print_memories(memories: Sequence[QuestionMemory], console: Console | None = None) -> None:
    """Print the table and what it means; nothing where there are none."""
    if not memories:
        return
    console = console or Console()
    summary = tabulate(memories)
    console.print("\nReach or memory? The rest of questions of which a part was shown", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    table.add_column("model", min_width=8, overflow="fold")
    for column in summary.columns:
        table.add_column(column, justify="right", overflow="fold")
    for row in summary.rows:
        cells = (f"{c.text}\n[dim]{escape(c.interval)}[/dim]" if c.interval else c.text for c in row.cells)
        table.add_row(escape(row.name), *cells)
    console.print(table)
    console.print(escape(meaning(memories)), highlight=False, soft_wrap=True)
