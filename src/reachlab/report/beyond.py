"""The sections of the page beyond pass@k, each a function of the findings; what no run has data for is left out."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from reachlab.boundary.perplexity import Perplexity
from reachlab.measures.contradictions import KINDS, Kind
from reachlab.measures.evidence import Evidence
from reachlab.measures.evidence import Line as Curve
from reachlab.measures.perplexities import NOTE_OTHER_TOKENS, READING, perplexity_rows
from reachlab.report import figures
from reachlab.report.answers import of_answers
from reachlab.report.data import Data
from reachlab.report.entries import Entry
from reachlab.report.figures import Line
from reachlab.report.findings import Findings
from reachlab.report.gallery import Picture, Section
from reachlab.report.settings import Settings
from reachlab.report.support import COLUMNS, HOW_TO_READ, support_rows
from reachlab.report.texts import cut
from reachlab.report.words import DOUBTS

K_COLUMNS = ("model", "k", "value", "low", "high")


def sections(entries: Sequence[Entry], findings: Findings) -> list[Section]:
    """The sections that these runs have data for, in order."""
    made = (
        of_support,
        of_extrapolation,
        of_cover,
        of_evidence,
        of_answers,
        of_luck,
        of_copies,
        of_doubts,
        of_perplexity,
    )
    return [section for make in made if (section := make(entries, findings))]


def of_support(entries: Sequence[Entry], findings: Findings) -> Section | None:
    """Problems kept, grown and shrunk."""
    found = [support for support in findings.supports if support is not None]
    if not found:
        return None
    table = Settings("Against the base", COLUMNS, tuple(support_rows(found)))
    return Section(
        id="support", heading="Kept, grown, shrunk", lead=HOW_TO_READ, models=[], pictures=[], tables=[table]
    )


def of_extrapolation(entries: Sequence[Entry], findings: Findings) -> Section | None:
    """pass@k beyond the samples, with the back-test in words and numbers."""
    found = [(e, x) for e, x in zip(entries, findings.extrapolations, strict=True) if x]
    if not found:
        return None
    lines = [Line(name=e.name, style=e.style, x=x.ks, y=x.values, low=x.low, high=x.high) for e, x in found]
    most, measured = max(int(x.ks[-1]) for _, x in found), min(x.largest_k for _, x in found)
    rows = [
        (e.name, k, *point, bool(k > x.largest_k), bool(k <= x.trusted_to))
        for e, x in found
        for k, *point in zip(x.ks, x.values, x.low, x.high, strict=True)
    ]
    tests = tuple(
        (e.name, (f"{test.samples:,}", f"{k:,}", f"{p:.1%}", f"{o:.1%}", f"{100 * error:.1f} points"))
        for e, x in found
        for test in x.back_tests
        for k, p, o, error in zip(test.ks, test.predicted, test.observed, test.error, strict=True)
    )
    words = tuple((e.name, (x.words,)) for e, x in found)
    tables = [Settings("How far to believe it", (), words)]
    if tests:
        head = ("from samples", "to k", "predicted", "observed", "error")
        tables.append(Settings("Back-test: a part of the samples, extrapolated to all of them", head, tests))
    picture = Picture(
        id="extrapolation",
        title="pass@k, drawn on",
        label="pass@k of every model up to 16 times the samples drawn, with intervals",
        caption="Shaded: beyond the samples drawn, where a fitted distribution of success probabilities goes on.",
        figure=figures.over_k(lines, most, "pass@k", measured=measured),
        data=Data((*K_COLUMNS, "extrapolated", "trusted"), rows),
    )
    lead = "What more samples would show: zero-inflated beta-binomials fitted to the counts, and how far off they were."
    return Section(
        id="extrapolation", heading="Beyond the samples", lead=lead, models=[e for e, _ in found],
        pictures=[picture], tables=tables,
    )  # fmt: skip


def of_cover(entries: Sequence[Entry], findings: Findings) -> Section | None:
    """How many problems a model solves how reliably."""
    found = [(e, x) for e, x in zip(entries, findings.covers, strict=True) if x]
    if not found:
        return None
    lines = [Line(name=e.name, style=e.style, x=x.taus, y=x.measured, low=x.low, high=x.high) for e, x in found]
    rows = [
        (e.name, *point) for e, x in found for point in zip(x.taus, x.measured, x.low, x.high, x.smoothed, strict=True)
    ]
    picture = Picture(
        id="cover",
        title="Cover@τ",
        label="Share of problems that each model solves at least as often as τ, over τ",
        caption="Share of problems that are right in at least a share τ of the samples, with intervals. At small τ it "
        "counts what can be guessed, at large τ what is mastered.",
        figure=figures.over_share(lines, "τ, share of right samples", "Cover@τ"),
        data=Data(("model", "tau", "cover", "low", "high", "smoothed"), rows),
    )
    pictures = [picture]
    moved = [(e, x) for e, x in zip(entries, findings.cover_differences, strict=True) if x]
    if moved:
        apart = [Line(name=e.name, style=e.style, x=x.taus, y=x.measured, low=x.low, high=x.high) for e, x in moved]
        pictures.append(
            Picture(
                id="cover-difference",
                title="Cover@τ less the base's",
                label="Difference in Cover@τ between each model and the base, over τ",
                caption="In percentage points, paired on the same problems, with intervals.",
                figure=figures.share_difference(apart, "τ, share of right samples", "difference, points"),
                data=Data(
                    ("model", "tau", "difference", "low", "high", "smoothed"),
                    [
                        (e.name, *point)
                        for e, x in moved
                        for point in zip(x.taus, x.measured, x.low, x.high, x.smoothed, strict=True)
                    ],
                ),
            )
        )
    lead = (
        "Breadth at every depth: a model that is surer of fewer problems is above at the right and below at the left."
    )
    return Section(
        id="cover", heading="How reliably", lead=lead, models=[e for e, _ in found], pictures=pictures, tables=[]
    )


QUANTITIES: tuple[tuple[str, str, Callable[[Evidence], Curve | None], str, str], ...] = (
    (
        "chain", "Whole chain right", lambda e: e.chain,
        "CoT-pass@k: a sample counts only if every step of it holds. What pass@k has on top of it is luck.", ".1%",
    ),
    (
        "all", "All of k right", lambda e: e.all_right,
        "pass^k: the chance that all of k samples are right. What a user who asks k times can rely on.", ".1%",
    ),
    (
        "votes", "Majority vote", lambda e: e.votes,
        "maj@k: the answer that most of k samples come to, right in this share of problems.", ".1%",
    ),
    (
        "best", "Best of k by log-probability", lambda e: e.best_mean,
        "best@k: of k samples the one that its model finds likeliest, per token.", ".1%",
    ),
    (
        "distinct", "Distinct right texts", lambda e: e.distinct_correct,
        "How many different right texts k samples of a problem hold, in the mean.", ".3g",
    ),
)  # fmt: skip
"""Name, title, where it lies, how to read it, and how its numbers are written."""


def of_evidence(entries: Sequence[Entry], findings: Findings) -> Section | None:
    """Chains, votes, the best of k, distinct solutions: a figure each, where some run has the data."""
    pictures, models = [], list[Entry]()
    for name, title, get, caption, form in QUANTITIES:
        lines = [(e, get(evidence)) for e, evidence in zip(entries, findings.evidence, strict=True)]
        found = [(e, line) for e, line in lines if line is not None and line.ks[-1] > 1]
        if not found:
            continue
        models += [e for e, _ in found if e not in models]
        pictures.append(_over_k(f"evidence-{name}", title, caption, found, form))
    if not pictures:
        return None
    lead = "What else the same samples say; the models that have the data."
    return Section(id="evidence", heading="Beside pass@k", lead=lead, models=models, pictures=pictures, tables=[])


def of_luck(entries: Sequence[Entry], findings: Findings) -> Section | None:
    """What the same answers would have got by luck, by the size of the answer space."""
    found = [(e, x) for e, x in zip(entries, findings.evidence, strict=True) if x.guess is not None]
    lines = [(e, x.luck) for e, x in found if x.luck is not None]
    if not lines:
        return None
    rows = []
    for e, x in found:
        assert x.guess is not None
        for group in x.guess.groups(x.luck.ks if x.luck else ()):
            uniform = "–" if group.uniform_K is None else f"{group.uniform_K[-1]:.1%}"
            most = f"{x.luck.ks[-1]:,}" if x.luck else "–"
            cells = (f"{group.problems:,}", f"{group.rate:.2%}", most, f"{group.luck_K[-1]:.1%}", uniform)
            rows.append((f"{e.name}: {group.label}", cells))
    caption = "The run's own answers, judged against other problems' gold answers: what pass@k a model gets by luck."
    head = ("problems", "right by luck", "k", "luck@k", "a uniform guesser's pass@k")
    return Section(
        id="luck", heading="Luck", models=[e for e, _ in lines],
        lead="At large k a small answer space can be exhausted by guessing. This is how much of pass@k that could be.",
        pictures=[_over_k("luck", "luck@k", caption, lines, ".1%")],
        tables=[Settings("By the answer space of the gold answer", head, tuple(rows))],
    )  # fmt: skip


def of_copies(entries: Sequence[Entry], findings: Findings) -> Section | None:
    """Whether samples are what they should be: independent draws."""
    rows = []
    for e, evidence in zip(entries, findings.evidence, strict=True):
        found = evidence.duplicates
        seeds = "–" if found.same_seed is None else f"{found.same_seed:,}"
        counts = (f"{found.samples:,}", f"{found.copies / max(1, found.samples):.1%}", f"{found.long_copies:,}", seeds)
        rows.append((e.name, (*counts, " ".join(found.warnings) or "nothing unusual")))
    head = ("samples", "equal to an earlier one", "long ones among these", "with an earlier one's seed", "remark")
    return Section(
        id="copies", heading="Equal samples", models=[], pictures=[], tables=[Settings("Copies", head, tuple(rows))],
        lead="Samples have to be independent draws, or every interval is too narrow. Short answers repeat by chance; "
        "long ones, or equal seeds, do not.",
    )  # fmt: skip


def of_doubts(entries: Sequence[Entry], findings: Findings) -> Section:
    """Verdicts that a person should look at: how many of each kind, and some of them."""
    counts, named = [], []
    for e, evidence in zip(entries, findings.evidence, strict=True):
        found = evidence.doubts
        against = ["–"] * len(KINDS) if found.kinds is None else [_or_none(found.kinds[kind]) for kind in KINDS]
        counts.append((e.name, (_or_none(found.cut), *against, evidence.notes.get("gold", ""))))
        named += [
            (
                f"{e.name}: problem {doubt.problem_id}, sample {doubt.sample}",
                (doubt.verdict, cut(doubt.final_answer or "–", 100), cut(doubt.gold or "–", 100), _why(doubt.kind)),
            )
            for doubt in found.named
        ]
    head = ("right although cut at the limit", *(_why(kind) for kind in KINDS), "remark")
    tables = [Settings("Samples by model", head, tuple(counts))]
    if named:
        tables.append(Settings("Such as", ("verdict", "final answer", "gold answer", "why"), tuple(named)))
    return Section(
        id="doubts", heading="Verdicts to look at", models=[], pictures=[], tables=tables,
        lead="A right answer in a text that was cut was found in unfinished work. A verdict that contradicts the final "
        "answer is a fault of the verifier, or of the reading that a vote counts.",
        show=DOUBTS[0] if any(evidence.doubts.first for evidence in findings.evidence) else "",
    )  # fmt: skip


def _or_none(count: int) -> str:
    return f"{count:,}" if count else "none"


def _why(kind: Kind | None) -> str:
    if kind is None:
        return "right although cut"
    return {
        "silent": "right without a final answer",
        "gold": "wrong with the gold answer",
        "number": "right with another number than the gold answer",
        "split": "unlike most with the same final answer",
    }[kind]


def of_perplexity(entries: Sequence[Entry], findings: Findings) -> Section | None:
    """Every writer under every judge: the matrix, and a figure a judge."""
    matrix = findings.perplexities
    if matrix is None:
        return None
    pictures = []
    for i, judge in enumerate(matrix.judges):
        cells = [
            (e, cell.all)
            for e, writer in zip(entries, matrix.writers, strict=True)
            if (cell := matrix.cell(judge, writer)) and cell.all
        ]
        if not cells:
            continue
        boxes = [(p.lower_quartile, p.median, p.upper_quartile) for _, p in cells]
        pictures.append(
            Picture(
                id=f"perplexity-{i}",
                title=f"Under {judge}",
                size="mid",
                rows=len(cells),
                label=f"Quartiles of the perplexity of every model's answers under {judge}",
                caption="Median and quartiles over answers.",
                figure=figures.quartiles([e.style for e, _ in cells], [e.name for e, _ in cells], boxes),
                data=Data(("model", "judge", *_STATISTICS), list(_perplexities(judge, cells))),
            )
        )
    tables = []
    for correct, caption in ((False, "Perplexity of all answers"), (True, "Perplexity of right answers")):
        rows = perplexity_rows(matrix, correct)
        head = tuple(rows[0])[1:]
        tables.append(Settings(caption, head, tuple((row["answers of"], tuple(row[h] for h in head)) for row in rows)))
    note = "" if matrix.same_tokens else f" {NOTE_OTHER_TOKENS}"
    return Section(
        id="perplexity", heading="Could the other have said it?", models=[], pictures=pictures, tables=tables,
        lead=f"Perplexity of one model's answers under another. {READING}{note}",
    )  # fmt: skip


_STATISTICS = ("answers", "median", "lower_quartile", "upper_quartile", "mean", "corpus", "low", "high")


def _perplexities(judge: str, cells: Sequence[tuple[Entry, Perplexity]]) -> Iterator[tuple[object, ...]]:
    for e, p in cells:
        yield (
            e.name, judge, p.samples, p.median, p.lower_quartile, p.upper_quartile, p.mean, p.corpus, p.low, p.high,
        )  # fmt: skip


def _over_k(name: str, title: str, caption: str, found: Sequence[tuple[Entry, Curve]], form: str) -> Picture:
    lines = [
        Line(name=e.name, style=e.style, x=np.array(line.ks), y=line.values, low=line.low, high=line.high)
        for e, line in found
    ]
    rows = [
        (e.name, *point) for e, line in found for point in zip(line.ks, line.values, line.low, line.high, strict=True)
    ]
    most = max(line.ks[-1] for _, line in found)
    return Picture(
        id=name, title=title, label=title, caption=caption, size="mid",
        figure=figures.over_k(lines, most, title, form), data=Data(K_COLUMNS, rows),
    )  # fmt: skip
