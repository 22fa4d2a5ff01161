"""What samples say beyond a comparison: plans, luck, further measures, likelihoods, entropies."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from reachlab.comparing.config import PowerConfig
from reachlab.errors import InvalidArgumentError
from reachlab.library.border import remark
from reachlab.library.found import Found
from reachlab.library.functions import takes
from reachlab.library.given import model_of, path_of
from reachlab.library.keywords import build
from reachlab.library.run import Run
from reachlab.measures.config import ChanceConfig, EntropyConfig, MeasuresConfig, PerplexityConfig, ScoreConfig

if TYPE_CHECKING:
    from reachlab.boundary.perplexity import PerplexityMatrix
    from reachlab.boundary.power import Power
    from reachlab.measures.chance_rate import ChanceRate
    from reachlab.measures.entropy import EntropyResult
    from reachlab.measures.results import RunResults
    from reachlab.measures.scoring import ScoredRun


@takes(PowerConfig, without=("base", "other", "matrix"))
def power(base: Any, other: Any = None, **options: Any) -> "Found[Power]":
    """Say how many problems, and samples of each, would show a difference of so many points between two models.

    Parameters
    ----------
    base : run or table, or dict of two
        The base model: what `compare` takes. Or both models by their names, the base first.
    other : run or table, optional
        The other model.

    Returns
    -------
    Found
        A row a k, a number of samples and a difference: how many problems it takes.

    Raises
    ------
    ReachlabError
        And ValueError: not two models, or an option that cannot be. And OSError: a run that is not there.

    Examples
    --------
    >>> import reachlab as rl
    >>> plan = rl.power({"base": ([1, 0, 3, 2], 4), "rl": ([4, 0, 3, 3], 4)}, points=5, k=1)
    >>> int(plan.to_frame()["problems"].max())
    1180
    """
    from reachlab.comparing.models import plan_power
    from reachlab.library.models import is_run, read_models

    config: PowerConfig = build(PowerConfig, options, function="power", command="power")
    both = base if other is None else [base, other]
    if other is not None and not (is_run(base) and is_run(other)):
        both = {"base": base, "other": other}
    plan = plan_power(config, read_models(both, config, remark).recipes)
    rows = [
        {
            "k": at.k,
            "samples": needed.samples,
            "points": points,
            "problems": problems,
            "difference": at.difference,
            "detectable": at.detectable,
            "fitted": at.fitted,
        }
        for at in plan.ks
        for needed in at.needed
        for points, problems in zip(plan.points, needed.problems, strict=True)
    ]
    said = f"{plan.other} against {plan.base}: {plan.problems:,} problems of both, {plan.samples:,} samples of each"
    return Found(plan, plan.to_dict(), rows, [said])


@takes(ChanceConfig)
def chance(run: Any, **options: Any) -> "Found[ChanceRate]":
    """Measure luck: how often a run's answers are right for problems that they were not meant for.

    What comes out is kept beside the run, and shown by `report` and `measure`.

    Parameters
    ----------
    run : str, path or Run
        A run of samples.

    Returns
    -------
    Found
        A row an answer space, with its luck beside that of uniform guessing.

    Raises
    ------
    ReachlabError
        And ValueError: an option that cannot be. And OSError: no such run.
    """
    from reachlab.measures.chance_rate import measure_chance

    path = Run(run).path
    found = measure_chance(build(ChanceConfig, {**options, "run": path}, function="chance", command="chance"))
    lost = int(found.unscored_SP.sum())
    said = [f"{lost:,} answers were not scored"] if lost else []
    return Found(found, found.to_dict(), found.rows(), said)


@takes(MeasuresConfig)
def measure(runs: Any, **options: Any) -> "Found[list[RunResults]]":
    """Read what runs say beyond pass@k: chains, votes, entropy of answers, best of k, distinct solutions, copies.

    Parameters
    ----------
    runs : run, or list of runs
        Runs of samples.

    Returns
    -------
    Found
        ``to_dict()`` has everything that was measured, a dictionary a run; a row of the frame is a run and a measure.

    Raises
    ------
    ReachlabError
        And ValueError: an option that cannot be. And OSError: no such run.
    """
    from reachlab.measures.results import measure_folders

    paths = _paths(runs)
    found = measure_folders(build(MeasuresConfig, {**options, "runs": paths}, function="measure", command="measures"))
    rows = [{"run": run.name, "measure": name, "what": result.caption} for run in found for name, result in _told(run)]
    return Found(found, [run.to_dict() for run in found], rows)


@takes(PerplexityConfig)
def perplexity(runs: Any, **options: Any) -> "Found[PerplexityMatrix]":
    """Show how surprising each run's answers are to each model that has scored them; `score` comes first.

    Parameters
    ----------
    runs : run, or list of runs
        Runs that `score` has been at; each is a writer.

    Returns
    -------
    Found
        A row a writer, a judge and a set of answers (all, or the right ones).

    Raises
    ------
    ReachlabError
        And ValueError: nothing has been scored. And OSError: no such run.
    """
    from reachlab.comparing.perplexities import compare_perplexities

    config: PerplexityConfig = build(
        PerplexityConfig, {**options, "runs": _paths(runs)}, function="perplexity", command="perplexity"
    )
    matrix = compare_perplexities(config, remark)
    rows = []
    for writer in matrix.writers:
        for judge in matrix.judges:
            cell = matrix.cell(judge, writer)
            for answers, found in (("all", cell.all), ("right", cell.correct)) if cell is not None else ():
                if found is not None:
                    rows.append({"writer": writer, "judge": judge, "answers": answers, **asdict(found)})
    return Found(matrix, matrix.to_dict(), rows)


@takes(ScoreConfig)
def score(runs: Any, model: Any, **options: Any) -> "Found[list[ScoredRun]]":
    """Ask a model how likely the stored answers of runs are under it. Kept as columns of each run.

    The same call again scores only what is missing.

    Parameters
    ----------
    runs : run, or list of runs
        Runs of samples.
    model : str, path or Training
        The judge.

    Returns
    -------
    Found
        A row a run.

    Raises
    ------
    ReachlabError
        And ValueError: an option that cannot be. And OSError: a run or model that is not there.
    """
    from reachlab.measures.scoring import score

    given = {**options, "runs": _paths(runs), "model": model_of(model)}
    found = score(build(ScoreConfig, given, function="score", command="score"), remark)
    document = [asdict(run) for run in found]
    return Found(found, document, document, [run.words() for run in found])


@takes(EntropyConfig)
def entropy(model: Any, task: str, *, match: Any = None, **options: Any) -> "Found[EntropyResult]":
    """Measure a model's token entropy on its own answers, and the temperature that matches it to another's.

    Parameters
    ----------
    model : str, path or Training
        The model.
    match : str, path or Training, optional
        A model to match, the base as a rule: also find the temperature at which this model has its entropy.

    Returns
    -------
    Found
        A row a temperature; `found.match` is the temperature that matches.

    Raises
    ------
    ReachlabError
        And ValueError: an option that cannot be. And OSError: a model that is not there.
    """
    from reachlab.measures.entropy import measure_entropy

    other = None if match is None else model_of(match)
    given = {**options, "model": model_of(model), "task": task, "match": other}
    found = measure_entropy(build(EntropyConfig, given, function="entropy", command="entropy"), remark)
    document = found.to_dict()
    return Found(found, document, document["readings"], found.lines())


def _paths(runs: Any) -> list[str]:
    """Runs as paths: one, or a list of them, all of which are there."""
    several = runs if isinstance(runs, list | tuple) else [runs]
    if not several:
        raise InvalidArgumentError("name at least one run")
    return [Run(path_of(run, "run")).path for run in several]


def _told(run: "RunResults") -> list[tuple[str, Any]]:
    from reachlab.measures import load_measures

    captions = {measure.name: measure for measure in load_measures()}
    return [(name, captions[name]) for name in run.of]
