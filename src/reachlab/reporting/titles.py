"""The heading of a page to which nobody gave one: which models were compared, on what, and what for."""

from collections.abc import Sequence
from pathlib import PurePath

from reachlab.reporting.entries import Entry
from reachlab.reporting.styles import shorten

NAMED = 4
"""Models that are named one by one."""


def title_of(entries: Sequence[Entry]) -> str:
    """Such as ``base, grpo and pods on countdown: what training added``."""
    where = f" on {tasks}" if (tasks := _tasks(entries)) else ""
    return f"{_names([entry.name for entry in entries])}{where}: {_question(entries)}"


def _names(names: Sequence[str]) -> str:
    short = [shorten(name) for name in names]
    if len(short) > NAMED:
        return f"{short[0]} and {len(short) - 1} others"
    return short[0] if len(short) == 1 else f"{', '.join(short[:-1])} and {short[-1]}"


def _question(entries: Sequence[Entry]) -> str:
    if len(entries) == 1:
        return "what is within reach"
    return "what training added" if any(entry.trainings for entry in entries) else "what each can solve"


def _tasks(entries: Sequence[Entry]) -> str:
    """The families, without their settings; of a file its name."""
    specs = [str(entry.part("config").get("task") or "") for entry in entries]
    short = dict.fromkeys(_short(spec) for spec in specs if spec)
    return " and ".join(short) if len(short) <= 2 else f"{len(short)} tasks"


def _short(spec: str) -> str:
    family, _, rest = spec.partition(":")
    argument = rest.partition(",")[0]
    if not argument:
        return family.partition(",")[0]
    return argument if family == "gym" else shorten(f"{family}, {PurePath(argument).name}", 40)
