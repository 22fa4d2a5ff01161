"""A run that was made before, as the configuration and the command that make it again.

`run.json` holds all that a result depends on, settled: what was left open stands there as what was taken. So the
command is longer than the one that was typed, and means the same wherever its files are. What does not change the
result (how often to save, which trackers) is not in it, but for what the caller knows to be needed (`Known`).
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from math import gcd
from typing import Any

from reachlab.commands.words import default_of, words_of
from reachlab.engines import ENGINES
from reachlab.engines.config import Decoding, Servers
from reachlab.errors import ReachlabError
from reachlab.imports.config import ImportConfig
from reachlab.plugins import IDENTITY, words_for
from reachlab.sampling.config import ReferenceConfig, SampleConfig
from reachlab.store.adaptive import choose_looks
from reachlab.tasks.asking import AskConfig
from reachlab.training.config import DistillConfig, PretrainConfig
from reachlab.training.recipes import RECIPES
from reachlab.training.rl_config import PushConfig, RLConfig

KINDS: dict[str, type] = {
    "pretrain": PretrainConfig,
    "distill": DistillConfig,
    "rl": RLConfig,
    "sample": SampleConfig,
}
"""What each kind of run is a configuration of."""
OTHERS: dict[str, type] = {"import": ImportConfig, "reference": ReferenceConfig}
"""The same of those that no command makes again from what is kept."""
HASHES = ("task_hash", "data_hash", "reward_source", "kernels", IDENTITY)
"""What a run's identity holds beside its configuration: of the files that it read, of how tokens were drawn, and of
others' code."""
UNTOLD = frozenset(
    ("out", "rehash", "tokens_of", "text.cache", "loop.save_every", "loop.keep_every", "loop.track")
    + tuple(f"ask.{field.name}" for field in fields(AskConfig))
    + tuple(f"servers.{field.name}" for field in fields(Servers))
    + tuple(f"push.{field.name}" for field in fields(PushConfig))
)
"""Settings that are in no training run's identity, or under other names."""
OLD_NAMES = {"random_keep": "lot"}
"""Fields that `run.json` has under the name of an earlier day."""


class UnsayableError(Exception):
    """A run that no command makes again; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Again:
    """The words of the command that makes a run again, and what is to be known of it; without words, why not."""

    words: tuple[str, ...] = ()
    why: str = ""
    config: Any = None
    """What the command says."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a run beside its `run.json`."""

    model: str = ""
    """Where the model lies that it began with; empty: where `run.json` says."""
    drawn: Mapping[str, int] = field(default_factory=dict)
    """How many of its samples each engine drew, by the names that the samples have."""
    kept: Collection[int] = ()
    """Steps of a training run whose checkpoints others use."""


def run_again(document: Mapping[str, Any], out: str, known: Known | None = None) -> Again:
    """How to make the run of a `run.json` again, in the folder `out`."""
    known = known or Known()
    try:
        config = configuration(document, out)
        notes = [_newer(document)]
        if known.model and isinstance(getattr(config, "model", None), str):
            config = replace(config, model=known.model)
        if isinstance(config, SampleConfig):
            config, note = _drawn_by(config, known.drawn)
            notes.append(note)
        elif known.kept:
            config = replace(config, loop=replace(config.loop, keep_every=gcd(*known.kept)))
        words = (*words_of(config), *words_for(_part(document, "facts")))
        return Again(words=words, why=" ".join(filter(None, notes)), config=config)
    except UnsayableError as error:
        return Again(why=str(error))
    except (ReachlabError, ValueError, TypeError, AttributeError, KeyError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Again(why=f"its run.json holds what no command takes ({why})")


def configuration(document: Mapping[str, Any], out: str) -> Any:
    """The configuration that makes the run of a `run.json` again.

    Raises:
        UnsayableError: there is none.
        Exception: a `run.json` that is none of ours.
    """
    kind, facts = document.get("kind"), _part(document, "facts")
    if kind == "import":
        raise UnsayableError(f"its samples were drawn elsewhere, and imported from {_files(facts)}")
    if kind == "reference":
        raise UnsayableError("its answers are the task's own solutions (`reachlab reference`)")
    if kind == "watch":
        raise UnsayableError(f"it was trained by another tool ({facts.get('trainer')}), and watched")
    if isinstance(live := facts.get("live"), Mapping):
        raise UnsayableError(
            f"its samples were drawn from a model while {live.get('trainer')} trained it (step {live.get('step')}), "
            "whose weights are kept nowhere, unless the trainer saved them"
        )
    if not isinstance(kind, str) or kind not in KINDS:
        raise UnsayableError("its run.json does not say which command made it")
    settings = {name: value for name, value in _part(document, "config").items() if name not in HASHES}
    if kind == "rl" and "rollouts_from" in settings:
        raise UnsayableError("its rollouts came from a server, and where that was is in no run (rl --base-url)")
    settings["out"] = out
    if kind != "pretrain":
        settings["ask"] = _ask(settings.get("ask"))
        if not isinstance(facts.get("model_path"), str):
            raise UnsayableError("its run.json does not say where its model was")
        settings["model"] = facts["model_path"]
    if kind in SETTLE:
        SETTLE[kind](settings, facts)
    return _read(KINDS[kind], settings)


def _drawn_by(config: SampleConfig, drawn: Mapping[str, int]) -> tuple[SampleConfig, str]:
    """With the engine that drew the samples, the most where several did; and what of it no run keeps, in words.

    Raises:
        UnsayableError: none that this process has.
    """
    here = [name for name in drawn if name in ENGINES and not ENGINES[name].served]
    if drawn and not here:
        served = {name.partition(":")[0] for name in drawn} <= {name for name, kind in ENGINES.items() if kind.served}
        why = ", whose address is not kept (`--engine openai`)" if served else ""
        raise UnsayableError(f"its samples were drawn by {_in_numbers(drawn)}{why}")
    engine = max(here, key=lambda name: drawn[name], default=config.engine)
    notes = []
    if len(drawn) > 1:
        notes.append(f"The samples were drawn by {_in_numbers(drawn)}; the command draws all with {engine}.")
    if ENGINES[engine].vllm_args:
        notes.append("Whether --vllm-args, --no-request-seeds or --no-logprobs were given is not kept.")
    return replace(config, engine=engine), " ".join(notes)


def _in_numbers(drawn: Mapping[str, int]) -> str:
    return " and ".join(f"{name} ({count:,})" for name, count in sorted(drawn.items()))


def usual_settings(document: Mapping[str, Any]) -> dict[str, Any]:
    """What each setting of a `run.json` would be where a user says nothing, nested as there; what has no default is
    missing. Where a recipe decides, its row is the one that is closest to the run."""
    kind = str(document.get("kind"))
    takes = (KINDS | OTHERS).get(kind)
    if takes is None:
        return {}
    usual = _usual(takes)
    if kind == "sample":
        usual["decoding"] = asdict(Decoding())
    if kind in ("rl", "distill"):
        usual = _merged(usual, _closest_recipe(kind, _part(document, "config")))
    return usual


def _newer(document: Mapping[str, Any]) -> str:
    """What a run of an older version did not know, and this one has, in words."""
    kind = str(document["kind"])
    there = dict(_leaves(_part(document, "config")))
    found = [name for name, _ in _leaves(_usual(KINDS[kind])) if name not in there and name not in UNTOLD]
    if kind == "sample" or not found:
        return ""  # of a run of samples nothing is kept that is as usual
    return f"The run is of a version that had no {', '.join(found)}; the command takes what is usual now."


def _leaves(settings: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{where}{name}.")
        else:
            yield f"{where}{name}", value


# -- from run.json to a configuration -------------------------------------------------------------------------------


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, Mapping) else {}


def _files(facts: Mapping[str, Any]) -> str:
    named = facts.get("file", "a log")
    return ", ".join(map(str, named)) if isinstance(named, list) else str(named)


def _ask(ask: Any) -> dict[str, Any]:
    """How the model was asked, as options say it."""
    found = dict(ask) if isinstance(ask, Mapping) else {}
    found.pop("template_hash", None)  # of a file, which the template's name is
    if found.pop("examples", None):
        raise UnsayableError("it was asked with worked examples of a file, whose place is not kept")
    if "chat_template_kwargs" in found:
        found["chat_template_kwargs"] = json.dumps(found["chat_template_kwargs"], ensure_ascii=False)
    return found


def _settle_rl(settings: dict[str, Any], _: Mapping[str, Any]) -> None:
    selection = dict(settings.get("selection", {}))
    for now, before in OLD_NAMES.items():
        if before in selection:
            selection[now] = selection.pop(before)
    settings["selection"] = selection


def _settle_sample(settings: dict[str, Any], facts: Mapping[str, Any]) -> None:
    if settings.get("dtype") == "as served":
        raise UnsayableError("its samples came from a server, whose address is not kept (`--engine openai`)")
    plan = settings.pop("adaptive", None)
    if plan is not None:
        looks = tuple(plan["looks"])
        if choose_looks(settings["samples"], looks[0]) != looks:
            raise UnsayableError("its samples were drawn by looks that this version does not choose")
        chosen = {"enough": plan["enough"], "target_width": plan["target_width"]}
        settings["adaptive"] = {"on": True, "first_look": looks[0], **chosen}
    settings["problem_seed"] = facts.get("problem_seed", 0)


SETTLE: dict[str, Callable[[dict[str, Any], Mapping[str, Any]], None]] = {"rl": _settle_rl, "sample": _settle_sample}
"""What a kind of run calls by another name, or keeps elsewhere."""


def _read(kind: type, settings: Mapping[str, Any], usual: Any = None, where: str = "") -> Any:
    """A configuration from JSON; what is not said is as usual.

    Raises:
        UnsayableError: a setting that the configuration has not.
    """
    known = {field.name: field for field in fields(kind)}
    if unknown := [f"{where}{name}" for name in settings if name not in known]:
        raise UnsayableError(f"it has settings that this version does not know: {', '.join(unknown)}")
    values = {name: getattr(usual, name) for name in known if usual is not None}
    for name, value in settings.items():
        default = values.get(name, default_of(known[name]))
        if is_dataclass(default) and not isinstance(default, type):
            values[name] = _read(type(default), value, default, f"{where}{name}.")
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)


# -- what is usual --------------------------------------------------------------------------------------------------


def _usual(kind: type) -> dict[str, Any]:
    """The defaults of a configuration, under the names of `run.json`."""
    defaults = {field.name: default_of(field) for field in fields(kind)}
    nested = {
        name: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        for name, value in defaults.items()
        if value is not MISSING
    }
    return _renamed(nested)


def _renamed(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        OLD_NAMES.get(name, name): _renamed(value) if isinstance(value, Mapping) else value
        for name, value in settings.items()
    }


def _closest_recipe(stage: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the row of the recipes says that differs least from the settings."""
    lora = bool(_part(settings, "weights").get("lora_rank"))
    rows = [
        {"optimizer": asdict(r.optimizer), "loop": {"steps": r.steps}}
        | ({"prompts": r.prompts, "budget": {"rollouts": r.rollouts}} if stage == "rl" else {"batch": r.batch})
        for r in RECIPES
        if (r.stage, r.lora) == (stage, lora)
    ]
    return min(rows, key=lambda row: _differing(row, settings))


def _differing(row: Mapping[str, Any], settings: Any) -> int:
    """How many values of `row` are not those of the settings."""
    there = settings if isinstance(settings, Mapping) else {}
    return sum(
        _differing(value, there.get(name)) if isinstance(value, Mapping) else value != there.get(name)
        for name, value in row.items()
    )


def _merged(usual: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(usual)
    for name, value in over.items():
        both[name] = _merged(usual[name], value) if isinstance(value, Mapping) else value
    return both
