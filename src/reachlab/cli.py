"""The commands. Each is a thin function: read what was asked, call the room that does it, print what came out.

Rooms are imported inside the commands, so that `reachlab --help` does not wait for torch.
"""

import json
import sys
import textwrap
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import OmitArgPrefixes as Flat

from reachlab.errors import ReachlabError
from reachlab.sampling.config import GuessConfig, ReferenceConfig, SampleConfig, ScoreConfig, VerifyConfig
from reachlab.sampling.entropy_config import EntropyConfig
from reachlab.sampling.records import ImportConfig
from reachlab.studies.config import (
    AlgorithmsConfig,
    CheckpointsConfig,
    DemoConfig,
    InspectConfig,
    KLConfig,
    RegimeConfig,
    RolloutsConfig,
    TemperatureConfig,
)
from reachlab.training.config import DistillConfig, PretrainConfig
from reachlab.training.rl_config import RLConfig

app = tyro.extras.SubcommandApp()


def _print_json(found: Any) -> None:
    print(json.dumps(found, indent=2, ensure_ascii=False, default=str))


def _remark(remark: str) -> None:
    print(f"note: {remark}", file=sys.stderr, flush=True)


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        # As Text: a prompt may hold what rich would take for markup. --json has what is cut here.
        table.add_row(*(Text(textwrap.shorten(str(value), 400, placeholder=" ...")) for value in row.values()))
    Console().print(table)


@dataclass(frozen=True, kw_only=True)
class TasksConfig:
    """List the tasks, or show problems of one."""

    task: tyro.conf.Positional[str] = ""
    """A task to show, e.g. countdown, gym:gsm_symbolic, math:FILE; nothing lists them all."""
    problems: int = 3
    """How many problems to show."""
    split: Literal["train", "test", "all"] = "test"
    """Where they come from."""
    seed: int = 0
    """Which problems a generated task draws."""
    json: bool = False
    """Print JSON."""

    def __post_init__(self) -> None:
        if self.problems < 1:
            raise ReachlabError(f"problems={self.problems} must be 1 or more")


@app.command(name="tasks")
def tasks(config: Flat[TasksConfig]) -> None:
    """List the tasks, or show problems of one.

    Example: reachlab tasks countdown,numbers=3 --problems 5
    """
    from reachlab.tasks.listing import list_tasks, show_task

    found = show_task(config.task, config.split, config.problems, config.seed) if config.task else list_tasks()
    if config.json:
        _print_json(found)
    else:
        _print_table(found)


@app.command(name="pretrain")
def pretrain(config: Flat[PretrainConfig]) -> None:
    """Train a new model from nothing: on text (files, a folder, a datasets path, Python's own library), or on what a
    task's problems look like when they are attempted.

    Example: reachlab pretrain --data stdlib --eval-every 100 --steps 800 --out runs/base
    """
    from reachlab.training.supervised import pretrain

    if pretrain(config, _remark):
        print(f"model in {config.out}/model")


@app.command(name="distill")
def distill(config: Flat[DistillConfig]) -> None:
    """Train a model on a teacher's right answers.

    Example: reachlab distill --model runs/base --teacher solver --task countdown --out runs/distilled
    """
    from reachlab.training.supervised import distill

    if distill(config):
        print(f"model in {config.out}/model")


@dataclass(frozen=True, kw_only=True)
class RLCommand:
    """Train a model by RL, or only say which settings fit."""

    rl: Flat[RLConfig]
    advise: bool = False
    """Train nothing: measure this model, task and machine for some steps, and propose n and m."""

    def __post_init__(self) -> None:
        if not self.advise and not self.rl.out:
            raise ReachlabError("--out is needed: the folder of the run, e.g. runs/pods")


@app.command(name="rl")
def rl(config: Flat[RLCommand]) -> None:
    """Train a model by reinforcement learning on a task's verdicts: seven algorithms, each with or without
    down-sampling (PODS: generate 64 rollouts a problem, learn from the 16 of largest reward variance).

    Example: reachlab rl --model runs/base --task countdown --rollouts 64 --keep 16 --rule max_variance --max-tokens 24
    --out runs/pods
    """
    if config.advise:
        from reachlab.training.advise import advise_rl, print_advice

        print_advice(advise_rl(config.rl))
        return
    from reachlab.training.rl import train_rl

    if train_rl(config.rl, _remark):
        print(f"model in {config.rl.out}/model")


@app.command(name="sample")
def sample(config: Flat[SampleConfig]) -> None:
    """Draw many answers to each problem, judge and store them; run again to draw only what is missing.

    Example: reachlab sample --model runs/base --task countdown --problems 200 --samples 256 --max-tokens 24 --out
    runs/base-samples
    """
    from reachlab.sampling.run import sample

    result = sample(config, _remark)
    print(f"{config.out}: {result.stored} samples stored, {result.drawn} drawn now")
    if result.ended:
        print(result.ended)


@dataclass(frozen=True, kw_only=True)
class EntropyCommand:
    """Measure a model's token entropy, and the temperature that matches it to another's."""

    entropy: Flat[EntropyConfig]
    json: bool = False
    """Print JSON."""


@app.command(name="entropy")
def entropy(config: Flat[EntropyCommand]) -> None:
    """Measure how uncertain a model is a token, on its own answers at a temperature; and find the temperature at which
    it is as uncertain as another model, its base as a rule.

    Example: reachlab entropy runs/rl --task countdown --max-tokens 24 --temperature 0.6 1.0 --match runs/base --at 0.6
    """
    from reachlab.sampling.entropy import measure_entropy

    result = measure_entropy(config.entropy, _remark)
    if config.json:
        _print_json(result.to_dict())
    else:
        print("\n".join(result.lines()))


@dataclass(frozen=True, kw_only=True)
class ImportCommand:
    """Bring in samples drawn elsewhere."""

    samples: Flat[ImportConfig]
    json: bool = False
    """Print JSON."""


@app.command(name="import")
def import_(config: Flat[ImportCommand]) -> None:
    """Bring in samples drawn elsewhere (JSONL, CSV, Parquet), judge them, store them like any run.

    Example: reachlab import answers.jsonl --task math:problems.jsonl --text response --out runs/other
    """
    from reachlab.progress import track_count
    from reachlab.sampling.importing import import_samples

    with track_count("import") as tell:
        runs = import_samples(config.samples, tell)
    if config.json:
        _print_json([asdict(r) | {"agreement": r.agreement} for r in runs])
        return
    for run in runs:
        line = f"{run.folder}: {run.samples} samples of {run.problems} problems, {run.correct} correct"
        line += f", {run.unscored} unscored" if run.unscored else ""
        if run.agreement is not None:
            line += f"; agrees with the file's labels on {run.agreement:.2%}, disagrees on {len(run.disagreements)}"
        print(line)
        for d in run.disagreements:
            tail = " ".join(d.text_tail.split())[-80:]
            print(f"  {d.problem_id}: ours {d.ours}, the file {'correct' if d.theirs else 'wrong'}: ...{tail}")


@app.command(name="verify")
def verify(config: Flat[VerifyConfig]) -> None:
    """Judge a run's stored answers again.

    Example: reachlab verify runs/base-samples --only-unscored --timeout 20
    """
    from reachlab.sampling.verifying import verify

    changes = verify(config)
    print(f"{config.run}: " + (", ".join(f"{n} {what}" for what, n in changes.items()) or "no verdict changed"))


@dataclass(frozen=True, kw_only=True)
class GuessCommand:
    """Judge answers against other problems' gold answers."""

    guess: Flat[GuessConfig]
    json: bool = False
    """Print JSON."""


@app.command(name="guess")
def guess(config: Flat[GuessCommand]) -> None:
    """Measure luck: judge a run's stored answers against the gold answers of other problems, and keep what comes out
    beside the run.

    Example: reachlab guess runs/base-samples --shuffles 3
    """
    from reachlab.sampling.guessing import guess

    found = guess(config.guess)
    if config.json:
        _print_json(found.to_dict())
        return
    _print_table(found.rows())
    if lost := int(found.unscored_SP.sum()):
        print(f"{lost:,} answers were not scored")
    if found.left_out:
        print(f"{found.left_out:,} problems have no other of their kind with another gold answer")


@dataclass(frozen=True, kw_only=True)
class EvidenceCommand:
    """What samples say beyond pass@k."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Run folders."""
    resamples: int = 10_000
    """Bootstrap resamples of the problems."""
    level: float = 0.95
    """Level of the intervals."""
    k: tuple[int, ...] = ()
    """Values of k; default powers of two and the largest."""
    seed: int = 0
    """Of the bootstrap, and of the subsets drawn for votes."""
    json: bool = False
    """Print JSON."""


@app.command(name="evidence")
def evidence(config: Flat[EvidenceCommand]) -> None:
    """Read what runs say beyond pass@k: whole chains, majority votes, the best of k, distinct solutions, copies that a
    broken seed would leave, and luck where `reachlab guess` has measured it.

    Example: reachlab evidence runs/base-samples runs/pods-samples
    """
    from reachlab.report.evidence_table import print_evidence
    from reachlab.runs import RunFolder
    from reachlab.sampling.evidence import read_evidence
    from reachlab.sampling.store import SampleStore

    if not config.runs:
        raise ReachlabError("name at least one run folder")
    if bad := [k for k in config.k if k < 1]:
        raise ReachlabError(f"k={bad[0]} must be 1 or more")
    found = [
        read_evidence(
            SampleStore(RunFolder(run)),
            ks=config.k or None,
            resamples=config.resamples,
            level=config.level,
            seed=config.seed,
        )
        for run in config.runs
    ]
    if config.json:
        _print_json([one.to_dict() for one in found])
        return
    for one in found:
        print_evidence(one, config.level)


@app.command(name="reference")
def reference(config: Flat[ReferenceConfig]) -> None:
    """Store a task's own solutions as a run of samples, one a problem: one more writer whose answers models can score.

    Example: reachlab reference --task countdown --out runs/reference
    """
    from reachlab.sampling.reference import write_reference

    print(write_reference(config).words())


@dataclass(frozen=True, kw_only=True)
class ScoreCommand:
    """Ask a model how likely the stored answers of runs are under it."""

    score: Flat[ScoreConfig]
    json: bool = False
    """Print JSON."""


@app.command(name="score")
def score(config: Flat[ScoreCommand]) -> None:
    """Ask a model how likely the stored answers of runs are under it; kept as two columns of each run, for
    `reachlab perplexity`. Run again to score only what is missing.

    Example: reachlab score runs/base-samples runs/pods-samples runs/reference --model runs/base --samples 32
    """
    from reachlab.sampling.scoring import score

    found = score(config.score, _remark)
    if config.json:
        _print_json([asdict(run) for run in found])
        return
    for run in found:
        print(run.words())
        if run.agreement is not None:
            print(f"  {run.agreement.words()}")


@dataclass(frozen=True, kw_only=True)
class PerplexityCommand:
    """Perplexity of every run's answers under every model that has scored them."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Run folders that `reachlab score` has been at; each is a writer."""
    resamples: int = 10_000
    """Bootstrap resamples of the problems."""
    level: float = 0.95
    """Level of the intervals."""
    seed: int = 0
    """Of the bootstrap."""
    json: bool = False
    """Print everything as JSON."""


@app.command(name="perplexity")
def perplexity(config: Flat[PerplexityCommand]) -> None:
    """Show how surprising each run's answers are to each model that has scored them, over all tokens with an interval
    over problems, and for the median answer.

    Example: reachlab perplexity runs/base-samples runs/pods-samples runs/reference
    """
    from reachlab.runs import RunFolder
    from reachlab.sampling.perplexities import NOTE_OTHER_TOKENS, READING, perplexity_rows, read_perplexities
    from reachlab.sampling.store import SampleStore

    if not config.runs:
        raise ReachlabError("name at least one run folder")
    matrix = read_perplexities(
        [SampleStore(RunFolder(run)) for run in config.runs],
        resamples=config.resamples,
        level=config.level,
        seed=config.seed,
    )
    if config.json:
        _print_json(matrix.to_dict())
        return
    for title, correct in (("all answers", False), ("right answers", True)):
        print(f"perplexity of {title}: over all tokens ({config.level:.0%} interval) [of the median answer]")
        _print_table(perplexity_rows(matrix, correct))
        print()
    print(READING)
    if not matrix.same_tokens:
        print(NOTE_OTHER_TOKENS)


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Compare runs of samples on the problems they share."""

    runs: tyro.conf.Positional[tuple[str, ...]]
    """Run folders; the first is the base that the others are compared with."""
    resamples: int = 10_000
    """Bootstrap resamples of the problems."""
    level: float = 0.95
    """Level of the intervals."""
    over: Literal["problems", "samples", "both"] = "problems"
    """What intervals are over: other problems like these; these very problems answered again; both."""
    k: tuple[int, ...] = ()
    """Values of k; default every one up to the smallest number of samples."""
    gap_k: int = 256
    """k of the sampling-efficiency gap, ΔSE = pass@k(base) − pass@1(model); with fewer samples, their number."""
    seed: int = 0
    """Of the bootstrap."""

    def __post_init__(self) -> None:
        if self.gap_k < 1:
            raise ReachlabError(f"gap_k={self.gap_k} must be 1 or more")


@dataclass(frozen=True, kw_only=True)
class CompareCommand:
    """Compare runs of samples."""

    compare: Flat[CompareConfig]
    json: bool = False
    """Print everything as JSON."""


@app.command(name="compare")
def compare(config: Flat[CompareCommand]) -> None:
    """Compare models by their samples: pass@k with intervals, crossing, problems gained and lost, a verdict.

    Example: reachlab compare runs/base-samples runs/pods-samples --json
    """
    from reachlab.report.tables import print_comparison

    comparison, folders = _compare(config.compare)
    if config.json:
        from reachlab.report.entries import read_entries
        from reachlab.report.findings import gather

        _print_json(comparison.to_dict() | gather(comparison, read_entries(comparison, folders)).to_dict())
    else:
        print_comparison(comparison)


@dataclass(frozen=True, kw_only=True)
class ReportCommand:
    """Write the report of a comparison."""

    compare: Flat[CompareConfig]
    out: str = "report.html"
    """The page, one file that opens offline."""
    title: str = "What training added"
    """Its heading."""


@app.command(name="report")
def report(config: Flat[ReportCommand]) -> None:
    """Compare models by their samples and write one HTML page that opens offline.

    Example: reachlab report runs/base-samples runs/pods-samples --out report.html
    """
    from reachlab.report.page import write_report

    comparison, folders = _compare(config.compare)
    print(write_report(comparison, folders, config.out, title=config.title))


@dataclass(frozen=True, kw_only=True)
class PowerCommand:
    """Plan a comparison from two runs of samples."""

    base: tyro.conf.Positional[str]
    """The base model's run folder."""
    other: tyro.conf.Positional[str]
    """The other model's."""
    k: tuple[int, ...] = ()
    """Values of k; default 1 and the smallest number of samples."""
    points: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0)
    """Differences to find, in percentage points."""
    samples: tuple[int, ...] = ()
    """Samples of each problem to plan with; default a quarter of the present ones, these, and four times as many."""
    level: float = 0.95
    """Of the two-sided test that is to find it."""
    power: float = 0.8
    """Chance to find it."""
    json: bool = False
    """Print JSON."""


@app.command(name="power")
def power(config: Flat[PowerCommand]) -> None:
    """Say how many problems, and samples of each, would show a difference of so many points between two models.

    Example: reachlab power runs/base-samples runs/pods-samples --points 1 2 5 --k 1 256
    """
    from reachlab.boundary.power import power_analysis
    from reachlab.report.power import print_power

    base, other = _outcomes((config.base, config.other))[0]
    plan = power_analysis(base, other, config.k, config.points, config.samples, config.level, config.power)
    if config.json:
        _print_json(plan.to_dict())
    else:
        print_power(plan)


def _outcomes(runs: tuple[str, ...]) -> tuple[list[Any], list[Any]]:
    """The outcomes of each run, and the folders."""
    from reachlab.runs import RunFolder
    from reachlab.sampling.store import SampleStore

    folders = [RunFolder(run) for run in runs]
    outcomes = [SampleStore(folder).outcomes() for folder in folders]
    if len({o.name for o in outcomes}) < len(outcomes):
        # Folders of one name in different places: the places tell them apart.
        outcomes = [replace(o, name=folder.url.rstrip("/")) for o, folder in zip(outcomes, folders, strict=True)]
    return outcomes, folders


def _compare(config: CompareConfig) -> tuple[Any, Any]:
    from reachlab.boundary.compare import compare

    if not config.runs:
        raise ReachlabError("name at least one run folder")
    outcomes, folders = _outcomes(config.runs)
    comparison = compare(
        outcomes,
        ks=config.k or None,
        gap_k=config.gap_k,
        resamples=config.resamples,
        level=config.level,
        over=config.over,
        seed=config.seed,
    )
    return comparison, folders


Study = (
    Annotated[DemoConfig, tyro.conf.subcommand("demo")]
    | Annotated[AlgorithmsConfig, tyro.conf.subcommand("algorithms")]
    | Annotated[RolloutsConfig, tyro.conf.subcommand("rollouts")]
    | Annotated[KLConfig, tyro.conf.subcommand("kl")]
    | Annotated[CheckpointsConfig, tyro.conf.subcommand("checkpoints")]
    | Annotated[TemperatureConfig, tyro.conf.subcommand("temperature")]
    | Annotated[RegimeConfig, tyro.conf.subcommand("regime")]
)


@app.command(name="study")
def study(config: Flat[Study]) -> None:
    """Run a whole study: from nothing to a report.

    Example: reachlab study demo --out runs/demo
    """
    if isinstance(config, DemoConfig):
        from reachlab.studies.demo import run_demo

        run_demo(config)
    elif isinstance(config, AlgorithmsConfig):
        from reachlab.studies.algorithms import run_algorithms

        print(f"the report is {run_algorithms(config)}")
    elif isinstance(config, RolloutsConfig):
        from reachlab.studies.rollouts import run_rollouts

        print(f"the report is {run_rollouts(config)}")
    elif isinstance(config, KLConfig):
        from reachlab.studies.kl import run_kl

        print(f"the report is {run_kl(config)}")
    elif isinstance(config, CheckpointsConfig):
        from reachlab.studies.checkpoints import run_checkpoints

        print(f"the report is {run_checkpoints(config, _remark)}")
    elif isinstance(config, TemperatureConfig):
        from reachlab.studies.temperature import run_temperature

        print(f"the report is {run_temperature(config)}")
    else:
        from reachlab.studies.regime import run_regime

        print(f"the map is {run_regime(config)}")


moe = tyro.extras.SubcommandApp()
app.command(
    moe,
    name="moe",
    help="Mixtures of experts: what their routers do.\n\nExample: reachlab moe inspect runs/base --out routers.html",
)


@moe.command(name="inspect")
def moe_inspect(config: Flat[InspectConfig]) -> None:
    """Listen to a mixture of experts' routers on text: where they send tokens, how sure they are, which experts nobody
    visits, and how close the gradient that each method gives them is to the dense one (cosine 1).

    Example: reachlab moe inspect runs/base --data stdlib --out routers.html
    """
    from reachlab.studies.routers import inspect_routers

    found = inspect_routers(config)
    if config.json:
        _print_json(found.to_dict())
    else:
        print(", ".join(found.facts))
        _print_table(found.rows())
        if found.fidelity:
            print("\ncosine of the router's gradient with the dense one, by method")
            _print_table(found.fidelity_rows())
    for warning in found.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if config.out:
        print(f"the page is {config.out}", file=sys.stderr if config.json else sys.stdout)


@dataclass(frozen=True, kw_only=True)
class FamiliesConfig:
    """The table of mixture-of-experts families."""

    markdown: bool = False
    """Print Markdown, as it stands in docs/moe.md."""
    json: bool = False
    """Print JSON."""


@moe.command(name="families")
def moe_families(config: Flat[FamiliesConfig]) -> None:
    """List the families whose routers can be given a dense gradient, with the formula of their weights, and those that
    cannot, with the reason.

    Example: reachlab moe families
    """
    from reachlab.moe.table import family_rows, markdown, refusal_rows

    if config.json:
        _print_json({"works": family_rows(), "refused": refusal_rows()})
    elif config.markdown:
        print(f"{markdown(family_rows())}\n{markdown(refusal_rows())}", end="")
    else:
        _print_table(family_rows())
        _print_table(refusal_rows())


def main() -> None:
    """Run a command; a user's error is one line and exit code 2."""
    try:
        app.cli(prog="reachlab", description="Measure what a training stage added to a language model.")
    except ReachlabError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        sys.exit(130)
