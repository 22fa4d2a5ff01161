"""A configuration as the command that has it: what differs from the defaults, as options.

    read(type(config), words_of(config)[1:]) == config

So what a study starts is what a person could type, and both are one object. A nested configuration's options have no
prefix, as on the command line (`tyro.conf.OmitArgPrefixes`).
"""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import tyro

from reachlab.errors import ReachlabError
from reachlab.measures.config import EntropyConfig, ScoreConfig
from reachlab.option_names import present_words
from reachlab.sampling.config import SampleConfig
from reachlab.training.config import DistillConfig, PretrainConfig
from reachlab.training.rl_config import RLConfig

Config = TypeVar("Config")

COMMANDS: dict[type, str] = {
    PretrainConfig: "pretrain",
    DistillConfig: "distill",
    RLConfig: "rl",
    SampleConfig: "sample",
    EntropyConfig: "entropy",
    ScoreConfig: "score",
}
"""What each configuration is one of."""


def words_of(config: Any, command: str = "") -> tuple[str, ...]:
    """The words behind `reachlab`: the command, what stands by itself, and the options that are not as usual.

    `command` is what takes the configuration, where it is none of `COMMANDS`.

    Raises:
        ValueError: a configuration that no option can say: None, or nothing at all, where that is not the default; or
            several values of which one begins with a dash.

    Example:
        >>> " ".join(words_of(SampleConfig(model="runs/base", task="countdown", out="runs/s", samples=64)))
        'sample --model runs/base --task countdown --out runs/s --samples 64'
    """
    alone, options = list[str](), list[str]()
    for name, value, positional in _differing(config, MISSING):
        said = [*map(str, value)] if isinstance(value, tuple) else [str(value)]
        if len(said) > 1 and any(text.startswith("-") and not _is_number(text) for text in said):
            raise ValueError(f"--{name} takes no several values of which one begins with a dash")
        if positional:
            alone += said
        elif isinstance(value, bool):
            options.append(f"--{'' if value else 'no-'}{name}")
        elif len(said) == 1:
            # With a sign of equality a value may begin with a dash.
            options += [f"--{name}={said[0]}"] if said[0].startswith("-") else [f"--{name}", said[0]]
        else:
            options += [f"--{name}", *said]
    return (command or COMMANDS[type(config)], *alone, *options)


def with_words(config: Config, words: str, option: str) -> Config:
    """A configuration with more words of a user's, as a shell splits them; they come last. An option may have its
    name of an earlier version, which the command line has said (`option_names.py`).

    Raises:
        ReachlabError: words that the command does not take. `option` is where they were given.
    """
    if not words:
        return config
    kind = type(config)
    try:
        found: Config = tyro.cli(
            kind,
            args=present_words(COMMANDS[kind], shlex.split(words)),
            default=config,
            config=(tyro.conf.OmitArgPrefixes,),
            console_outputs=False,
            add_help=False,
        )
    except (SystemExit, ValueError) as error:
        raise ReachlabError(
            f"{option} {shlex.quote(words)}: `reachlab {COMMANDS[kind]}` does not take that; "
            f"`reachlab {COMMANDS[kind]} --help` lists its options"
        ) from error
    return found


def _differing(config: Any, usual: Any) -> Iterator[tuple[str, Any, bool]]:
    """Name, value, and whether it stands by itself, of every field at any depth that is not as `usual` has it."""
    for field in fields(config):
        value, default = getattr(config, field.name), getattr(usual, field.name, default_of(field))
        if is_dataclass(value):
            yield from _differing(value, default)
        elif default is MISSING or value != default:
            if value is None:
                raise ValueError(f"{type(config).__name__}.{field.name}: no option says None")
            name, positional = _named(type(config))[field.name]
            yield name, value, positional


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def default_of(field: Any) -> Any:
    """A field's default; `MISSING` where it has none."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def _named(kind: type) -> dict[str, tuple[str, bool]]:
    """Of each field of a configuration: its option's name, and whether it stands by itself."""
    found = {}
    marks = get_args(tyro.conf.Positional[int])[1:]
    for field, hint in get_type_hints(kind, include_extras=True).items():
        notes: Sequence[Any] = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        given = next((name for note in notes if (name := getattr(note, "name", None))), None)
        found[field] = (given or field.replace("_", "-"), any(note in marks for note in notes))
    return found
