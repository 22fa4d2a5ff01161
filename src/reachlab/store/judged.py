"""Which verifiers have judged a run, kept beside it in `judged.json`.

Samples of one run may be judged by several: one that goes on after an update, or `verify --only-unscored`. A run of an
earlier day has no such file; nobody knows then.
"""

import json
from collections.abc import Mapping
from typing import Any

from reachlab.runs import RunFolder
from reachlab.tasks.base import Task
from reachlab.tasks.identity import canonical
from reachlab.tasks.version import verifier_of

FILE = "judged.json"

Judgement = Mapping[str, Any]
"""`task`, `verifier` (its code and packages; null: not known) and `timeout`, the CPU seconds that it had for an answer,
where it was held to any."""
UNKNOWN: Judgement = {"task": None, "verifier": None}
"""Who judged samples that were there before anybody kept this."""


def judgement_of(task: Task, timeout_s: float) -> Judgement:
    """What is kept of judging by this task."""
    limit = {"timeout": timeout_s} if task.isolated else {}
    return {"task": task.spec, "verifier": verifier_of(task), **limit}


def note_judged(folder: RunFolder, task: Task, timeout_s: float, *, alone: bool = False) -> None:
    """Keep that this verifier judges samples of the run; `alone`: it has judged them all, and nobody else counts.

    Raises:
        ReachlabError: the folder cannot be written.
    """
    mine = judgement_of(task, timeout_s)
    verifiers = read_judged(folder)
    known = [_key(one) for one in verifiers or []]
    if (known == [_key(mine)]) or (not alone and _key(mine) in known):
        return
    with folder.lock():
        verifiers = read_judged(folder)
        if verifiers is None and folder.glob("samples/part-*.parquet"):
            verifiers = [UNKNOWN]
        kept = [] if alone else [one for one in verifiers or [] if _key(one) != _key(mine)]
        folder.write(FILE, json.dumps({"by": [*kept, mine]}, indent=2, sort_keys=True) + "\n")


def _key(one: Judgement) -> Judgement:
    """Who judged, however the task was spelled."""
    return {**one, "task": canonical(str(one.get("task")))}


def read_judged(folder: RunFolder) -> list[Judgement] | None:
    """The verifiers that have judged the run; None where that is not known.

    Raises:
        ReachlabError: the file is damaged.
    """
    if folder.exists(FILE):
        verifiers = folder.read_json(FILE).get("by")
    elif folder.exists("run.json"):
        verifiers = (folder.read_json("run.json").get("facts") or {}).get("judged")  # of an exported run
    else:
        return None
    return [one for one in verifiers if isinstance(one, Mapping)] if isinstance(verifiers, list) else None
