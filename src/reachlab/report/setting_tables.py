"""What was run, as tables: settings that all runs share are said once, the others stand side by side."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from reachlab.measures.table import Table, cut

ABSENT = "–"


def flatten(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """A JSON value as (dotted name, text) pairs; lists and empty objects stay in one piece."""
    if isinstance(value, Mapping) and (value or not where):
        for key, inner in value.items():
            yield from flatten(inner, f"{where}.{key}" if where else str(key))
    elif value is None:
        yield where, ABSENT
    else:
        yield (
            where,
            cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str), 300),
        )


def side_by_side(what: str, documents: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """The documents' settings as at most two tables: what is the same in all, and what differs."""
    flat = {name: dict(flatten(document)) for name, document in documents.items()}
    keys = dict.fromkeys(key for settings in flat.values() for key in settings)
    values = {key: tuple(settings.get(key, ABSENT) for settings in flat.values()) for key in keys}
    same = tuple((key, found[:1]) for key, found in values.items() if len(set(found)) == 1)
    differ = tuple((key, found) for key, found in values.items() if len(set(found)) > 1)
    tables = []
    if differ:
        tables.append(Table(f"{what}: what differs", tuple(flat), differ))
    if same:
        tables.append(Table(f"{what}: the same for all" if differ else what, (), same))
    return tables


def of_run(document: Mapping[str, Any]) -> dict[str, Any]:
    """Kind, configuration and facts of a `run.json` as one object; its provenance has a table of its own."""
    parts = [document[key] for key in ("config", "facts") if isinstance(document.get(key), Mapping)]
    return {"kind": document.get("kind"), **{key: value for part in parts for key, value in part.items()}}
