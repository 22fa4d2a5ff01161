"""From a configuration to what a run of samples is: its model, its problems, its decoding, its identity.

Nothing is drawn or written here, so that what cannot be used leaves nothing behind.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from reachlab.engines import ENGINES, engine_kind
from reachlab.engines.config import Decoding
from reachlab.engines.context_length import served_prompts
from reachlab.errors import ReachlabError
from reachlab.limits import MOST_SAMPLES
from reachlab.models.checkpoint_files import hash_model
from reachlab.models.dtypes import DTYPES
from reachlab.models.pinning import locate
from reachlab.plugins import facts_of, identity_of
from reachlab.prompting.prompted_task import prompted_task
from reachlab.prompting.prompts import check_prompts, fit_answers
from reachlab.runs import RunFolder
from reachlab.sampling.completing import (
    ANSWER,
    SLACK,
    check_room,
    left_out,
    longest_rest,
    prefixed,
    settled,
)
from reachlab.sampling.config import SampleConfig
from reachlab.store.adaptive import AdaptivePlan, make_plan
from reachlab.store.samples import hash_problems
from reachlab.tasks.asked import Asked
from reachlab.tasks.base import Split, empty_split, split_meant
from reachlab.tasks.prefixed import Prefixed
from reachlab.tasks.registry import maker_of
from reachlab.types import Problem

Dtype = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class SettledRun:
    """What a run of samples is, once its configuration, its model and its problems have been looked at."""

    config: SampleConfig
    """With the model's folder, and the dtype that the run was begun in."""
    decoding: Decoding
    task: Asked
    problems: list[Problem]
    prefixed: Prefixed | None
    """The task that shows the beginnings of questions, where it is one."""
    longest: int
    """Tokens of the longest prompt (characters, where nobody can say)."""
    identity: dict[str, Any]
    """What the samples depend on, but for the dtype, which a backend says."""
    facts: dict[str, Any]
    plan: AdaptivePlan | None
    """How an adaptive run is drawn."""
    remarks: list[str]


def settle_run(config: SampleConfig, folder: RunFolder) -> SettledRun:
    """Look at the model, the task and the problems that a configuration names; nothing is drawn or written.

    Raises:
        ReachlabError: a model or task that cannot be used.
    """
    if not config.cluster.ray:  # there the workers' machines are asked
        engine_kind(config).need()
    config = settled(config)
    remarks: list[str] = []
    facts: dict[str, Any] = {"model_path": config.model}
    if not is_served(config):
        model = locate(config.model, [folder], remarks.append)
        config, facts = replace(config, model=model.folder), model.facts
    prompted = prompted_task(config.task, config.ask, config.model)
    split, problems = _problems(config, prompted.task, remarks)
    if prompted.remark:
        remarks.append(prompted.remark)
    seen = _look_at(config, facts["model_path"], problems, remarks.append)
    cut = prefixed(prompted.task)
    decoding = config.decoding.settled(prompted.task.decoding)
    rest = longest_rest(config, problems, is_served(config)) if cut is not None else 0
    if cut is not None and config.decoding.max_tokens is None:
        decoding = replace(decoding, max_tokens=rest + SLACK + ANSWER)
    decoding = _fit(config, decoding, seen, folder, remarks.append)
    if not is_served(config):
        check_room(config, decoding.max_tokens, rest)
    config = replace(config, dtype=_begun_in(folder, config.dtype))
    identity: dict[str, Any] = {
        "model": seen.weights,
        "task": config.task,
        "task_hash": hash_problems(problems),
        "ask": prompted.identity,
        "split": split,
        "problems": len(problems),
        "samples": config.answers,
        "decoding": asdict(decoding),
        "seed": config.seed,
    }
    makers = {
        role: by for role, by in (("task", maker_of(config.task)), ("engine", ENGINES.origin(config.engine))) if by
    }
    # A run may be continued with another engine.
    identity |= identity_of({role: by for role, by in makers.items() if role != "engine"})
    facts |= facts_of(makers)
    plan = make_plan(config.adaptive, config.answers)
    if plan is not None:
        identity["adaptive"] = plan.to_dict()
    remarks += [*lost_with_options(config), *_lost_without_kernels(config)]
    return SettledRun(config, decoding, prompted.task, problems, cut, seen.longest, identity, facts, plan, remarks)


def _problems(config: SampleConfig, task: Asked, remarks: list[str]) -> tuple[Split, list[Problem]]:
    """The problems of the run, and the split they are of.

    Raises:
        ReachlabError: none, or more samples of them than a run may hold.
    """
    split = split_meant(task, config.split)
    cut = prefixed(task)
    if cut is None:
        problems = task.problems(split, config.problems, config.problem_seed)
    else:
        problems, uncut = cut.posed(split, config.problems, config.problem_seed)
        remarks += left_out(uncut, len(problems))
    if not problems:
        raise ReachlabError(f"{empty_split(task, split)}; --split all takes all of them")
    if len(problems) * config.answers > MOST_SAMPLES:
        raise ReachlabError(
            f"{len(problems):,} problems with {config.answers:,} samples each are more than the {MOST_SAMPLES:,} that "
            "one run may hold; ask for fewer --problems or --samples"
        )
    return split, problems


def is_served(config: SampleConfig) -> bool:
    """Whether `model` is what servers call it: its weights are their business, and a run of it is continued by asking
    for the same name."""
    return engine_kind(config).served and not Path(config.model).is_dir()


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model before it answers: what identifies it, the longest prompt's tokens (characters, where
    nobody can say), and how many tokens there is room for."""

    name: str
    weights: str
    longest: int
    counted: bool
    positions: int | None


def _look_at(config: SampleConfig, name: str, problems: Sequence[Problem], notify: Callable[[str], None]) -> ModelFacts:
    """Look at the model and its prompts; `notify` hears remarks.

    Raises:
        ReachlabError: no such checkpoint, or one that was not made for these prompts.
    """
    held = engine_kind(config).holds(config)
    posed = [p.asked for p in problems]
    if is_served(config):
        counted = None if held is None else served_prompts(config.servers, config.model, posed)
        longest = max(len(str(p.prompt)) for p in problems) if counted is None else counted
        return ModelFacts(name, f"served: {config.model}", longest, counted is not None, held)
    from reachlab.models.checkpoint import load_tokenizer
    from reachlab.models.positions import positions
    from reachlab.models.tokenizer import prompt_ids

    weights, tokenizer = hash_model(config.model, rehash=config.rehash), load_tokenizer(config.model)
    prompts = prompt_ids(tokenizer, posed)
    for remark in check_prompts(config.task, problems, prompts, tokenizer.unk_token_id):
        notify(remark)
    room = min(
        (n for n in (positions(config.model, elsewhere=not engine_kind(config).embedded), held) if n is not None),
        default=None,
    )
    return ModelFacts(name, weights, max(map(len, prompts)), True, room)


def _fit(
    config: SampleConfig, decoding: Decoding, model: ModelFacts, folder: RunFolder, notify: Callable[[str], None]
) -> Decoding:
    """The decoding, with as many tokens as there is room for where the user did not say how many.

    Raises:
        ReachlabError: as `fit_answers`; or nobody can say how long the prompts are, and so what fits.
    """
    given = config.decoding.max_tokens is not None
    if is_served(config) and not given and folder.exists("run.json"):
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
    most, remarks = fit_answers(model.name, model.positions, model.longest, decoding.max_tokens, given=given)
    for remark in remarks:
        notify(remark)
    return replace(decoding, max_tokens=most)


def _lost_without_kernels(config: SampleConfig) -> Iterator[str]:
    """A remark where this machine draws, and could draw faster."""
    if engine_kind(config).embedded and not config.cluster.ray:
        from reachlab.engines.kernels import lacking
        from reachlab.models.devices import choose_device

        if said := lacking(choose_device(config.device)):
            yield said


def _begun_in(folder: RunFolder, dtype: Dtype) -> Dtype:
    """The dtype asked for; with "auto", the one that the run was begun with, if it was begun and that is known."""
    if dtype != "auto" or not folder.exists("run.json"):
        return dtype
    begun = folder.read_json("run.json").get("config", {}).get("dtype")
    return cast(Dtype, begun) if begun in DTYPES else dtype


def lost_with_options(config: SampleConfig) -> Iterator[str]:
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
