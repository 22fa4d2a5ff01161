"""The columns in which a run keeps how likely its answers are under other models, and the matrix they make.

A judge called NAME has three columns: `logprob:NAME`, Σ log P of an answer's tokens in nats at temperature 1, and
`tokens:NAME`, how many tokens the judge's tokenizer makes of it. No `tokens`: not scored yet. No `logprob` beside it:
the judge cannot score this answer. `retokenised:NAME` says whether these tokens are others than were drawn, where the
run says which those were. Which model a judge is stands in the columns' metadata, as `model` (its hash) and
`dtype`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from shlex import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from reachlab.boundary.bootstrap import Weights, resampling_weights
from reachlab.boundary.perplexity import JudgedAnswers, Perplexity, PerplexityMatrix, perplexity
from reachlab.errors import ReachlabError
from reachlab.measures.measure import Boxes, Computed, JointMeasure, Missing, PagePart, Result
from reachlab.measures.measured_run import MeasuredRun
from reachlab.measures.table import Table
from reachlab.store.columns import verdicts
from reachlab.store.samples import SampleStore

LOGPROB, TOKENS, RETOKENISED = "logprob:", "tokens:", "retokenised:"

READING = (
    "1 is no surprise. Where the answers of a model after RL have a low perplexity under its base, the base could have "
    "given them itself."
)
CELL = (
    "Over all tokens of the answers, with its interval over problems; in brackets, of the median answer. A dash: not "
    "scored yet, or nothing to score."
)
"""What a cell of the page's table holds."""
NOTE_OTHER_TOKENS = "The judges cut answers into different tokens: compare along a column, not along a row."

Identity = Mapping[str, str]
"""What a judge is: `model` and `dtype`."""


def judges_of(store: SampleStore) -> dict[str, Identity]:
    """The judges that have scored samples of a run, in name order.

    Raises:
        ReachlabError: parts that were scored by different models under one name.
    """
    found: dict[str, Identity] = {}
    for part in store.parts():
        schema = store.schema(part)
        for field in schema:
            if field.name.startswith(LOGPROB) and field.name.replace(LOGPROB, TOKENS, 1) in schema.names:
                name = field.name.removeprefix(LOGPROB)
                identity = {
                    k.decode(): v.decode() for k, v in (field.metadata or {}).items() if k in (b"model", b"dtype")
                }
                if found.setdefault(name, identity) != identity:
                    raise ReachlabError(
                        f"{part}: judge {name!r} is another model here than in other parts of the run; "
                        f"delete the columns {LOGPROB}{name} and {TOKENS}{name} from one of them"
                    )
    return dict(sorted(found.items()))


@dataclass(frozen=True, eq=False)
class _Answers:
    """Those of one writer's answers that one judge has scored."""

    problem_N: NDArray[np.int64]
    logprob_N: NDArray[np.float64]
    tokens_N: NDArray[np.int64]
    correct_N: NDArray[np.bool_]
    impossible: int


def read_perplexities(
    stores: Sequence[SampleStore], *, resamples: int = 10_000, level: float = 0.95, seed: int = 0
) -> PerplexityMatrix:
    """Every judge that has scored any of these runs, against every run as a writer.

    Args:
        stores: the writers, in the order of the matrix.
        resamples: of the problems, for the intervals.
        level: share of the resamples inside each interval.
        seed: of the resamples.

    Raises:
        ReachlabError: nothing has been scored, or a judge that is another model in another run.
    """
    writers = [store.folder.name for store in stores]
    if len(set(writers)) < len(writers):
        # Folders of one name in different places: the places tell them apart.
        writers = [store.folder.url.rstrip("/") for store in stores]
    known: dict[str, tuple[Identity, str]] = {}
    cells: dict[tuple[str, str], JudgedAnswers] = {}
    same_tokens = True

    @lru_cache(maxsize=4)
    def weights(problems: int) -> Weights:
        return resampling_weights(problems, resamples, seed)

    def measure(answers: _Answers, chosen_N: NDArray[np.bool_]) -> Perplexity | None:
        if not chosen_N.any():
            return None
        ids, problem_N = np.unique(answers.problem_N[chosen_N], return_inverse=True)
        return perplexity(problem_N, answers.logprob_N[chosen_N], answers.tokens_N[chosen_N], weights(len(ids)), level)

    for writer, store in zip(writers, stores, strict=True):
        judges = judges_of(store)
        for judge, identity in judges.items():
            before, where = known.setdefault(judge, (identity, store.folder.url))
            if before != identity:
                raise ReachlabError(
                    f"judge {judge!r} is one model in {where} and another in {store.folder.url}; "
                    "score one of them again with another --name"
                )
        if not judges:
            continue
        model = writer_of(store)
        table, problem_N = store.numbered(
            ["verdict", *(f"{kind}{judge}" for judge in judges for kind in (LOGPROB, TOKENS))]
        )
        correct_N, _, _ = verdicts(table)
        tokens = [table[f"{TOKENS}{judge}"] for judge in judges]
        same_tokens &= not any(pc.any(pc.not_equal(tokens[0], other)).as_py() for other in tokens[1:])
        for judge in judges:
            answers = _answers(table, judge, problem_N, correct_N)
            cells[judge, writer] = JudgedAnswers(
                own=judges[judge].get("model") == model,
                samples=len(table),
                impossible=answers.impossible,
                all=measure(answers, np.ones(len(answers.problem_N), bool)),
                correct=measure(answers, answers.correct_N),
            )
    if not known:
        names = ", ".join(store.folder.url for store in stores)
        raise ReachlabError(f"{names}: not scored by any model; `reachlab score RUN --model JUDGE` does it")
    return PerplexityMatrix(
        judges=tuple(known),
        writers=tuple(writers),
        cells=cells,
        same_tokens=same_tokens,
        resamples=resamples,
        level=level,
        seed=seed,
    )


def writer_of(store: SampleStore) -> str | None:
    """The hash of the model that wrote a run's samples; None where they were imported, or where nobody says."""
    if not store.folder.exists("run.json"):
        return None
    model = store.folder.read_json("run.json").get("config", {}).get("model")
    return model if isinstance(model, str) else None


def perplexity_rows(matrix: PerplexityMatrix, correct: bool = False) -> list[dict[str, str]]:
    """The matrix as a table, of all answers or of the right ones: a row a writer, a column a judge.

    A cell reads: over all tokens (with its interval) [of the median answer].
    """
    rows = []
    for writer in matrix.writers:
        row = {"answers of": writer}
        for judge in matrix.judges:
            cell = matrix.cell(judge, writer)
            row[f"under {judge}"] = "–" if cell is None else _words(cell.correct if correct else cell.all)
        rows.append(row)
    return rows


def _words(found: Perplexity | None) -> str:
    if found is None:
        return "–"
    interval = f" ({_short(found.low)}–{_short(found.high)})" if found.low == found.low else ""  # one problem has none
    return f"{_short(found.corpus)}{interval} [{_short(found.median)}]"


def _short(value: float) -> str:
    """Four digits."""
    return f"{value:.3f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:.2g}"


def _answers(table: pa.Table, judge: str, problem_N: NDArray[np.int64], correct_N: NDArray[np.bool_]) -> _Answers:
    logprob, tokens = table[f"{LOGPROB}{judge}"], table[f"{TOKENS}{judge}"]
    scored_N = pc.is_valid(logprob).to_numpy()
    return _Answers(
        problem_N=problem_N[scored_N],
        logprob_N=logprob.drop_null().to_numpy().astype(np.float64),
        tokens_N=tokens.filter(pc.is_valid(logprob)).to_numpy().astype(np.int64),
        correct_N=correct_N[scored_N],
        impossible=len(table) - tokens.null_count - int(scored_N.sum()),
    )


def _surprise(runs: Sequence[MeasuredRun]) -> Computed:
    """The matrix of all runs: a figure a judge, and two tables."""
    stores = [run.store for run in runs]
    why = _unscored(runs)
    if not any(map(judges_of, stores)):
        return Missing(why)
    settings = runs[0].intervals
    matrix = read_perplexities(stores, resamples=settings.resamples, level=settings.level, seed=settings.seed)
    boxes = []
    for judge in matrix.judges:
        cells = [matrix.cell(judge, writer) for writer in matrix.writers]
        of_judge = tuple((i, cell.all) for i, cell in enumerate(cells) if cell is not None and cell.all is not None)
        label = f"Quartiles of the perplexity of every model's answers under {judge}"
        if of_judge:
            boxes.append(Boxes(judge, label, of_judge))
    tables = []
    for correct, caption in ((False, "Perplexity of all answers"), (True, "Perplexity of right answers")):
        rows = perplexity_rows(matrix, correct)
        head = tuple(rows[0])[1:]
        own = tuple((run.name, tuple(row[h] for h in head)) for run, row in zip(runs, rows, strict=True))
        tables.append(Table(caption, head, own, first="answers of", note=CELL))
    return Result(
        tables=tuple(tables),
        boxes=tuple(boxes),
        document=matrix.to_dict(),
        notes={"perplexity": why} if why else {},
        lead="" if matrix.same_tokens else NOTE_OTHER_TOKENS,
    )


def _unscored(runs: Sequence[MeasuredRun]) -> str:
    """Which answers no judge has scored yet, and the command that scores them; nothing where all have been.

    Where nobody has scored anything the base is the judge to begin with, if it is known where it lies.
    """
    judges = [judges_of(run.store) for run in runs]
    known: dict[str, Identity] = {name: identity for found in judges for name, identity in found.items()}
    if not known:
        model = _lies_at(runs, writer_of(runs[0].store)) or "MODEL"
        folders = " ".join(quote(run.store.folder.url) for run in runs)
        return (
            f"no answers are scored; `reachlab score {folders} --model {quote(model)}` scores them under {runs[0].name}"
        )
    said = []
    for name, identity in known.items():
        lacking = [run for run, found in zip(runs, judges, strict=True) if name not in found]
        if lacking:
            folders = " ".join(quote(run.store.folder.url) for run in lacking)
            model = _lies_at(runs, identity.get("model")) or f"MODEL-OF-{name}"
            command = f"reachlab score {folders} --model {quote(model)} --name {quote(name)}"
            command += f" --dtype {quote(identity['dtype'])}" if identity.get("dtype", "float32") != "float32" else ""
            said.append(f"{', '.join(run.name for run in lacking)} under {name}: `{command}`")
    return f"not scored yet: {'; '.join(said)}" if said else ""


def _lies_at(runs: Sequence[MeasuredRun], model: str | None) -> str:
    """The checkpoint of a model that wrote one of these runs; empty where none says."""
    for run in runs:
        if model and writer_of(run.store) == model:
            facts = run.store.folder.read_json("run.json").get("facts")
            if not isinstance(facts, dict) or "live" in facts:  # what was drawn from in its training lies nowhere
                return ""
            found = facts.get("model_path")
            return found if isinstance(found, str) else ""
    return ""


SURPRISE = JointMeasure(
    name="perplexity",
    title="Perplexity",
    caption="How surprising one model's answers are to another: the number of equally likely tokens that it would have "
    "hesitated between, median and quartiles over answers.",
    source="arXiv 2504.13837",
    compute=_surprise,
    unit="count",
    part=PagePart(
        id="perplexity",
        heading="Could the other have said it?",
        lead=f"Perplexity of one model's answers under another. {READING}",
    ),
)
