"""`reachlab sample`: draw, judge, store; resume.

The samples of a run, problem after problem, are cut into parts. A part is drawn as one piece of work, so what is in a
batch together depends on the configuration and not on where an earlier process was killed: the finished run equals an
undisturbed one bit for bit, on the same machine with the embedded engine. An engine that batches by itself hands out
samples as they finish; those are stored every half minute. Who draws is `backend.py`'s. Workers (`--shard`)
take every n-th part. With `--adaptive` it is the samples from
one look to the next that are cut into parts (`adaptive.py`).

Axes. N: samples of a piece.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from reachlab.engines import engine_kind
from reachlab.errors import ReachlabError
from reachlab.measures.completions import Completions, read_completions
from reachlab.measures.doubts import Doubts, read_doubts
from reachlab.progress import track, unseen
from reachlab.runs import RunFolder
from reachlab.sampling.completing import judge_answers
from reachlab.sampling.config import SampleConfig
from reachlab.sampling.drawing import Key
from reachlab.sampling.settling import SettledRun, is_served, settle_run
from reachlab.sampling.work import SamplingWork
from reachlab.store.adaptive import AdaptivePlan, ending, say, sum_up
from reachlab.store.samples import SampleStore
from reachlab.tasks.identity import as_begun


@dataclass(frozen=True)
class SamplingResult:
    """What `sample` did: samples drawn now, samples the run holds, how an adaptive run ended, in words, and which
    verdicts to look at, or how questions were completed; None where the run holds none."""

    drawn: int
    stored: int
    ended: str = ""
    doubts: Doubts | None = None
    completions: Completions | None = None


def sample(config: SampleConfig, notify: Callable[[str], None] = lambda remark: None) -> SamplingResult:
    """Draw what the run lacks of its samples. `notify` hears remarks for the user before the work begins.

    Raises:
        ReachlabError: a model, task or folder that cannot be used; what is stored stays.
    """
    folder = RunFolder(config.out)
    folder.check_free()
    run = settle_run(config, folder)
    store = SampleStore(folder)
    drawn, ended = draw_run(run, SamplingWork(run, store, notify))
    stored = len(store.read_encoded([]))
    if stored < drawn:
        raise ReachlabError(f"{folder.url}: holds {stored:,} samples, and {drawn:,} were drawn now: parts are gone")
    if run.prefixed is not None and stored:
        judge_answers(store, run.prefixed, timeout_s=config.verify_timeout)
        return SamplingResult(drawn, stored, completions=read_completions(store))
    return SamplingResult(drawn, stored, ended, read_doubts(store, run.task) if stored else None)


def draw_run(run: SettledRun, work: SamplingWork) -> tuple[int, str]:
    """Claim the run's folder, and draw what it lacks; how many samples that were, and how an adaptive run ended.

    Raises:
        ReachlabError: as `sample`.
    """
    folder, store = work.folder, work.store
    try:
        if not folder.exists("run.json"):
            work.open()  # a model that cannot be used leaves nothing behind
        identity = {**run.identity, "dtype": _dtype(run.config, work)}
        for remark in run.remarks:
            work.notify(remark)
        folder.claim("sample", as_begun(folder, identity), {**run.facts, "problem_seed": run.config.problem_seed})
        if not folder.exists("problems.jsonl"):
            store.write_problems(run.problems)
        if run.plan is not None:
            drawn, ended = _sample_adaptively(run.plan, work, work.notify)
        else:
            drawn, ended = _sample_all(work), ""
    finally:
        work.close()
    folder.check_there()
    return drawn, ended


def _dtype(config: SampleConfig, work: SamplingWork) -> str:
    """What the run's samples are computed in, for its identity."""
    if engine_kind(config).served and (config.dtype == "auto" or is_served(config)):
        return "as served"
    return work.backend.dtype if config.dtype == "auto" else config.dtype


def _sample_all(work: SamplingWork) -> int:
    """Draw what is missing of every problem's samples, or of a worker's share of them; how many that was."""
    config, problems = work.config, work.problems
    done = work.store.drawn()
    worker, workers = config.worker()
    parts = _parts(len(problems), config.answers, work.part_size)
    mine = [part for i, part in enumerate(parts) if i % workers == worker]
    missing = [[(p, s) for p, s in part if s not in done.get(problems[p].id, ())] for part in mine]
    total, left = sum(map(len, mine)), sum(map(len, missing))
    with track(work.label, total, total - left) if work.label else unseen() as advance:
        return sum(len(samples) for _, samples in work.draw([part for part in missing if part], advance))


def _sample_adaptively(plan: AdaptivePlan, work: SamplingWork, notify: Callable[[str], None]) -> tuple[int, str]:
    """Draw what the plan wants and the run lacks, look by look; how many samples that were, and how the run ended."""
    store = work.store
    ledger = store.ledger(plan)
    standing, drawn = ledger.standing(), 0
    looks = [ledger.look(standing, at) for at in range(standing.done)]
    while not ending(plan, looks):
        total, left = ledger.stretch(standing)
        with track(f"sample to {plan.looks[standing.done]:,}", total, total - left) as advance:
            for piece, samples in work.draw(list(ledger.parts(standing, work.part_size)), advance):
                status_N = np.array([sample.verdict.status for sample in samples])
                problem_N, sample_N = np.array(piece).T
                ledger.add(problem_N, sample_N, status_N != "unscored", status_N == "correct")
                drawn += len(samples)
        standing = ledger.standing()
        looks.extend(ledger.look(standing, at) for at in range(len(looks), standing.done))
        notify(say(plan, looks[-1]))
    document = {"looks": [look.to_dict() for look in looks], "ended": ending(plan, looks)}
    if not store.folder.exists("adaptive.json") or store.folder.read_json("adaptive.json") != document:
        store.folder.write("adaptive.json", json.dumps(document, indent=2) + "\n")
    return drawn, sum_up(plan, looks)


def _parts(problems: int, samples: int, size: int) -> Iterator[list[Key]]:
    """(problem, index) of every sample, problem after problem, `size` at a time."""
    total = problems * samples
    for start in range(0, total, size):
        yield [divmod(i, samples) for i in range(start, min(start + size, total))]
