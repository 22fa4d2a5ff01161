"""What is compared: each model by its name and its runs, one a seed, as they are given on a command line.

RUN            one run; its folder's name is the model's
NAME=RUN       the same, under another name
NAME=RUN,RUN   several runs of one recipe, which differ in their seeds
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reachlab.boundary.recipe import Recipe
from reachlab.errors import NotFoundError, ReachlabError
from reachlab.measures.completions import check_same_part
from reachlab.pairing.matching import Match, Matched, match_runs
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore

TABLES = (".npz", ".npy", ".csv", ".tsv", ".csv.gz", ".tsv.gz")
SHOWN = 6
"""Runs that an error names."""
NAMED = re.compile(r"([^=/\\:]+)=(.+)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Given:
    """One model: its name, "" where none was given, and its runs."""

    name: str
    runs: tuple[RunFolder, ...]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The models, on problems that ask the same; `stores` has each model's runs, and `matched` all of them in a row,
    under `names`."""

    recipes: tuple[Recipe, ...]
    stores: tuple[tuple[SampleStore, ...], ...]
    matched: Matched
    names: tuple[str, ...]


def parse_model(text: str, folder: Callable[[str], RunFolder] = RunFolder) -> Given:
    """A model from what a user wrote; a folder that is there is meant as it stands, whatever signs its name has.
    `folder` opens one.

    Raises:
        ReachlabError: an empty name of a run, or a run twice.
    """
    named = NAMED.fullmatch(text)
    if named is None or _is_run(text):
        return Given(name="", runs=(folder(text),))
    paths = [named[2]] if _is_run(named[2]) else named[2].split(",")
    if not all(path.strip() for path in paths):
        raise ReachlabError(f"{text}: a run's name is empty; write NAME=RUN,RUN")
    if len(set(paths)) < len(paths):
        raise ReachlabError(f"{text}: names a run twice; a recipe's runs are different ones")
    return Given(name=named[1].strip(), runs=tuple(map(folder, paths)))


def _is_run(path: str) -> bool:
    try:
        return RunFolder(path).exists("run.json")
    except ReachlabError:  # a name and a URL are no URL
        return False


def _check_run(folder: RunFolder) -> None:
    """Say what is there in the place of a run of samples.

    Raises:
        ReachlabError: none is.
    """
    if folder.exists("problems.jsonl"):
        return
    if folder.path.lower().endswith(TABLES):
        raise ReachlabError(f"{folder.url}: a table and no run; put it behind --matrix")
    inner = sorted(path.split("/")[-2] for path in folder.glob("*/problems.jsonl"))
    if inner:
        named = ", ".join(inner[:SHOWN]) + (" ..." if len(inner) > SHOWN else "")
        raise ReachlabError(f"{folder.url}: holds {len(inner)} runs of samples and is none itself; name these: {named}")
    if folder.exists("config.json") or folder.exists("model/config.json"):
        raise ReachlabError(
            f"{folder.url}: a model and no run of samples; draw some: reachlab sample --model {folder.url} --task ..."
        )
    missing = ReachlabError if folder.exists() else NotFoundError
    raise missing(f"{folder.url}: not a run of samples (no problems.jsonl)")


def read_compared(
    texts: Sequence[str], match: Match = "id", folder: Callable[[str], RunFolder] = RunFolder
) -> Compared:
    """Read all models' runs; `folder` opens one.

    Raises:
        ReachlabError: as of `parse_model` and `read_given`.
    """
    return read_given([parse_model(text, folder) for text in texts], match)


def read_given(models: Sequence[Given], match: Match = "id") -> Compared:
    """Read all models' runs.

    Raises:
        ReachlabError: no model, a run under two models, or as of `match_runs`.
    """
    if not models:
        raise ReachlabError("name at least one run folder")
    folders = [run for model in models for run in model.runs]
    urls = [run.url.rstrip("/") for run in folders]
    if twice := next((url for url in urls if urls.count(url) > 1), None):
        raise ReachlabError(f"{twice}: named twice; a run cannot be compared with itself")
    short = [run.name for run in folders]
    # Folders of one name in different places: the places tell them apart.
    titles = short if len(set(short)) == len(short) else urls
    names: list[str] = []
    for model in models:
        own = titles[len(names) : len(names) + len(model.runs)]
        names += [model.name] if model.name and len(own) == 1 else own
    if len(set(names)) < len(names):
        raise ReachlabError(f"two models have the same name; rename one of: {', '.join(names)}")
    for run in folders:
        _check_run(run)
    runs = [SampleStore(run) for run in folders]
    check_same_part(runs)
    matched = match_runs(runs, names, match)
    recipes, stores, start = [], [], 0
    for model in models:
        own_runs = slice(start, start + len(model.runs))
        recipes.append(Recipe(model.name or names[start], matched.outcomes[own_runs]))
        stores.append(matched.stores[own_runs])
        start += len(model.runs)
    return Compared(recipes=tuple(recipes), stores=tuple(stores), matched=matched, names=tuple(names))
