"""What a server shows of one state of the runs: the page, the blocks that its scripts ask for, where samples are."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from plotly.offline import get_plotlyjs

from reachlab import __version__
from reachlab.boundary.comparison import Findings
from reachlab.errors import ReachlabError
from reachlab.measures.completions import QuestionMemory
from reachlab.pairing.compared import Compared
from reachlab.reporting import assets
from reachlab.reporting.answer_keys import answer_keys
from reachlab.reporting.blocks import packed
from reachlab.reporting.content import Served, plotly
from reachlab.reporting.entries import Entry
from reachlab.reporting.excerpts import SampleExcerpt
from reachlab.reporting.figures import of_training
from reachlab.reporting.lineage import Ancestor
from reachlab.reporting.making import Extra
from reachlab.reporting.page import compose, script_json
from reachlab.reporting.problem_browser import Posed, chunk_of, rows_of
from reachlab.reporting.problem_pictures import copies
from reachlab.reporting.styles import Style
from reachlab.runs import RunFolder
from reachlab.serving.rows import RowsReader, RunRows
from reachlab.store.samples import SampleStore

PAGE = 20
"""Most samples that one answer holds."""
ROOM = 400_000
"""Characters after which an answer ends; a sample is in it whole, or not at all."""
LONGEST = 2_000_000
"""Characters of a sample's text, at most."""

Compare = Callable[[tuple[str, ...]], tuple[Findings, Compared, Sequence[QuestionMemory]]]
"""Compares the models that are named so, as `reachlab report` does."""
Learners = Sequence[tuple[str, RunFolder]]
"""Training runs of which there are no samples, by name."""


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A training run of which there are curves and no samples, as the figures of training take it."""

    name: str
    style: Style
    trainings: Sequence[Ancestor]


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelRows:
    """A model's samples: the rows of its runs, and of some problems a sample whose verdict is one to look at."""

    name: str
    runs: Sequence[RunRows]
    doubtful: Mapping[str, int]

    def count(self, problem_id: str) -> int:
        """How many samples of a problem there are."""
        return sum(len(run.of_problem(problem_id).row_N) for run in self.runs)

    def one(self, problem_id: str, sample: int, run: int) -> list[SampleExcerpt]:
        """The sample of a number, of the run at this place: several of a recipe have one of that number. Nothing where
        there is none.

        Raises:
            ReachlabError: a part that cannot be read.
        """
        for one in self.runs[run : run + 1]:
            rows = one.of_problem(problem_id)
            for at in np.flatnonzero(rows.sample_N == sample).tolist():
                return one.read(rows, at, at + 1, LONGEST, problem_id)
        return []

    def samples(self, problem_id: str, start: int, most: int = PAGE, room: int = ROOM) -> list[SampleExcerpt]:
        """At most `most` samples of a problem from a place on, run after run, and the first of these at least.

        Raises:
            ReachlabError: a part that cannot be read.
        """
        found: list[SampleExcerpt] = []
        for at, run in enumerate(self.runs):
            doubtful = self.doubtful.get(problem_id, -1) if at == 0 else -1
            rows = run.of_problem(problem_id, doubtful)
            end = min(len(rows.row_N), start + most - len(found))
            # All in one pass: what takes long is to get at a row of a part, and not how many are taken from it.
            for one in run.read(rows, start, end, LONGEST, problem_id) if start < end else ():
                if found and one.text.length > room:
                    return found
                found.append(replace(one, doubtful=one.sample == doubtful))
                room -= one.text.length
            start = max(0, start - len(rows.row_N))
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class ServedState:
    """One state of the runs; `version` and `shape` as of `Served`."""

    version: str
    shape: str
    html: str
    blocks: Mapping[str, bytes]
    models: Sequence[ModelRows] = ()
    problems: Sequence[Posed] = ()
    stores: Sequence[SampleStore] = ()

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Where each problem is among `problems`, by id."""
        return {posed.problem.id: at for at, posed in enumerate(self.problems)}

    @cached_property
    def hashes(self) -> Mapping[str, Sequence[str]]:
        """Of problems with pictures, the hashes of these as they were when the run was drawn."""
        return self.stores[0].image_hashes() if any(posed.problem.images for posed in self.problems) else {}

    def block(self, name: str) -> bytes | str | None:
        """A block, packed or as text; None: there is none of that name.

        Raises:
            ReachlabError: a run that cannot be read.
        """
        if name in self.blocks:
            return self.blocks[name]
        kind, _, number = name.partition("-")
        if not number.isascii() or not number.isdecimal() or len(number) > 9 or int(number) >= len(self.problems):
            return None
        posed = self.problems[int(number)]
        problem = posed.problem
        if kind == "pictures":
            return json.dumps(copies(problem.images, self.hashes.get(problem.id, ())))
        if kind != "chunk":
            return None
        room = max(1, ROOM // len(self.models))
        return chunk_of(posed, [model.samples(problem.id, 0, 8, room) for model in self.models], LONGEST)

    def samples(
        self, model: int, problem: int, start: int, only: int | None = None, run: int = 0
    ) -> dict[str, Any] | None:
        """More samples of a problem, and how many come after these; or `only` the one of this number, of the `run` at
        this place among the model's. None: no such model or problem.

        Raises:
            ReachlabError: a run that cannot be read.
        """
        if model >= len(self.models) or problem >= len(self.problems):
            return None
        rows, problem_id = self.models[model], self.problems[problem].problem.id
        if only is not None:
            return {"samples": rows_of(rows.one(problem_id, only, run), LONGEST), "left": 0}
        found = rows.samples(problem_id, start)
        return {"samples": rows_of(found, LONGEST), "left": max(0, rows.count(problem_id) - start - len(found))}


def of_samples(
    version: str, title: str, compare: Compare, ready: Sequence[str], learners: Learners, reader: RowsReader,
    stamps: Mapping[str, str],
) -> ServedState:  # fmt: skip
    """The page of a comparison.

    Args:
        version: the state's name. title: the page's heading. compare: makes the comparison. ready: the models to
            compare, as a user names them. learners: training runs to show beside them. reader: reads where samples
            are. stamps: of a part's path, which state of it lies there.

    Raises:
        ReachlabError: the models cannot be compared, or a run cannot be read.
    """
    comparison, compared, memories = compare(tuple(ready))
    trainings = _learners(learners, len(comparison.models))
    served = Served(
        version=version,
        shape=_shape("samples", [model.name for model in comparison.models], [one.name for one in trainings]),
        trainings=cast("list[Entry]", trainings),  # they have what the figures of training take of a model
    )
    content = compose(
        comparison,
        compared.stores,
        title=title,
        extra=Extra(),
        remarks=(),
        notes=compared.matched.remarks,
        memories=memories,
        served=served,
    )
    stores = {model.name: runs for model, runs in zip(comparison.models, compared.stores, strict=True)}
    rows = iter(reader.read([store for entry in content.entries for store in stores[entry.name]], stamps))
    models = [
        ModelRows(name=entry.name, runs=[next(rows) for _ in stores[entry.name]], doubtful=doubtful)
        for entry, doubtful in zip(content.entries, content.doubtful, strict=True)
    ]
    base = content.entries[0]
    known = {problem.id: problem for problem in base.store.problems()}
    problems = [known[problem_id] for problem_id in base.outcomes.problem_ids]
    return ServedState(
        version=version,
        shape=served.shape,
        html=content.html,
        blocks={name: base64.b64decode(block) for name, block in content.blocks.items()},
        models=models,
        problems=[Posed(*pair) for pair in zip(problems, answer_keys(base.store, problems), strict=True)],
        stores=[base.store],
    )


def of_training_runs(version: str, title: str, learners: Learners, said: Sequence[str]) -> ServedState:
    """The page while there is nothing to compare: what is waited for, and training curves."""
    trainings = _learners(learners, 0)
    sections = of_training.sections(cast("list[Entry]", trainings))
    figures = [figure for section in sections for figure in section.figures]
    shell, scripts = assets.read(assets.SHELL), assets.scripts(assets.served(assets.FIGURES_ONLY))
    served = Served(version=version, shape=_shape("waiting", [], [one.name for one in trainings]))
    html = assets.template("waiting.html").render(
        css=assets.css(),
        policy=assets.policy([shell, *scripts, get_plotlyjs()], fetches=True),
        shell=shell,
        models=(),
        scripts=scripts,
        plots=script_json({figure.id: figure.plot for figure in figures}),
        version=__version__,
        served=served,
        title=title or "Training",
        said=said,
        sections=sections,
    )
    data = packed(json.dumps({figure.id: figure.data.csv() for figure in figures}))
    blocks = {"plotly": plotly(), "data": data}
    return ServedState(
        version=version,
        shape=served.shape,
        html=html,
        blocks={name: base64.b64decode(block) for name, block in blocks.items()},
    )


def _learners(named: Sequence[tuple[str, RunFolder]], first: int) -> list[Learner]:
    """Training runs as models with a style of their own each, behind the `first` ones."""
    found = []
    for at, (name, folder) in enumerate(named):
        try:
            training = Ancestor(folder, folder.read_json("run.json"))
        except ReachlabError:  # taken away since it was looked at
            continue
        found.append(Learner(name=name, style=Style(first + at), trainings=[training]))
    return found


def _shape(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(errors="replace"), digest_size=8).hexdigest()
