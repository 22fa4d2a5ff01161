"""What a comparison says: curves, paired differences, crossings, solved sets, gaps, verdicts (made by `compare`)."""

from dataclasses import dataclass
from typing import Any

from reachlab.boundary.coverage import Coverage
from reachlab.boundary.crossing import Crossing
from reachlab.boundary.curve import Curve, plain
from reachlab.boundary.gap import Gap
from reachlab.boundary.histogram import Histogram
from reachlab.boundary.noise import Over
from reachlab.boundary.outcomes import Ints
from reachlab.boundary.verdict import Conclusion, Difference


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Model:
    """One model on the shared problems; ``curve`` is its pass@k, the mean over problems (and runs), and ``solved`` are
    the problems with a right sample.

    ``runs`` are its runs, one a seed. ``least_n`` is the fewest scored samples of a problem, ``least`` that problem,
    ``short`` how many problems have less than half of the median. ``mean_n`` and ``unscored`` count its samples;
    ``not_shared`` its problems that some other model was not asked; ``not_scored`` the shared problems left out because
    this model has no scored sample of them. ``posterior`` is that of these very problems, where samples are few.
    """

    name: str
    runs: tuple[str, ...]
    curve: Curve
    posterior: Curve | None
    histogram: Histogram
    solved: tuple[str, ...]
    mean_n: float
    least_n: int
    least: str
    short: int
    unscored: int
    not_shared: int
    not_scored: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pair:
    """One model against another, ``base``; ``difference`` is the model's pass@k minus the other's."""

    name: str
    base: str
    difference: Difference
    crossing: Crossing
    coverage: Coverage
    gap: Gap
    verdict: Conclusion


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Findings:
    """Everything that the samples say.

    ``pairs`` holds the models other than the base, in their order, each against it; ``others`` all further pairs, where
    they were asked for. ``clusters`` is how many the problems are in, None where each counts by itself;
    ``same_within`` the δ of the verdicts, a share.
    """

    base: str
    problem_ids: tuple[str, ...]
    clusters: int | None
    ks: Ints
    models: tuple[Model, ...]
    pairs: tuple[Pair, ...]
    others: tuple[Pair, ...]
    resamples: int
    level: float
    same_within: float
    seed: int
    over: Over

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, strings and numbers for JSON; None for an open end of a crossing."""
        found: dict[str, Any] = plain(self)
        return found
