"""Samples: drawn from a model, brought in from elsewhere, written out, judged again."""

import functools
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, overload

from reachlab.errors import InvalidArgumentError
from reachlab.exports.config import ExportConfig
from reachlab.imports.config import ImportConfig
from reachlab.library.border import remark
from reachlab.library.found import Found
from reachlab.library.functions import bordered, takes
from reachlab.library.given import model_of, out_of, path_of, run_folder
from reachlab.library.keywords import build
from reachlab.library.run import Run
from reachlab.sampling.config import SampleConfig, VerifyConfig

if TYPE_CHECKING:
    from reachlab.exports.exporting import Exported
    from reachlab.imports.result import ImportedRun
    from reachlab.tasks.base import Task
    from reachlab.types import Verdict


@takes(SampleConfig)
def sample(model: Any, task: str, *, out: Any = None, **options: Any) -> Run:
    """Draw many answers to each problem from a model, judge and store them.

    The same call again draws only what is missing, and where nothing is, returns the run. Interrupted, what was drawn
    stays, and the same call goes on.

    Parameters
    ----------
    model : str, path, Training, or (model, tokenizer)
        Folder of a transformers checkpoint or of a finished training run, or ORG/NAME[@REVISION] of the hub; with
        engine="openai" the name that the servers know it by. A transformers model in memory, with its tokenizer, is
        saved beside `out`, in a folder that ends in "-model".
    out : str or path
        The run's folder, which is kept; default one below runs/ that the same call finds again.

    Returns
    -------
    Run
        The samples.

    Raises
    ------
    ReachlabError
        And ValueError: an option that cannot be, or another run in `out`. And OSError: no such model, or a folder that
        cannot be written.

    Examples
    --------
    >>> import reachlab as rl
    >>> run = rl.sample("runs/base", "countdown", samples=64, max_tokens=14, out="runs/s")  # doctest: +SKIP
    """
    from reachlab.sampling.run import sample

    made = functools.partial(build, SampleConfig, function="sample", command="sample")
    given = {**options, "task": task}
    folder = run_folder(out, "sample", model, lambda: made({**given, "model": "-", "out": "-"}))
    named = model if options.get("engine") == "openai" and isinstance(model, str) else model_of(model, folder)
    config: SampleConfig = made({**given, "model": named, "out": folder})
    done = sample(config, remark)
    for line in done.doubts.lines() if done.doubts else ():
        remark(line)
    return Run(folder)


@overload
def verify(run: "str | Task", answer: str, gold: Any, **options: Any) -> "Verdict": ...
@overload
def verify(run: "str | Task", answer: Sequence[str], gold: Any, **options: Any) -> "list[Verdict]": ...
@overload
def verify(run: Any, **options: Any) -> Found[dict[str, int]]: ...
@takes(VerifyConfig)
def verify(run: Any, answer: Any = None, gold: Any = None, **options: Any) -> Any:
    """Judge an answer by a task's verifier, or all stored answers of a run again.

    ``verify("math", answer, gold)`` says whether one answer is right; ``verify(run)`` is ``reachlab verify``: it stores
    the new verdicts.

    Parameters
    ----------
    run : str, path or Run; or a task
        A run folder; or, with `answer` and `gold`, the task whose verifier judges: "math", "countdown", or what
        `load_task` returns.
    answer : str or list of str, optional
        What a model wrote. Many at once are judged side by side, and a verifier is started once for all.
    gold : optional
        What the task's verifier compares with: its problems' ``answer``, or a whole ``Problem``. Of several answers a
        list of these.

    Returns
    -------
    Verdict or Found
        Of an answer its verdict: ``status`` is correct, wrong or unscored, ``score``, ``reason``; of several a list. Of
        a run how many verdicts changed, as "wrong -> correct".

    Raises
    ------
    ReachlabError
        And ValueError: no such task, or an option that cannot be. And OSError: no such run.

    Examples
    --------
    >>> import reachlab as rl
    >>> rl.verify("math", r"so it is \\boxed{\\frac{1}{2}}", "0.5").status
    'correct'
    """
    if answer is not None:
        if gold is None:
            raise InvalidArgumentError("verify: with an answer goes gold, what it is compared with")
        return _verified(run, answer, gold, options)
    if gold is not None:
        raise InvalidArgumentError("verify: with gold goes an answer")
    from reachlab.sampling.verifying import verify

    path = path_of(run, "run")
    Run(path)
    changes = verify(build(VerifyConfig, {**options, "run": path}, function="verify", command="verify"))
    rows = [{"change": what, "samples": count} for what, count in changes.items()]
    return Found(changes, changes, rows, [f"{path}: {sum(changes.values()):,} verdicts changed"])


def _verified(task: Any, answer: Any, gold: Any, options: dict[str, Any]) -> "Verdict | list[Verdict]":
    """The verdict on one answer, or on each of several."""
    from reachlab.tasks.base import Task
    from reachlab.tasks.judging import Judge
    from reachlab.tasks.registry import judging_task
    from reachlab.types import Problem

    if unknown := set(options) - {"timeout", "workers"}:
        raise InvalidArgumentError(f"verify: {min(unknown)} is for a run")
    config: VerifyConfig = build(VerifyConfig, {**options, "run": "-"}, function="verify")
    judging = task if isinstance(task, Task) else judging_task(_text(task))
    several = isinstance(answer, list | tuple)
    answers, golds = (list(answer), _golds(gold, len(answer))) if several else ([answer], [gold])
    if strange := [one for one in answers if not isinstance(one, str)]:
        raise InvalidArgumentError(f"verify: answer must be text, not {type(strange[0]).__name__}")
    problems = [g if isinstance(g, Problem) else Problem(id=str(at), prompt="", answer=g) for at, g in enumerate(golds)]
    with Judge(judging, workers=config.workers or (None if several else 1), timeout_s=config.timeout) as judge:
        found = judge.verify(zip(problems, answers, strict=True))
    return found if several else found[0]


def _golds(gold: Any, count: int) -> list[Any]:
    """One gold an answer. Text or a dict is one, and none for each of its characters or keys."""
    if not isinstance(gold, list | tuple) and getattr(gold, "ndim", 0) != 1:
        raise InvalidArgumentError(
            f"verify: of {count} answers gold must be a list, one each, not {type(gold).__name__}; "
            "of one question give [gold] * len(answer)"
        )
    if len(gold) != count:
        raise InvalidArgumentError(f"verify: {count} answers, and {len(gold)} in gold; give one each")
    return list(gold.tolist() if hasattr(gold, "tolist") else gold)


def _text(task: Any) -> str:
    if not isinstance(task, str) or not task:
        raise InvalidArgumentError(
            f"verify: with an answer, the first argument is a task, such as 'math', not {task!r}"
        )
    return task


@takes(ImportConfig)
def import_samples(file: Any, *, out: Any = None, **options: Any) -> "Imported":
    """Bring in samples drawn elsewhere, judge them, store them as any run.

    Parameters
    ----------
    file : str, path, or list of them
        Logs of lm-evaluation-harness, inspect_ai, verl, TRL, lighteval and others; JSON lines, JSON, CSV, Parquet.
    out : str or path, optional
        Folder of the run, or of the runs where the file holds several; default runs/ and the file's name.

    Returns
    -------
    Imported
        `run` is the run, `runs` are all where the file holds several; `found` says how our verdicts agree with the
        log's labels.

    Raises
    ------
    ReachlabError
        And ValueError: a file of no known format. And OSError: a file that is not there.

    Examples
    --------
    >>> import reachlab as rl
    >>> run = rl.import_samples("samples_gsm8k_2026.jsonl", out="runs/harness").run  # doctest: +SKIP
    """
    from reachlab.imports.importing import import_samples
    from reachlab.progress import track_count

    given = {**options, "file": file, "out": None if out is None else path_of(out, "out")}
    config: ImportConfig = build(ImportConfig, given, function="import_samples", command="import")
    with track_count("import") as tell:
        found = import_samples(config, tell, lambda done, total: None)
    for said in (f"{run.name}: {said}" for run in found for said in run.remarks):
        remark(said)
    return Imported(found)


class Imported(Found["list[ImportedRun]"]):
    """What an import brought in: counts, agreement with the log's labels, and the runs."""

    def __init__(self, found: "list[ImportedRun]"):
        document = [asdict(run) | {"agreement": run.agreement} for run in found]
        shown = ("name", "folder", "format", "problems", "samples", "correct", "wrong", "unscored", "agreement")
        rows = [{name: row[name] for name in shown} for row in document]
        super().__init__(found, document, rows)

    @property
    def runs(self) -> list[Run]:
        """The runs that were stored."""
        return [Run(run.folder) for run in self.found]

    @property
    def run(self) -> Run:
        """The run, where it is one."""
        if len(self.found) != 1:
            raise InvalidArgumentError(f"the import holds {len(self.found)} runs; take .runs")
        return self.runs[0]

    def __fspath__(self) -> str:
        return self.run.path


@takes(ExportConfig)
def export(run: Any, out: Any = None, **options: Any) -> "Found[Exported]":
    """Write a run's samples as JSON lines, Parquet or in the schema of Every Eval Ever.

    Parameters
    ----------
    run : str, path or Run
        A run of samples.
    out : str or path
        The file, e.g. base.jsonl or base.parquet; needed.

    Returns
    -------
    Found
        `found.files` are the files that were written.

    Raises
    ------
    ReachlabError
        And ValueError: a file whose name does not say its format. And OSError: no such run, or a file that cannot be
        written.

    Examples
    --------
    >>> import reachlab as rl
    >>> rl.export("runs/base", "base.parquet")  # doctest: +SKIP
    """
    from reachlab.exports.exporting import export_run
    from reachlab.progress import track_count

    path, file = path_of(run, "run"), out_of(out, "export", "base.parquet")
    Run(path)
    given = {**options, "run": path, "out": file}
    config: ExportConfig = build(ExportConfig, given, function="export", command="export")
    with track_count("export") as tell:
        found = export_run(config, tell)
    document = asdict(found)
    return Found(found, document, [document], [found.words()])


@bordered
def load_task(spec: str) -> "Task":
    """Build the task that a command's ``--task`` names: its problems, its prompts, its verifier.

    Parameters
    ----------
    spec : str
        As ``reachlab tasks`` lists it: "countdown,numbers=3", "gym:gsm_symbolic", "math:FILE".

    Returns
    -------
    Task
        ``problems("test", 10)`` lists some, ``verify(problem, answer)`` judges one.

    Raises
    ------
    ReachlabError
        And ValueError: no such task or setting. And OSError: a file that is not there.

    Examples
    --------
    >>> import reachlab as rl
    >>> task = rl.load_task("countdown,numbers=3")
    >>> problem = task.problems("test", 1)[0]
    >>> task.verify(problem, "1 + 1").status
    'wrong'
    """
    from reachlab.tasks.registry import load_task

    return load_task(spec)
