"""The model of a run: where it lies, and which commit it is where it comes from the hub.

A run's identity holds the hash of the model's files, so it is the same for ``NAME``, ``NAME@COMMIT`` and a copy in a
folder. Beside it, as facts, stand the name with its commit and the revision that was asked for; the same command goes
on with that commit, though the branch may have moved since. Another revision that somebody names is taken at its word:
if its files differ, the run refuses.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from reachlab.hub import COMMIT, MAIN, HubName, commit_of, fetch, parse
from reachlab.runs import RunFolder

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Located:
    """A model's folder on this machine, what it is called, and what a run keeps of that (`facts`)."""

    folder: str
    name: str
    facts: dict[str, str] = field(default_factory=dict)


def locate(
    model: str, runs: Iterable[RunFolder] = (), notify: Tell = lambda _: None, fact: str = "model_path"
) -> Located:
    """Where `model` lies: a folder, or a model of the hub, which is fetched.

    Args:
        model: as the user says it. A folder of that name wins.
        runs: the run that it is for, if there is one already, or several; the first that began with this model says
            which commit.
        notify: hears remarks.
        fact: what the run calls it.

    Raises:
        ReachlabError: the hub does not give it. (Whether a folder holds a checkpoint is not looked at.)
    """
    name = None if Path(model).exists() else parse(model)
    if name is None:
        return Located(model, model, {fact: model})
    commit = _began_with(name, runs, fact)
    pinned = fetch(HubName(name.repo, commit) if commit else name)
    if commit and not COMMIT.fullmatch(name.revision):
        now = commit_of(name)
        if now and now != commit:
            notify(f"{name} is now at {now[:12]}; this run goes on with {commit[:12]}, which it began with")
    if not pinned.current:
        notify(f"{name}: the hub cannot be reached; {pinned.commit[:12]}, the last that was fetched, is taken")
    facts = {fact: f"{name.repo}@{pinned.commit}", _revision(fact): name.revision or MAIN}
    return Located(str(pinned.folder), facts[fact], facts)


def _began_with(name: HubName, runs: Iterable[RunFolder], fact: str) -> str:
    """The commit that a run began with under this name, or ""."""
    if COMMIT.fullmatch(name.revision):
        return ""
    for run in runs:
        facts = run.read_json("run.json").get("facts", {}) if run.exists("run.json") else {}
        kept = parse(str(facts.get(fact, "")))
        if kept is None or kept.repo != name.repo or not COMMIT.fullmatch(kept.revision):
            continue
        if not name.revision or facts.get(_revision(fact)) == name.revision:
            return kept.revision
    return ""


def _revision(fact: str) -> str:
    return f"{fact.removesuffix('_path')}_revision"
