"""What a comparison takes, and its plan. No torch here: the command line reads this."""

from dataclasses import dataclass
from typing import Literal

from tyro.conf import OmitArgPrefixes as Flat
from tyro.conf import Positional

from reachlab.errors import ReachlabError
from reachlab.limits import RESAMPLING, check_numbers


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Compare runs of samples on the problems they share."""

    runs: Positional[tuple[str, ...]]
    """Models: RUN, NAME=RUN, or NAME=RUN,RUN,RUN, several runs of one recipe, a seed each, whose verdict is then about
    the recipe. The first is the base that the others are compared with."""
    names: tuple[str, ...] = ()
    """Names of the models, in the order of the runs, instead of NAME=RUN: --names base GRPO PODS."""
    matrix: tuple[str, ...] = ()
    """Instead of runs: .npz, .npy or .csv files of 0 and 1, a row a problem and a column a sample; a key of an .npz or
    a file is a model, the first the base. A page needs runs."""
    match: Literal["id", "question", "unchecked"] = "id"
    """How problems of different runs are paired: by id, where those of one id have to ask the same; by question, gold
    answer and pictures, whatever their ids; or by id, unchecked, where you know better."""
    pairs: Literal["base", "all"] = "base"
    """Compare each model with the base, or all with each other. Words hold for all pairs together."""
    cluster: str = ""
    """Problems that belong together, such as those of one template: a field of their metadata, or a .json or .csv file
    of ids and clusters. Whole clusters are then resampled."""
    over: Literal["problems", "samples", "both"] = "problems"
    """What intervals are over: other problems like these; these very problems answered again; both."""
    same_within: float = 3.0
    """Points of pass@k within which two models count as the same."""
    resamples: int = 10_000
    """Bootstrap resamples of the problems."""
    level: float = 0.95
    """Level of the intervals."""
    k: tuple[int, ...] = ()
    """Values of k; default every one up to the smallest number of samples."""
    gap_k: int = 256
    """k of the sampling-efficiency gap, ΔSE = pass@k(base) − pass@1(model); with fewer samples, their number."""
    seed: int = 0
    """Of the bootstrap."""
    memory: tuple[str, ...] = ()
    """Runs of `reachlab sample --prefix` by the compared models, as RUN or NAME=RUN: reach or memory?"""

    def __post_init__(self) -> None:
        check_numbers(self, counts=("resamples", "k"), most=RESAMPLING)
        if self.names:
            self._check_names()
        if self.memory and self.matrix:
            raise ReachlabError("--memory goes with runs: a table does not hold what was asked, nor of which model")
        if self.gap_k < 1:
            raise ReachlabError(f"gap_k={self.gap_k} must be 1 or more")
        if not 0 < self.same_within < 100:
            raise ReachlabError(f"same_within={self.same_within:g} must be above 0 and below 100 points")
        if self.same_within < 0.1:
            raise ReachlabError(
                f"same_within={self.same_within:g} is in points, and {100 * self.same_within:g} would be that share"
            )

    def _check_names(self) -> None:
        if self.matrix:
            raise ReachlabError("--names goes with runs; in a table a file or a key of it names the model")
        if len(self.names) != len(self.runs):
            raise ReachlabError(
                f"--names: {len(self.names)} names for {len(self.runs)} models; give one each, in order"
            )
        if bad := next((name for name in self.names if not name.strip() or set(name) & set("=/\\:")), None):
            raise ReachlabError(f"--names: {bad!r} is no name of a model: it may not be empty or hold = / \\ :")

    @property
    def models(self) -> tuple[str, ...]:
        """The models as NAME=RUN, where names are given."""
        if not self.names:
            return self.runs
        return tuple(f"{name}={run}" for name, run in zip(self.names, self.runs, strict=True))


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Write the report of a comparison."""

    compare: Flat[CompareConfig]
    out: str = "report.html"
    """The page, one file that opens offline."""
    title: str = ""
    """Its heading; default the models and the task, and what they are compared for."""


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """Show runs in a browser."""

    compare: Flat[CompareConfig]
    port: int = 8765
    """Where it listens; 0 takes a port that is free."""
    host: str = "127.0.0.1"
    """Who reaches it: by default this machine alone. With any other address whoever knows the printed one with its
    token, unencrypted; from another machine, `ssh -L 8765:localhost:8765 HOST` is safer."""
    open: bool = False
    """Open a browser."""
    title: str = ""
    """The page's heading; default the models and the task, as of `report`."""

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65_536:
            raise ReachlabError(f"port={self.port} must be 0 to 65535")


@dataclass(frozen=True, kw_only=True)
class PowerConfig:
    """Plan a comparison from two runs of samples."""

    base: Positional[str] = ""
    """The base model's run folder."""
    other: Positional[str] = ""
    """The other model's."""
    matrix: tuple[str, ...] = ()
    """Instead of runs: two tables, as of `reachlab compare --matrix`."""
    match: Literal["id", "question", "unchecked"] = "id"
    """How problems are paired: as of `reachlab compare`."""
    k: tuple[int, ...] = ()
    """Values of k; default 1, the smallest number of samples n, and n / 2, where noise is half of what it is at n."""
    points: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0)
    """Differences to find, in percentage points."""
    samples: tuple[int, ...] = ()
    """Samples of each problem to plan with; default a quarter of the present ones, these, and four times as many."""
    level: float = 0.95
    """Of the verdict that is to say it."""
    power: float = 0.8
    """Chance to find it."""

    def __post_init__(self) -> None:
        check_numbers(self, counts=("k", "samples"))
