"""`reachlab sample`: draw, judge, store; resume.

The samples of a run, problem after problem, are cut into parts. A part is drawn as one piece of work, so what is in a
batch together depends on the configuration and not on where an earlier process was killed: the finished run equals an
undisturbed one bit for bit, on the same machine with the embedded engine. An engine that batches by itself hands out
samples as they finish; those are stored every half minute. Who draws is `backend.py`'s. Workers (`--shard`)
take every n-th part. With `--adaptive` it is the samples from
one look to the next that are cut into parts (`adaptive.py`).
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, cast

import numpy as np

from reachlab.engines import engine_kind, open_engine
from reachlab.engines.config import Decoding
from reachlab.engines.context_length import served_prompts
from reachlab.errors import ReachlabError
from reachlab.limits import MOST, MOST_SAMPLES
from reachlab.measures.completions import Completions, read_completions
from reachlab.measures.doubts import Doubts, read_doubts
from reachlab.models.checkpoint import hash_model, load_tokenizer
from reachlab.models.dtypes import DTYPES
from reachlab.models.pinning import locate
from reachlab.models.positions import positions
from reachlab.models.tokenizer import prompt_ids
from reachlab.progress import Advance, track
from reachlab.prompting.asking import asked_task
from reachlab.prompting.prompts import check_prompts, fit_answers
from reachlab.runs import RunFolder
from reachlab.sampling.backend import Alone, Crew, Finished
from reachlab.sampling.completing import (
    ANSWER,
    SLACK,
    check_room,
    judge_answers,
    left_out,
    longest_rest,
    prefixed,
    settled,
)
from reachlab.sampling.config import SampleConfig
from reachlab.sampling.drawing import Drawer, Key
from reachlab.sampling.pace import Pace
from reachlab.sampling.ray_backend import RayCrew
from reachlab.store.adaptive import Plan, ending, make_plan, say, sum_up
from reachlab.store.judged import note_judged
from reachlab.store.samples import SampleStore, hash_problems
from reachlab.tasks.base import Split, Task
from reachlab.types import Problem, Sample

Chosen = Literal["auto", "float32", "bfloat16", "float16"]

STORE_EVERY_S = 30.0
"""Where samples come a few at a time: about the longest that finished ones wait to be stored with others."""


@dataclass(frozen=True)
class SamplingResult:
    """What `sample` did: samples drawn now, samples the run holds, how an adaptive run ended, in words, and which
    verdicts to look at, or how questions were completed; None where the run holds none."""

    drawn: int
    stored: int
    ended: str = ""
    doubts: Doubts | None = None
    completions: Completions | None = None


def sample(config: SampleConfig, tell: Callable[[str], None] = lambda remark: None) -> SamplingResult:
    """Draw what the run lacks of its samples. `tell` hears remarks for the user before the work begins.

    Raises:
        ReachlabError: a model, task or folder that cannot be used; what is stored stays.
    """
    config = settled(config)
    folder = RunFolder(config.out)
    folder.check_free()
    remarks: list[str] = []
    facts = {"model_path": config.model}
    if not _is_served(config):
        found = locate(config.model, [folder], remarks.append)
        config, facts = replace(config, model=found.folder), found.facts
    asked = asked_task(config.task, config.ask, config.model)
    task = asked.task
    split: Split = ("all" if task.finite else "test") if config.split == "auto" else config.split
    cut = prefixed(task)
    if cut is None:
        problems = task.problems(split, config.problems, config.problem_seed)
    else:
        problems, uncut = cut.posed(split, config.problems, config.problem_seed)
        remarks += left_out(uncut, len(problems))
    if not problems:
        raise ReachlabError(f"{config.task}: no problem in split {split!r}")
    if len(problems) * config.answers > MOST_SAMPLES:
        raise ReachlabError(
            f"{len(problems):,} problems with {config.answers:,} samples each are more than the {MOST_SAMPLES:,} that "
            "one run may hold; ask for fewer --problems or --samples"
        )
    if asked.remark:
        remarks.append(asked.remark)
    decoding = config.decoding.settled(task.decoding)
    model = _meet(config, facts["model_path"], problems, remarks.append)
    longest = longest_rest(config, problems, _is_served(config)) if cut is not None else 0
    if cut is not None and config.decoding.max_tokens is None:
        decoding = replace(decoding, max_tokens=longest + SLACK + ANSWER)
    decoding = _fit(config, decoding, model, folder, remarks.append)
    if not _is_served(config):
        check_room(config, decoding.max_tokens, longest)
    config = replace(config, dtype=_begun_in(folder, config.dtype))
    identity = {
        "model": model.weights,
        "task": config.task,
        "task_hash": hash_problems(problems),
        "ask": asked.identity,
        "split": split,
        "problems": len(problems),
        "samples": config.answers,
        "decoding": asdict(decoding),
        "seed": config.seed,
    }
    plan = make_plan(config.adaptive, config.answers)
    if plan is not None:
        identity["adaptive"] = plan.to_dict()
    store = SampleStore(folder)
    work = _Work(config, decoding, folder, store, task, problems, model.longest, tell)
    try:
        if not folder.exists("run.json"):
            work.gather()  # a model that cannot be used leaves nothing behind
        identity["dtype"] = _dtype(config, work)
        for remark in [*remarks, *_lost(config)]:
            tell(remark)
        folder.claim("sample", identity, {**facts, "problem_seed": config.problem_seed})
        if not folder.exists("problems.jsonl"):
            store.write_problems(problems)
        if plan is not None:
            drawn, ended = _sample_adaptively(plan, work, tell)
        else:
            drawn, ended = _sample_all(work), ""
    finally:
        work.close()
    folder.check_there()
    stored = len(store.read_encoded([]))
    if stored < drawn:
        raise ReachlabError(f"{folder.url}: holds {stored:,} samples, and {drawn:,} were drawn now: parts are gone")
    if cut is not None and stored:
        judge_answers(store, cut, timeout_s=config.verify_timeout)
        return SamplingResult(drawn, stored, completions=read_completions(store))
    return SamplingResult(drawn, stored, ended, read_doubts(store, task) if stored else None)


def _is_served(config: SampleConfig) -> bool:
    """Whether `model` is what servers call it: its weights are their business, and a run of it is continued by asking
    for the same name."""
    return engine_kind(config).served and not Path(config.model).is_dir()


@dataclass(frozen=True)
class _Met:
    """What is known of a model before it answers: what identifies it, the longest prompt's tokens (characters, where
    nobody can say), and how many tokens there is room for."""

    name: str
    weights: str
    longest: int
    counted: bool
    positions: int | None


def _meet(config: SampleConfig, name: str, problems: Sequence[Problem], tell: Callable[[str], None]) -> _Met:
    """Look at the model and its prompts; remarks are told.

    Raises:
        ReachlabError: no such checkpoint, or one that was not made for these prompts.
    """
    held = engine_kind(config).holds(config)
    asked = [p.asked for p in problems]
    if _is_served(config):
        counted = None if held is None else served_prompts(config.servers, config.model, asked)
        longest = max(len(str(p.prompt)) for p in problems) if counted is None else counted
        return _Met(name, f"served: {config.model}", longest, counted is not None, held)
    weights, tokenizer = hash_model(config.model, rehash=config.rehash), load_tokenizer(config.model)
    prompts = prompt_ids(tokenizer, asked)
    for remark in check_prompts(config.task, problems, prompts, tokenizer.unk_token_id):
        tell(remark)
    room = min(
        (n for n in (positions(config.model, elsewhere=not engine_kind(config).embedded), held) if n is not None),
        default=None,
    )
    return _Met(name, weights, max(map(len, prompts)), True, room)


def _fit(
    config: SampleConfig, decoding: Decoding, model: _Met, folder: RunFolder, tell: Callable[[str], None]
) -> Decoding:
    """The decoding, with as many tokens as there is room for where the user did not say how many.

    Raises:
        ReachlabError: as `fit_answers`; or nobody can say how long the prompts are, and so what fits.
    """
    said = config.decoding.max_tokens is not None
    if _is_served(config) and not said and folder.exists("run.json"):
        # Servers may have been started anew, with another limit: a run keeps to what it began with.
        begun = folder.read_json("run.json").get("config", {}).get("decoding")
        kept = begun.get("max_tokens") if isinstance(begun, dict) else None
        if isinstance(kept, int) and 1 <= kept <= decoding.max_tokens:
            return replace(decoding, max_tokens=kept)
    if not model.counted:
        if model.positions is not None and decoding.max_tokens >= model.positions:
            raise ReachlabError(
                f"{model.name}: the servers hold {model.positions:,} tokens, prompt and answer, and do not say how "
                f"long the prompts are: give a --max-tokens that leaves room for them, below {model.positions}"
            )
        return decoding
    most, remarks = fit_answers(model.name, model.positions, model.longest, decoding.max_tokens, said=said)
    for remark in remarks:
        tell(remark)
    return replace(decoding, max_tokens=most)


def _begun_in(folder: RunFolder, dtype: Chosen) -> Chosen:
    """The dtype asked for; with "auto", the one that the run was begun with, if it was begun and that is known."""
    if dtype != "auto" or not folder.exists("run.json"):
        return dtype
    begun = folder.read_json("run.json").get("config", {}).get("dtype")
    return cast(Chosen, begun) if begun in DTYPES else dtype


def _dtype(config: SampleConfig, work: "_Work") -> str:
    """What the run's samples are computed in, for its identity."""
    if engine_kind(config).served and (config.dtype == "auto" or _is_served(config)):
        return "as served"
    return work.crew.dtype if config.dtype == "auto" else config.dtype


def _lost(config: SampleConfig) -> Iterator[str]:
    """Remarks on what the requests of this run are sent without, or could be."""
    if not config.request_seeds:
        yield (
            "no seed is sent: the column `seed` stays empty, nothing draws these samples again, and a killed run goes "
            "on with others than it would have drawn"
        )
    if not config.logprobs:
        yield "no log-probabilities are asked for: best@k and the test for duplicates do without"
    if (remark := engine_kind(config).remark) and config.request_seeds and config.logprobs:
        yield remark


class _Work:
    """A run's work: who does it, and where it is put. The crew is gathered when there is something to do."""

    def __init__(
        self,
        config: SampleConfig,
        decoding: Decoding,
        folder: RunFolder,
        store: SampleStore,
        task: Task,
        problems: Sequence[Problem],
        longest: int,
        tell: Callable[[str], None],
    ):
        self.config, self.folder, self.store, self.task, self.problems = config, folder, store, task, problems
        self.decoding, self.longest, self.tell = decoding, longest, tell

    def gather(self) -> None:
        """Have the crew come now.

        Raises:
            ReachlabError: it cannot; a model or a device that cannot be used, a server that does not answer.
        """
        _ = self.crew

    @cached_property
    def crew(self) -> Crew:
        """Whoever the configuration names."""
        config, task, problems = self.config, self.task, self.problems
        if config.cluster.ray:
            return RayCrew(config, self.decoding, task, problems, self.tell)
        engine = open_engine(config)
        return Alone(Drawer(engine, task, problems, self.decoding, config.seed, verify_timeout=config.verify_timeout))

    @cached_property
    def part_size(self) -> int:
        """Samples a part: what the run's first worker found fit for its machine, so that all cut the work alike."""
        if self.config.part:
            return self.config.part
        if not self.folder.exists("part.json"):
            size = self.crew.part_size(self.decoding, self.longest)
            self.folder.write("part.json", f'{{"samples": {size}}}\n')
        found = self.folder.read_json("part.json").get("samples")
        if not isinstance(found, int) or not 1 <= found <= MOST:
            raise ReachlabError(f"{self.folder.file('part.json')}: says no number of samples; delete it")
        return found

    def draw(self, parts: Sequence[Sequence[Key]], advance: Advance) -> Iterator[Finished]:
        """Draw these samples, and store them as they come: a part at once, or smaller pieces a few together."""
        waiting: list[Sample] = []
        if not parts:
            return
        self.gather()  # its start is none of the pace
        note_judged(self.folder, self.task, self.config.verify_timeout)
        pace, stored = Pace(sum(map(len, parts)), self.decoding.max_tokens), time.monotonic()

        def told(samples: int, tokens: int) -> None:
            pace.told(samples, tokens)
            eta, rate = pace.words()
            advance(samples, eta=eta, note=rate)

        try:
            for piece, samples in self.crew.draw(parts, told):
                waiting.extend(samples)
                late = time.monotonic() - stored >= STORE_EVERY_S
                if waiting and (self.crew.whole_parts or late or len(waiting) >= self.part_size):
                    self.store.write_part(waiting)
                    waiting, stored = [], time.monotonic()
                if samples:
                    yield piece, samples
        finally:
            # Also after an error: what is drawn is paid for.
            if waiting:
                self.store.write_part(waiting)

    def close(self) -> None:
        """Send the crew home, if it came."""
        if "crew" in vars(self):
            self.crew.close()


def _sample_all(work: _Work) -> int:
    """Draw what is missing of every problem's samples, or of a worker's share of them; how many that was."""
    config, problems = work.config, work.problems
    done = work.store.drawn()
    worker, workers = config.worker()
    parts = _parts(len(problems), config.answers, work.part_size)
    mine = [part for i, part in enumerate(parts) if i % workers == worker]
    missing = [[(p, s) for p, s in part if s not in done.get(problems[p].id, ())] for part in mine]
    total, left = sum(map(len, mine)), sum(map(len, missing))
    with track("sample", total, total - left) as advance:
        return sum(len(samples) for _, samples in work.draw([part for part in missing if part], advance))


def _sample_adaptively(plan: Plan, work: _Work, tell: Callable[[str], None]) -> tuple[int, str]:
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
        tell(say(plan, looks[-1]))
    document = {"looks": [look.to_dict() for look in looks], "ended": ending(plan, looks)}
    if not store.folder.exists("adaptive.json") or store.folder.read_json("adaptive.json") != document:
        store.folder.write("adaptive.json", json.dumps(document, indent=2) + "\n")
    return drawn, sum_up(plan, looks)


def _parts(problems: int, samples: int, size: int) -> Iterator[list[Key]]:
    """(problem, index) of every sample, problem after problem, `size` at a time."""
    total = problems * samples
    for start in range(0, total, size):
        yield [divmod(i, samples) for i in range(start, min(start + size, total))]
