"""Commands that pose problems, draw answers or bring them in, judge them and score them."""

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Literal

import tyro
from tyro.conf import OmitArgPrefixes as Flat

from reachlab.cli.output import plain, print_json, print_meaning, print_table, remark
from reachlab.errors import ReachlabError
from reachlab.exports.config import ExportConfig
from reachlab.extras import need
from reachlab.imports.config import ImportConfig
from reachlab.limits import check_numbers
from reachlab.measures.config import EntropyConfig, ScoreConfig
from reachlab.sampling.config import ReferenceConfig, SampleConfig, VerifyConfig
from reachlab.tasks.asking import AskConfig


@dataclass(frozen=True, kw_only=True)
class TasksConfig:
    """List the tasks, or show problems of one."""

    task: tyro.conf.Positional[str] = ""
    """A task to show, e.g. countdown, gym:gsm_symbolic, math:FILE; nothing lists them all."""
    problems: int = 3
    """How many problems to show, or all where a file has fewer."""
    split: Literal["train", "test", "all", "auto"] = "auto"
    """Which of them; auto is the test problems of a generated task, and a file's own rows from the first on."""
    seed: int = 0
    """Which problems a generated task draws."""
    model: str = ""
    """Folder of a checkpoint: show each prompt exactly as this model gets it, and how many tokens it is."""
    ask: AskConfig = AskConfig()
    pictures: str = ""
    """Folder to put what the problems show into, as PNG files."""
    json: bool = False
    """Print JSON."""

    def __post_init__(self) -> None:
        check_numbers(self)
        if self.problems < 1:
            raise ReachlabError(f"problems={self.problems} must be 1 or more")


def tasks(config: Flat[TasksConfig]) -> None:
    """List the tasks, or show problems of one.

    Example: reachlab tasks countdown,numbers=3 --problems 5

    Example: reachlab tasks math:examples/data/gsm8k.jsonl --problems 1
    """
    from reachlab.tasks.listing import list_tasks, show_task, spoken

    asked = (config.task, config.split, config.problems, config.seed, config.pictures, config.ask)
    if config.task and config.model:
        need("transformers", what="`reachlab tasks --model`")
        from reachlab.prompting.rendered import show_prompts

        shown = show_prompts(*asked, config.model)
        if config.json:
            print_json(asdict(shown))
            return
        print(shown.how)
        for row in shown.problems:
            print(f"\n--- {row['id']}: {row['tokens']:,} tokens\n{row['written']}\n--- answer: {plain(row['answer'])}")
        return
    found = show_task(*asked) if config.task else list_tasks()
    if config.json:
        print_json(found)
    elif config.task:
        print_table([{**row, "prompt": spoken(row["prompt"]), "answer": plain(row["answer"])} for row in found])
        print_meaning("problems")
    else:
        print_table(found)
        print_meaning("tasks")


def sample(config: Flat[SampleConfig]) -> None:
    """Draw many answers to each problem from a model, judge and store them. Run again to draw only what is missing.

    Example: reachlab sample --model runs/demo/base --task countdown --problems 100 --samples 64 --max-tokens 14 --out
    runs/samples/base
    """
    from reachlab.sampling.run import sample

    result = sample(config, remark)
    print(f"{config.out}: {result.stored} samples stored, {result.drawn} drawn now")
    if result.ended:
        print(result.ended)
    for line in result.doubts.lines() if result.doubts else ():
        print(line)
    if result.completions is not None and (memory := result.completions.memory()) is not None:
        print(memory.line())


@dataclass(frozen=True, kw_only=True)
class EntropyCommand:
    """Measure a model's token entropy, and the temperature that matches it to another's."""

    entropy: Flat[EntropyConfig]
    json: bool = False
    """Print JSON."""


def entropy(config: Flat[EntropyCommand]) -> None:
    """Measure how uncertain a model is a token, on its own answers. And find the temperature at which it is as
    uncertain as another model, its base as a rule.

    Example: reachlab entropy runs/demo/grpo --task countdown --problems 50 --max-tokens 14 --match runs/demo/base --at
    0.6
    """
    from reachlab.measures.entropy import measure_entropy

    result = measure_entropy(config.entropy, remark)
    if config.json:
        print_json(result.to_dict())
    else:
        print("\n".join(result.lines()))
        print_meaning("entropy")


@dataclass(frozen=True, kw_only=True)
class ImportCommand:
    """Bring in samples drawn elsewhere."""

    samples: Flat[ImportConfig]
    json: bool = False
    """Print JSON."""


def import_(config: Flat[ImportCommand]) -> None:
    """Bring in samples drawn elsewhere, judge them, store them as any run. Logs of lm-evaluation-harness, inspect_ai,
    verl, TRL, lighteval, evalplus, LiveCodeBench, batch servers and others are recognised; docs/formats.md has all.

    Example: reachlab import 'examples/data/logs/samples_gsm8k_*.jsonl' --out runs/harness
    """
    from reachlab.imports.importing import import_samples
    from reachlab.progress import track_count

    with track_count("import") as tell, ExitStack() as first:
        reading = first.enter_context(track_count("read"))

        def judged(done: int, total: int) -> None:
            first.close()  # a terminal shows one bar at a time
            tell(done, total)

        runs = import_samples(config.samples, judged, reading)
    if config.json:
        print_json([asdict(r) | {"agreement": r.agreement} for r in runs])
        return
    for run in runs:
        print("\n".join(run.lines()))


@dataclass(frozen=True, kw_only=True)
class ExportCommand:
    """Write a run where other tools read it."""

    export: Flat[ExportConfig]
    json: bool = False
    """Print JSON."""


def export(config: Flat[ExportCommand]) -> None:
    """Write a run's samples as JSON lines, Parquet or in the schema of Every Eval Ever. A row a sample, with its
    problem, its verdict and how it was drawn. `reachlab import` makes the same run of it again.

    Example: reachlab export runs/demo/samples/base --out base.parquet
    """
    from reachlab.exports.exporting import export_run
    from reachlab.progress import track_count

    with track_count("export") as tell:
        exported = export_run(config.export, tell)
    if config.json:
        print_json(asdict(exported))
    else:
        print(exported.words())


def verify(config: Flat[VerifyConfig]) -> None:
    """Judge a run's stored answers again.

    Example: reachlab verify runs/demo/samples/base --only-unscored --timeout 20
    """
    from reachlab.sampling.verifying import verify

    changes = verify(config)
    print(f"{config.run}: " + (", ".join(f"{n} {what}" for what, n in changes.items()) or "no verdict changed"))


def reference(config: Flat[ReferenceConfig]) -> None:
    """Store a task's own solutions as a run of samples, one a problem. It is one more writer whose answers models can
    score.

    Example: reachlab reference --task countdown --problems 200 --out runs/reference
    """
    from reachlab.sampling.reference import write_reference

    print(write_reference(config).words())


@dataclass(frozen=True, kw_only=True)
class ScoreCommand:
    """Ask a model how likely the stored answers of runs are under it."""

    score: Flat[ScoreConfig]
    json: bool = False
    """Print JSON."""


def score(config: Flat[ScoreCommand]) -> None:
    """Ask a model how likely the stored answers of runs are under it. Kept as columns of each run, for
    `reachlab perplexity`. Run again to score only what is missing.

    Example: reachlab score runs/demo/samples/base runs/demo/samples/grpo --model runs/demo/base --name base --samples
    32
    """
    from reachlab.measures.scoring import score

    found = score(config.score, remark)
    if config.json:
        print_json([asdict(run) for run in found])
        return
    for run in found:
        print(run.words())
        if run.agreement is not None:
            print(f"  {run.agreement.words()}")
    print_meaning("score")
