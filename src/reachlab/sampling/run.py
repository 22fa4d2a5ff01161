"""`reachlab sample`: draw, judge, store; resume.

The samples of a run, problem after problem, are cut into parts. A part is drawn as one piece of work, so what is in a
batch together depends on the configuration and not on where an earlier process was killed: the finished run equals an
undisturbed one bit for bit, on the same machine. Workers take every n-th part. With `--adaptive` it is the samples from
one look to the next that are cut into parts (`adaptive.py`).
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import hash_model, load_model
from reachlab.models.devices import choose_device
from reachlab.models.tokenizer import encode_prompts
from reachlab.progress import Advance, track
from reachlab.runs import RunFolder
from reachlab.sampling.adaptive import Key, Plan, ending, make_plan, say, sum_up
from reachlab.sampling.config import SampleConfig
from reachlab.sampling.draws import sample_seed
from reachlab.sampling.engine import Engine
from reachlab.sampling.prompts import check_prompts
from reachlab.sampling.store import SampleStore, hash_problems
from reachlab.sampling.transformers_engine import TransformersEngine
from reachlab.tasks.base import Split
from reachlab.tasks.judging import Judge
from reachlab.tasks.registry import load_task
from reachlab.types import Problem, Sample

PART_BATCHES = 4
"""A part is this many full batches: few enough to lose little when killed, enough to keep the batch full."""


@dataclass(frozen=True)
class SamplingResult:
    """What `sample` did: samples drawn now, samples the run holds, and how an adaptive run ended, in words."""

    drawn: int
    stored: int
    ended: str = ""


def sample(config: SampleConfig, tell: Callable[[str], None] = lambda remark: None) -> SamplingResult:
    """Draw what the run lacks of its samples. `tell` hears remarks for the user before the work begins.

    Raises:
        ReachlabError: a model, task or folder that cannot be used; what is stored stays.
    """
    task = load_task(config.task)
    split: Split = ("all" if task.finite else "test") if config.split == "auto" else config.split
    problems = task.problems(split, config.problems, config.problem_seed)
    if not problems:
        raise ReachlabError(f"{config.task}: no problem in split {split!r}")
    device = choose_device(config.device)
    model, tokenizer = load_model(config.model, config.dtype)
    prompts = encode_prompts(tokenizer, [p.prompt for p in problems])
    for remark in check_prompts(
        config.model, config.task, problems, prompts, tokenizer.unk_token_id, config.decoding.max_tokens
    ):
        tell(remark)

    folder = RunFolder(config.out)
    identity = {
        "model": hash_model(config.model),
        "task": config.task,
        "task_hash": hash_problems(problems),
        "split": split,
        "problems": len(problems),
        "samples": config.samples,
        "decoding": asdict(config.decoding),
        "seed": config.seed,
        "dtype": config.dtype,
    }
    plan = make_plan(config)
    if plan is not None:
        identity["adaptive"] = plan.to_dict()
    folder.claim("sample", identity, {"model_path": config.model, "problem_seed": config.problem_seed})
    store = SampleStore(folder)
    if not folder.exists("problems.jsonl"):
        store.write_problems(problems)

    model.to(device)
    engine = TransformersEngine(model, tokenizer, config.rows)
    size = config.part or _part_size(folder, engine, config, max(map(len, prompts)))
    with Judge(task, timeout_s=config.verify_timeout) as judge:

        def draw(part: Sequence[Key], advance: Advance) -> list[Sample]:
            samples = _draw(engine, judge, problems, prompts, part, config, advance)
            store.write_part(samples)
            return samples

        if plan is not None:
            drawn, ended = _sample_adaptively(plan, store, size, draw, tell)
        else:
            drawn, ended = _sample_all(config, store, problems, size, draw), ""
    return SamplingResult(drawn, len(store.read(["sample"])), ended)


Draw = Callable[[Sequence[Key], Advance], list[Sample]]
"""Draw, judge and store one part."""


def _sample_all(config: SampleConfig, store: SampleStore, problems: Sequence[Problem], size: int, draw: Draw) -> int:
    """Draw what is missing of every problem's samples, or of a worker's share of them; how many that were."""
    done = store.drawn()
    worker, workers = config.worker()
    mine = [part for i, part in enumerate(_parts(len(problems), config.samples, size)) if i % workers == worker]
    missing = [[(p, s) for p, s in part if s not in done.get(problems[p].id, ())] for part in mine]
    total, left = sum(map(len, mine)), sum(map(len, missing))
    with track("sample", total, total - left) as advance:
        for part in missing:
            if part:
                draw(part, advance)
    return left


def _sample_adaptively(
    plan: Plan, store: SampleStore, size: int, draw: Draw, tell: Callable[[str], None]
) -> tuple[int, str]:
    """Draw what the plan wants and the run lacks, look by look; how many samples that were, and how the run ended."""
    ledger = store.ledger(plan)
    standing, drawn = ledger.standing(), 0
    looks = [ledger.look(standing, at) for at in range(standing.done)]
    while not ending(plan, looks):
        total, left = ledger.stretch(standing)
        with track(f"sample to {plan.looks[standing.done]:,}", total, total - left) as advance:
            for part in ledger.parts(standing, size):
                status_N = np.array([sample.verdict.status for sample in draw(part, advance)])
                problem_N, sample_N = np.array(part).T
                ledger.add(problem_N, sample_N, status_N != "unscored", status_N == "correct")
        drawn += left
        standing = ledger.standing()
        looks.extend(ledger.look(standing, at) for at in range(len(looks), standing.done))
        tell(say(plan, looks[-1]))
    document = {"looks": [look.to_dict() for look in looks], "ended": ending(plan, looks)}
    if not store.folder.exists("adaptive.json") or store.folder.read_json("adaptive.json") != document:
        store.folder.write("adaptive.json", (json.dumps(document, indent=2) + "\n").encode())
    return drawn, sum_up(plan, looks)


def _part_size(folder: RunFolder, engine: TransformersEngine, config: SampleConfig, longest: int) -> int:
    """Samples a part: what the run's first worker found fit for its machine, so that all cut the work alike."""
    if not folder.exists("part.json"):
        size = PART_BATCHES * engine.batches() * engine.choose_rows(config.decoding, longest)
        folder.write("part.json", f'{{"samples": {size}}}\n'.encode())
    return int(folder.read_json("part.json")["samples"])


def _parts(problems: int, samples: int, size: int) -> Iterator[list[tuple[int, int]]]:
    """(problem, index) of every sample, problem after problem, `size` at a time."""
    total = problems * samples
    for start in range(0, total, size):
        yield [divmod(i, samples) for i in range(start, min(start + size, total))]


def _draw(
    engine: Engine,
    judge: Judge,
    problems: Sequence[Problem],
    prompts: Sequence[Sequence[int]],
    part: Sequence[tuple[int, int]],
    config: SampleConfig,
    advance: Advance,
) -> list[Sample]:
    """Draw and judge the samples of one part."""
    asked = sorted({p for p, _ in part})
    place = {p: i for i, p in enumerate(asked)}
    seeds: list[list[int]] = [[] for _ in asked]
    for p, s in part:
        seeds[place[p]].append(sample_seed(config.seed, problems[p].id, s))
    answers = engine.generate([prompts[p] for p in asked], seeds, config.decoding, progress=advance)
    flat = [answer for row in answers for answer in row]
    judged = judge.judge([(problems[p], a.text) for (p, _), a in zip(part, flat, strict=True)])
    flat_seeds = [seed for row in seeds for seed in row]
    return [
        Sample(
            problem_id=problems[p].id,
            index=s,
            text=answer.text,
            tokens=len(answer.tokens),
            finish=answer.finish,
            logprob=answer.logprob,
            seed=seed,
            engine=engine.name,
            verdict=said.verdict,
            steps=said.steps,
            final_answer=said.final_answer,
        )
        for (p, s), answer, seed, said in zip(part, flat, flat_seeds, judged, strict=True)
    ]
