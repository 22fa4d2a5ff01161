"""What was run, as tables: first the settings that are not as usual, those in which runs differ before the others.

What is usual is asked of the commands' own configurations and recipes (`commands/again.py`). Of runs that no command
here makes, every setting counts as unusual. All settings follow, folded.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reachlab.commands.again import HASHES, usual_settings
from reachlab.measures.table import Table, cut

ABSENT = "–"
FOLDED = frozenset((*HASHES, "model", "ask.template_hash", "files", "problems_hash", "kind", "loop.threads"))
"""Hashes, and what is of the machine: a place or a name says the same to a reader."""


@dataclass(frozen=True)
class Settings:
    """Tables that stand open, and all there is, to be folded."""

    unusual: list[Table]
    every: list[Table]


def flatten(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """A JSON value as (dotted name, text) pairs; a list stays in one piece."""
    if isinstance(value, Mapping) and (value or not where):
        for key, inner in value.items():
            yield from flatten(inner, f"{where}.{key}" if where else str(key))
    else:
        yield where, cut(_text(value), 300)


def _text(value: Any) -> str:
    if value is None or value == "":
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping | list | tuple) and not value:
        return "none"
    if isinstance(value, list | tuple) and not any(isinstance(inner, Mapping | list | tuple) for inner in value):
        return ", ".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def side_by_side(what: str, documents: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """The documents' settings as at most two tables: what is the same in all, and what differs."""
    flat = {name: dict(flatten(document)) for name, document in documents.items()}
    return _beside(what, flat, dict.fromkeys(key for settings in flat.values() for key in settings))


def settings_of(what: str, documents: Mapping[str, Mapping[str, Any]], also: Mapping[str, str]) -> Settings:
    """The settings of runs by their `run.json`, under the runs' names; `also` has one more of each, "drawn by"."""
    flat = {name: dict(flatten(of_run(document))) for name, document in documents.items()}
    usual = {name: dict(flatten(usual_settings(document))) for name, document in documents.items()}
    every = dict.fromkeys(key for settings in flat.values() for key in settings)
    unusual = [
        key
        for key in every
        if key not in FOLDED
        and any(key in settings and settings[key] != usual[name].get(key) for name, settings in flat.items())
    ]
    drawn = {name: settings | ({"drawn by": also[name]} if name in also else {}) for name, settings in flat.items()}
    keys = dict.fromkeys((*every, "drawn by") if also else every)
    return Settings(_beside(what, flat, unusual, "not the default"), _beside(what, drawn, keys))


def _beside(what: str, flat: Mapping[str, Mapping[str, str]], keys: Any, same_is: str = "") -> list[Table]:
    values = {key: tuple(settings.get(key, ABSENT) for settings in flat.values()) for key in keys}
    same = tuple((key, found[:1]) for key, found in values.items() if len(set(found)) == 1)
    differ = tuple((key, found) for key, found in values.items() if len(set(found)) > 1)
    tables = []
    if differ:
        tables.append(Table(f"{what}: what differs between the runs", tuple(flat), differ))
    if same:
        words = [same_is] * bool(same_is) + ["the same for all"] * (len(flat) > 1)
        tables.append(Table(f"{what}: {', '.join(words)}" if words else what, (), same))
    return tables


def of_run(document: Mapping[str, Any]) -> dict[str, Any]:
    """Kind, configuration and facts of a `run.json` as one object; its provenance has a table of its own."""
    parts = [document[key] for key in ("config", "facts") if isinstance(document.get(key), Mapping)]
    return {"kind": document.get("kind"), **{key: value for part in parts for key, value in part.items()}}
