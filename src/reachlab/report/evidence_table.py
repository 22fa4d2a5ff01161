"""What `reachlab evidence` prints of a run: a table of quantities by k, and the remarks it has no room for."""

from collections.abc import Iterator, Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from reachlab.measures.chance_rate import Guess
from reachlab.measures.doubts import Doubts
from reachlab.measures.evidence import Evidence, Line

MOST_COLUMNS = 6


def print_evidence(evidence: Evidence, level: float, console: Console | None = None) -> None:
    """Print one run's evidence to the terminal."""
    console = console or Console()
    title = f"{evidence.name}: {evidence.problems:,} problems, {evidence.samples:,} samples"
    title += f", {evidence.unscored:,} unscored" if evidence.unscored else ""
    console.print(f"[bold]{escape(title)}[/bold]; shares in percent, {100 * level:g}% intervals", highlight=False)
    shares = {
        "pass@k": evidence.passing,
        "pass^k, all right": evidence.all_right,
        "CoT-pass@k": evidence.chain,
        "maj@k": evidence.votes,
        "best@k by log-probability": evidence.best_sum,
        "best@k, the same per token": evidence.best_mean,
        "luck@k": evidence.luck,
    }
    counts = {
        "distinct texts": evidence.distinct,
        "distinct right texts": evidence.distinct_correct,
        "answer entropy, nats": evidence.answer_entropy,
    }
    lines = {name: line for name, line in (shares | counts).items() if line is not None}
    ks = _shown(sorted({k for line in lines.values() for k in line.ks}))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    table.add_column("k", min_width=8, overflow="fold")
    for k in ks:
        table.add_column(f"{k:,}", justify="right")
    for name, line in lines.items():
        digits = 2 if line is evidence.answer_entropy else 1
        table.add_row(name, *(_cell(line, k, 100 if name in shares else 1, digits) for k in ks))
    console.print(table)
    for remark in _remarks(evidence):
        console.print(escape(remark), highlight=False)


def _shown(ks: Sequence[int]) -> list[int]:
    """As many of the values of k as a table has room for, evenly spaced, with the first and the last."""
    at = np.unique(np.linspace(0, len(ks) - 1, min(len(ks), MOST_COLUMNS)).round().astype(int))
    return [ks[i] for i in at]


def _cell(line: Line, k: int, times: int, digits: int) -> str:
    """A value, and its interval below it."""
    if k not in line.ks:
        return "–"
    i = line.ks.index(k)
    value, low, high = (f"{times * x:,.{digits}f}" for x in (line.values[i], line.low[i], line.high[i]))
    return value if low == high else f"{value}\n[dim]{low}–{high}[/dim]"


def _remarks(evidence: Evidence) -> Iterator[str]:
    """Copies and warnings, verdicts to look at, luck by answer space, and what is missing and why."""
    found = evidence.duplicates
    line = f"copies: {found.copies:,} of {found.samples:,} samples are equal to another of their problem"
    line += f", {found.long_copies:,} of them long" if found.long_copies else ""
    if (chance := found.chance) is not None:
        line += f"; {chance.pairs:,} equal pairs, {chance.expected:,.1f} ± {chance.deviation:,.1f} expected"
    yield line
    yield from (f"warning: {warning}" for warning in found.warnings)
    yield from _doubts(evidence.doubts)
    if evidence.votes_error is not None and evidence.votes_error.any():
        yield f"maj@k counts drawn subsets, which adds a standard error of {100 * evidence.votes_error.max():.2f}"
    if evidence.answers is not None and (silent := evidence.answers.silent):
        state = "1 sample states" if silent == 1 else f"{silent:,} samples state"
        yield f"{state} no final answer: one more answer of the entropy, no vote"
    if evidence.guess is not None and evidence.luck is not None:
        yield from _luck(evidence.guess, evidence.luck.ks[-1])
    yield from (why if name == "adaptive" else f"no {name}: {why}" for name, why in evidence.notes.items())


def _doubts(doubts: Doubts) -> Iterator[str]:
    """Verdicts to look at; that there are none is said too, where it is known."""
    if not doubts.cut:
        yield "right although cut at the limit: none"
    yield from doubts.lines()
    if doubts.kinds is not None and not doubts.contradictions:
        yield "verdicts that contradict the final answer: none"


def _luck(guess: Guess, k: int) -> Iterator[str]:
    """The guess rate of each answer space, and luck at the largest k, in words."""
    for group in guess.groups((k,)):
        problems = "1 problem" if group.problems == 1 else f"{group.problems:,} problems"
        line = f"luck, {group.label} ({problems}): {percent(group.rate)} of others' answers are right"
        line += f", pass@{k:,} {percent(group.luck_K[0])}" if k > 1 else ""
        if group.size is not None and group.uniform_K is not None:
            line += f"; uniform guessing {percent(1 / group.size)}"
            line += f", pass@{k:,} {percent(group.uniform_K[0])}" if k > 1 else ""
        yield line
    if (lost := int(guess.unscored_SP.sum())) or guess.left_out:
        yield f"luck: {lost:,} answers unscored, {guess.left_out:,} problems without another to judge by"


def percent(share: float) -> str:
    """A share in percent, small ones too."""
    return f"{100 * share:.3g}%"
