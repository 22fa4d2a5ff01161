"""Small runs with all that breaks measures, made in a folder for `check_measure`.

The base has everything: unequal n, unscored and cut samples, a problem that is never solved, final answers, chains,
log-probabilities, scores of a judge and the chance rate. The others lack something each.
"""

from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from reachlab.boundary.compare import compare
from reachlab.measures.chance_rate import measure_chance
from reachlab.measures.config import ChanceConfig
from reachlab.measures.measured_run import Intervals, MeasuredRun, Shared
from reachlab.runs import RunFolder
from reachlab.store.samples import SampleStore
from reachlab.tasks.registry import load_task
from reachlab.types import Problem, Sample, StepCheck, Verdict

TASK = "chain,length=2"
PLAIN = {"temperature": 1.0, "top_p": 1.0, "top_k": 0}
INTERVALS = Intervals(resamples=100)
FEWEST, MOST = 9, 12
"""Samples of a problem."""


class MadeRuns:
    """Makes the runs where they are asked for, each once; several checks can share them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.problems: list[Problem] = load_task(TASK).problems("test", 6)

    @cached_property
    def base(self) -> MeasuredRun:
        """A run that has everything."""
        return run_of(self._whole("base", 0))

    @cached_property
    def other(self) -> MeasuredRun:
        """Another one, compared with the base."""
        return against(self.base, run_of(self._whole("other", 1)))

    def _whole(self, name: str, seed: int) -> SampleStore:
        store = self._store(name, self.samples(seed))
        for path in store.parts():
            count = len(store.read_part(path, ["sample"]))
            scores = {"logprob:judge": pa.array([-2.0 - i for i in range(count)], pa.float32())}
            tokens = {"tokens:judge": pa.array([3] * count, pa.int32())}
            store.add_columns(path, scores | tokens, {"model": "m", "dtype": "float32"})
        with redirect_stderr(StringIO()):  # a bar would say nothing here
            measure_chance(ChanceConfig(run=store.folder.path, workers=1))
        return store

    @cached_property
    def permuted(self) -> MeasuredRun:
        """The base with each problem's samples in another order."""
        rng = np.random.default_rng(7)
        found = []
        for problem in self.problems:
            own = [s for s in self.samples(0) if s.problem_id == problem.id]
            drawn = rng.permutation(len(own)).tolist()
            found += [replace(own[at], index=index) for index, at in enumerate(drawn)]
        return run_of(self._store("permuted", found))

    @cached_property
    def reordered(self) -> MeasuredRun:
        """The base with its problems listed the other way round."""
        samples = sorted(self.samples(0), key=lambda s: -[p.id for p in self.problems].index(s.problem_id))
        return run_of(self._store("reordered", samples, self.problems[::-1]))

    @cached_property
    def lacking(self) -> list[tuple[str, MeasuredRun]]:
        """What may be missing in a run, in words, and a run where it is."""
        return list(self._lacking())

    def _lacking(self) -> Iterator[tuple[str, MeasuredRun]]:
        samples = self.samples(0)
        yield "of one sample a problem", run_of(self._store("one", [s for s in samples if s.index == 0]))
        silent = [replace(s, logprob=None) for s in samples]
        yield "without log-probabilities", run_of(self._store("silent", silent))
        bare: dict[str, Any] = {"text": "", "tokens": 0, "engine": "import", "logprob": None, "steps": None}
        verdicts = [replace(s, **bare, final_answer=None) for s in samples]
        yield "of verdicts without text", run_of(self._store("bare", verdicts, decoding=None))
        wrong = [replace(s, verdict=Verdict.wrong(), steps=StepCheck(0, 1)) for s in samples]
        yield "in which nothing is right", run_of(self._store("wrong", wrong))
        right = [replace(s, verdict=Verdict.correct(), steps=StepCheck(1, 1)) for s in samples]
        yield "in which everything is right", run_of(self._store("right", right))
        yield "of one problem", run_of(self._store("lone", [s for s in samples if s.problem_id == self.problems[0].id]))

    def samples(self, seed: int) -> list[Sample]:
        """The samples of the base; the last problem is never solved."""
        rng = np.random.default_rng(seed)
        found = []
        for p, problem in enumerate(self.problems):
            for index in range(MOST if p % 2 else FEWEST):
                said = int(rng.integers(0, 2 + p))
                right = said == 0 and p < len(self.problems) - 1
                verdict = Verdict.correct() if right else Verdict.wrong()
                found.append(
                    Sample(
                        problem_id=problem.id,
                        index=index,
                        text=f"0+{said}={said}",
                        tokens=4 + said,
                        finish="length" if index == 5 else "stop",
                        logprob=-1.0 - said - 0.01 * index,
                        seed=1000 * (100 * seed + p) + index,
                        engine="transformers",
                        verdict=Verdict.unscored("the verifier died") if (p, index) == (1, 2) else verdict,
                        steps=StepCheck(int(right and index != 3), 1),
                        final_answer=None if (p, index) == (2, 4) else str(said),
                    )
                )
        return found

    def _store(
        self,
        name: str,
        samples: Sequence[Sample],
        problems: Sequence[Problem] | None = None,
        decoding: dict[str, Any] | None = PLAIN,
    ) -> SampleStore:
        """A run of these samples in two parts."""
        folder = RunFolder(self.folder / name)
        folder.claim("sample", {"task": TASK, "decoding": decoding})
        store = SampleStore(folder)
        store.write_problems(self.problems if problems is None else problems)
        half = (len(samples) + 1) // 2
        for part in (samples[:half], samples[half:]):
            if part:
                store.write_part(part)
        return store


def run_of(store: SampleStore) -> MeasuredRun:
    """A run alone, as a base is compared."""
    outcomes = store.outcomes()
    scored = [i for i, n in zip(outcomes.problem_ids, outcomes.n_P, strict=True) if n]
    return MeasuredRun(store, INTERVALS, shared=Shared(outcomes=outcomes.select(scored), pair=None, runs=1))


def against(base: MeasuredRun, other: MeasuredRun) -> MeasuredRun:
    """The other run as it is compared with the base."""
    assert base.shared is not None
    assert other.shared is not None
    two = [replace(base.shared.outcomes, name="base"), replace(other.shared.outcomes, name="other")]
    (pair,) = compare(two, resamples=100).pairs
    return MeasuredRun(other.store, INTERVALS, shared=replace(other.shared, pair=pair))
