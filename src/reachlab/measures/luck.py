"""luck@k: pass@k of the run's own answers, judged against other problems' gold answers (`boundary/chance.py`).

What `reachlab chance` has counted (`chance_rate.py`) as a curve, and by the size of the answer space beside the pass@k
of uniform guessing. The quantity is ours; that large k exhausts small answer spaces is said of pass@k since Chen et al.
2021 (arXiv 2107.03374).
"""

from collections.abc import Iterator

from reachlab.measures.chance_rate import ChanceRate, read_chance
from reachlab.measures.measure import Computed, FigureLook, Measure, Missing, PagePart, Result
from reachlab.measures.measured_run import MeasuredRun
from reachlab.measures.table import Table, percent

PART = PagePart(
    id="luck",
    heading="Luck",
    lead="At large k a small answer space can be exhausted by guessing. This is how much of pass@k that could be.",
)


def _counted(run: MeasuredRun) -> ChanceRate | str:
    """What `reachlab chance` has kept, or why nothing can be said."""
    counted, why = read_chance(run.store)
    if counted is None or not counted.most:
        return why or "no shuffled answer could be judged"
    return counted


def luck(run: MeasuredRun) -> Computed:
    """luck@k."""
    counted = run.once(_counted)
    if isinstance(counted, str):
        return Missing()
    ks = run.ks(counted.most)
    return run.curve(counted.table(ks), ks)


def by_answer_space(run: MeasuredRun) -> Computed:
    """A row an answer space."""
    counted = run.once(_counted)
    if isinstance(counted, str):
        return Missing(counted)
    ks = run.ks(counted.most)
    rows = []
    for group in counted.groups(ks):
        uniform = "–" if group.uniform_K is None else f"{group.uniform_K[-1]:.1%}"
        cells = (f"{group.problems:,}", f"{group.rate:.2%}", f"{ks[-1]:,}", f"{group.luck_K[-1]:.1%}", uniform)
        rows.append((f"{run.name}: {group.label}", cells))
    head = ("problems", "right by luck", "k", "luck@k", "a uniform guesser's pass@k")
    return Result(
        tables=(Table("By the answer space of the gold answer", head, tuple(rows), first="model: gold answer"),),
        document=counted.to_dict(ks),
        remarks=tuple(_remarks(counted, ks[-1])),
    )


def _remarks(counted: ChanceRate, k: int) -> Iterator[str]:
    """The rate of each answer space, and luck at the largest k, in words."""
    for group in counted.groups((k,)):
        problems = "1 problem" if group.problems == 1 else f"{group.problems:,} problems"
        line = f"luck, {group.label} ({problems}): {percent(group.rate)} of others' answers are right"
        line += f", pass@{k:,} {percent(group.luck_K[0])}" if k > 1 else ""
        if group.size is not None and group.uniform_K is not None:
            line += f"; uniform guessing {percent(1 / group.size)}"
            line += f", pass@{k:,} {percent(group.uniform_K[0])}" if k > 1 else ""
        yield line
    if (lost := int(counted.unscored_SP.sum())) or counted.left_out:
        yield f"luck: {lost:,} answers unscored, {counted.left_out:,} problems without another to judge by"


LUCK = Measure(
    name="luck",
    title="luck@k",
    caption="luck@k: the pass@k that a model gets by luck, its own answers judged by other problems' gold answers.",
    source="ours",
    look=FigureLook(axis="luck@k"),
    compute=luck,
    part=PART,
)
BY_ANSWER_SPACE = Measure(
    name="guess",
    title="Luck by answer space",
    caption="How often a model is right by luck, by how many gold answers are possible, beside one who guesses "
    "uniformly: pass@k no higher than this is no sign of reach.",
    source="ours",
    compute=by_answer_space,
    part=PART,
)
