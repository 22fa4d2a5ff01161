"""The page's sentences that depend on the numbers."""

from collections.abc import Iterator, Sequence

from reachlab.boundary.comparison import Findings, Pair
from reachlab.reporting.entries import Entry
from reachlab.reporting.lineage import Ancestor
from reachlab.reporting.problem_browser import Shelf
from reachlab.reporting.tables import over
from reachlab.tasks.identity import canonical


def counted(n: int, what: str) -> str:
    """A number and what it counts."""
    return f"{n:,} {what}{'s' * (n != 1)}"


def question(comparison: Findings) -> str:
    """What the page answers."""
    if comparison.pairs:
        return "What did each training stage add: new problems, or surer answers?"
    return "How many problems are within the model's reach, and how surely does it solve them?"


def facts(comparison: Findings, entries: Sequence[Entry]) -> Iterator[str]:
    """The size of what was measured."""
    said = (str(e.part("config")["task"]) for e in reversed(entries) if "task" in e.part("config"))
    tasks = {canonical(spec): spec for spec in said}
    problems = len(comparison.problem_ids)
    samples = sum(int((e.outcomes.n_P + e.outcomes.unscored_P).sum()) for e in entries)
    unscored = sum(e.model.unscored for e in entries)
    if tasks:
        yield f"task {', '.join(reversed(tasks.values()))}"
    labelled: dict[str, list[str]] = {}
    for entry in entries:
        if entry.part("config").get("verdicts") == "file":
            tool = str(entry.part("facts").get("labels_of", "not said"))
            labelled.setdefault(tool, []).append(entry.model.name)
    for tool, names in labelled.items():
        logs = "its log" if len(names) == 1 else "their logs"
        yield f"verdicts of {', '.join(names)} are the labels of {logs} ({tool})"
    yield counted(problems, "problem")
    yield f"{counted(samples, 'sample')}, {unscored:,} of them unscored"
    yield f"k up to {comparison.ks[-1]:,}"


STRIP = (
    "Each column is one problem, from the base's easiest on the left to its hardest on the right; each row is a model. "
    "A click on a column opens its problem; so does Enter on the slider, which goes from problem to problem."
)
"""How to read the strip."""


def passk_caption(comparison: Findings) -> str:
    """How to read the pass@k figure."""
    crossed = [p for p in comparison.pairs if p.crossing.k is not None and p.crossing.k > comparison.ks[0]]
    dotted = " Dotted: the k from which the base is no longer behind" if crossed else ""
    if crossed and not all(map(crosses, crossed)):
        dotted += "; sparsely, with a question mark, where the samples do not tell whether the curves cross at all"
    dotted += "." if crossed else ""
    return (
        "Chance that at least one of k samples is right, averaged over problems, "
        f"with {100 * comparison.level:g}% intervals.{dotted}"
    )


def crosses(pair: Pair) -> bool:
    """Whether two curves surely cross: the model is ahead at the smallest k, and behind at the largest."""
    return bool(pair.difference.sign[0] > 0 > pair.difference.sign[-1])


def equal_n(comparison: Findings, pair: Pair) -> str:
    """On how many samples of both models problems were counted as gained and lost."""
    models = {model.name: model for model in comparison.models}
    one, two = models[pair.base], models[pair.name]
    if not pair.difference.tested:
        return "on unequal numbers of samples"
    if any(model.mean_n != model.least_n for model in (one, two)):
        return "on as many samples of each problem of both"
    drawn = f", of {two.least_n:,} and {one.least_n:,} drawn" if pair.coverage.thinned else ""
    return f"at n = {min(one.least_n, two.least_n):,} samples of both{drawn}"


def summary_note(comparison: Findings) -> str:
    """How to read the summary table."""
    versus = (
        " Crossing: the smallest k from which the base stays at or above the model. ΔSE: the base's pass@k minus the "
        "model's pass@1. Gained and lost: problems that only the model, or only the base, solved in as many samples of "
        f"both; chance: how many two equal models would have shown; {below(comparison)}: in how many of them Fisher's "
        "exact test tells the two models apart, Holm-adjusted for all problems."
    )
    return (
        f"Below each value its {comparison.level:.0%} interval over {over(comparison)}, at this k by itself "
        f"(from {comparison.resamples:,} resamples)."
        f"{versus if comparison.pairs else ''} Unscored samples count neither as right nor as wrong."
    )


def difference_caption(comparison: Findings) -> str:
    """How to read the difference figure."""
    return (
        "pass@k of the model minus pass@k of the base on the same problems, in percentage points; above zero the "
        f"model is ahead. The inner, darker band is the {100 * comparison.level:g}% interval at each k by itself; the "
        "outer, light band holds the whole curve at once. The verdicts rest on the outer one: where it holds zero, the "
        "samples do not tell."
    )


def coverage_note(comparison: Findings) -> str:
    """What the test of each problem is."""
    if any(p.coverage.surely_gained is None for p in comparison.pairs):
        return (
            "Samples that were drawn until enough were right, and those of several runs of a recipe, have no exact "
            "test, so no p is said there."
        )
    return f"{below(comparison)}: of Fisher's exact test on the two models' counts, Holm-adjusted for all problems."


def below(comparison: Findings) -> str:
    """What a problem's Holm-adjusted p is where it tells two models apart, as ``p < 0.05``."""
    return f"p < {1 - comparison.level:.2g}"


def changes(comparison: Findings) -> tuple[tuple[str, str], ...]:
    """Filters of the problem browser: its name for each, and ours."""
    told = below(comparison)
    return (
        ("gained", "gained"),
        ("lost", "lost"),
        ("surely-gained", f"gained with {told}"),
        ("surely-lost", f"lost with {told}"),
    )


DOUBTS = ("doubts", "verdicts to look at")
"""One more filter."""


def stored(shelf: Shelf) -> str:
    """Which samples the page holds, and where the others are."""
    if shelf.stored and not shelf.most:  # a server has them
        what = f"Of the {shelf.drawn:,} samples of these problems, a problem opens with some; the rest come on request"
    elif shelf.stored == shelf.drawn:
        what = f"All {shelf.drawn:,} samples of these problems are in this page"
    else:
        each = "the first one" if shelf.most == 1 else f"up to {shelf.most}, the first right ones and the first others"
        bare = f"; {counted(shelf.bare, 'problem')} that changed least have none" if shelf.bare else ""
        what = f"This page holds {shelf.stored:,} of {shelf.drawn:,} samples: of each problem and model {each}{bare}"
    cut = f". Texts longer than {shelf.longest:,} characters are cut in the middle" if shelf.cut else ""
    everything = " The run folders have everything, and `reachlab serve` shows it."
    return f"{what}{cut}." + (everything if shelf.stored < shelf.drawn or cut else "")


def trained(training: Ancestor) -> str:
    """One training run in words, such as ``rl (grpo, 100 steps, 35 s in 2 sittings)``; the time is that of its
    steps, whichever sitting took them."""
    known = [training.folder.name]
    if len(steps := training.series("step")[0]):
        known.append(counted(int(steps[-1]), "step"))
    if spent := sum(training.seconds().values()):
        several = f" in {training.sittings} sittings" if training.sittings > 1 else ""
        known.append(f"{spent:,.0f} s{several}")
    return f"{training.kind} ({', '.join(known)})"


def notes(entries: Sequence[Entry]) -> Iterator[tuple[Entry, str]]:
    """What a careful reader must know of the samples and the origin of each model."""
    for e in entries:
        m = e.model
        parts = [
            f"{m.mean_n:,.6g} scored samples a problem" + (" on average" if m.mean_n % 1 else ""),
            f"{m.unscored:,} unscored and left out" if m.unscored else "none unscored",
        ]
        if m.not_shared:
            parts.append(f"{counted(m.not_shared, 'problem')} left out that another model was not asked")
        if m.not_scored:
            parts.append(f"{counted(m.not_scored, 'problem')} left out for want of a scored sample")
        if e.trainings:
            parts.append(f"trained by {' → '.join(trained(t) for t in reversed(e.trainings))}")
        if e.part("provenance").get("dirty"):
            parts.append("run from code with uncommitted changes")
        yield e, "; ".join(parts) + "."
