"""What may explain a difference between two runs and is not the model: how they were asked, drawn and judged.

All of it stands in `run.json` and beside it, and none is a reason not to compare. A row is a condition in which runs
differ, with the value of each; None where a run does not say. The model, its training, seeds and folders are no
conditions.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.store.judged import Judgement, read_judged
from reachlab.store.parts import opened
from reachlab.store.samples import SampleStore
from reachlab.tasks.benchmarks import BENCHMARKS
from reachlab.tasks.identity import unusual
from reachlab.tasks.registry import parse_spec

HEADING = "What differs, and is not the model"
NOT_KNOWN = "not known"
LONG = 60
"""Characters of a value that are shown; a longer one is its beginning and a hash."""
PACKAGES = ("reachlab", "torch", "transformers")
"""Packages whose versions a run's samples may depend on."""
DECODING = {
    "temperature": "temperature",
    "top_p": "top-p",
    "top_k": "top-k",
    "max_tokens": "longest answer",
    "stop": "stop strings",
}
ASKED = {
    "template": "template",
    "template_hash": "template's file",
    "system": "system text",
    "chat_template_kwargs": "options of the chat template",
    "shots": "worked examples",
    "examples": "worked examples of one's own",
}
READ = ("named", "threshold", "filter", "skip_bad")
"""Settings of an import that say which answers and labels are taken from its log."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One row: `values` has every run's, by its name."""

    what: str
    values: Mapping[str, str | None]

    def words(self) -> list[str]:
        """The values, each with the runs that have it."""
        runs: dict[str, list[str]] = {}
        for name, value in self.values.items():
            runs.setdefault(NOT_KNOWN if value is None else value, []).append(name)
        return [f"{value} ({', '.join(names)})" for value, names in runs.items()]

    def to_dict(self) -> dict[str, Any]:
        """For JSON; null: not known."""
        return {"what": self.what, "values": dict(self.values)}


class RunFacts:
    """What one run says of how it came to be."""

    def __init__(self, store: SampleStore):
        self.store = store
        document = store.folder.read_json("run.json") if store.folder.exists("run.json") else {}
        self.kind = str(document.get("kind"))
        self.config: Mapping[str, Any] = document.get("config") or {}
        self.facts: Mapping[str, Any] = document.get("facts") or {}
        self.versions: Mapping[str, Any] = _object((document.get("provenance") or {}).get("versions"))

    @cached_property
    def engine(self) -> str | None:
        """Who drew the samples, and in which numbers."""
        names = engines(self.store)
        if names == ["import"]:
            return f"elsewhere, read as {self.config.get('format', 'a log')}"
        dtype = self.config.get("dtype")
        return " + ".join(names) + (f", {dtype}" if dtype else "") if names else None

    def decoding(self, name: str) -> str | None:
        """One setting of decoding."""
        settings = self.config.get("decoding")
        return _in_words(settings.get(name), none="none") if isinstance(settings, Mapping) else None

    def prompting(self, name: str) -> str | None:
        """One setting of how the model was asked."""
        settings = self.config.get("ask")
        return _in_words(settings.get(name), none="none") if isinstance(settings, Mapping) else None

    @property
    def adaptive(self) -> str | None:
        """Whether problems that are solved were drawn on."""
        plan = self.config.get("adaptive")
        if not isinstance(plan, Mapping):
            return "every problem to the end"
        return f"until {plan.get('enough')} right, looks {_in_words(plan.get('looks'))}"

    @property
    def verdicts(self) -> str:
        """Whose they are."""
        if self.config.get("verdicts") == "file":
            return f"the log's own ({self.facts.get('labels_of', 'not said whose')})"
        return "none: nothing is judged" if self.config.get("task") == "logged" else "ours"

    @cached_property
    def judged(self) -> Sequence[Judgement] | None:
        """The verifiers that gave the verdicts; None: not known."""
        return read_judged(self.store.folder)

    @property
    def verifier(self) -> str | None:
        """Their code and packages."""
        return None if self.judged is None else " + ".join(dict.fromkeys(map(_verifier, self.judged)))

    @property
    def timeout(self) -> str | None:
        """What an answer's verdict may take."""
        limits = [one.get("timeout") for one in self.judged or ()] or [self.facts.get("verify_timeout")]
        words = dict.fromkeys(f"{limit:g} s" for limit in limits if isinstance(limit, (int, float)))
        return " + ".join(words) or None

    @property
    def settings(self) -> str:
        """The task's settings that are not as usual; those of the verifier that judged last, where that is known."""
        spec = next(
            (one.get("task") for one in reversed(self.judged or ()) if one.get("task")), self.config.get("task")
        )
        settings = _settings(str(self.config.get("task") or "")) | _settings(str(spec or ""))
        return ", ".join(f"{name}={_in_words(value)}" for name, value in sorted(settings.items())) or "none"

    @property
    def reading(self) -> str | None:
        """How a log was read; None of what is no log."""
        if self.kind != "import" or "exported" in self.config:
            return None
        settings = {name: self.config[name] for name in READ if self.config.get(name)}
        if skipped := self.facts.get("skipped"):
            settings["rows skipped"] = skipped
        return ", ".join(f"{name} {_in_words(value)}" for name, value in settings.items()) or "as it stands"

    def package(self, name: str) -> str | None:
        """The version of a package when the run was begun; an import's is that of whoever read the log."""
        return _in_words(self.versions.get(name)) if self.kind == "sample" else None


def conditions(stores: Sequence[SampleStore], names: Sequence[str]) -> list[Condition]:
    """The conditions in which the runs differ.

    Raises:
        ReachlabError: a run that cannot be read.
    """
    if len(stores) < 2:
        return []
    runs = dict(zip(names, map(RunFacts, stores), strict=True))
    return [row for row in _rows(runs) if len(set(row.values.values())) > 1]


def _rows(runs: Mapping[str, RunFacts]) -> Iterator[Condition]:
    def row(what: str, value: Callable[[RunFacts], str | None], *, if_known: bool = False) -> Condition:
        values = {name: value(run) for name, run in runs.items()}
        if if_known and len({v for v in values.values() if v is not None}) < 2:
            values = {}  # that one run does not say it is no difference
        return Condition(what=what, values=values)

    yield from _grouped(runs, "decoding", DECODING, RunFacts.decoding)
    yield from _grouped(runs, "how it was asked", ASKED, RunFacts.prompting)
    yield row("task settings", lambda run: run.settings)
    yield row("split", lambda run: _in_words(run.config.get("split")), if_known=True)
    yield row("problem seed", lambda run: _in_words(run.facts.get("problem_seed")), if_known=True)
    yield row("drawn", lambda run: run.adaptive)
    yield row("drawn by", lambda run: run.engine)
    yield from (row(name, lambda run, name=name: run.package(name), if_known=True) for name in PACKAGES)  # type: ignore[misc]
    yield row("read from its log", lambda run: run.reading, if_known=True)
    yield row("verdicts", lambda run: run.verdicts)
    ours = {name: run.verifier for name, run in runs.items() if run.verdicts == "ours"}
    if len(set(ours.values())) > 1:
        yield row("verifier", lambda run: run.verifier if run.verdicts == "ours" else "none of ours")
    yield row("time for a verdict", lambda run: run.timeout, if_known=True)


def _grouped(
    runs: Mapping[str, RunFacts], what: str, parts: Mapping[str, str], value: Callable[[RunFacts, str], str | None]
) -> Iterator[Condition]:
    """A row a setting; one for all of them where a run says nothing of any."""
    of_runs = {name: {label: value(run, key) for key, label in parts.items()} for name, run in runs.items()}
    if all(v is not None for settings in of_runs.values() for v in settings.values()):
        for label in parts.values():
            yield Condition(what=label, values={name: settings[label] for name, settings in of_runs.items()})
        return
    together = {
        name: ", ".join(f"{label} {v}" for label, v in settings.items() if v not in (None, "none")) or None
        for name, settings in of_runs.items()
    }
    yield Condition(what=what, values=together)


def engines(store: SampleStore) -> list[str]:
    """Who drew the samples of a run. Of a part that one drew this is read off its footer, and nothing else of it."""
    drawn_by = set[str]()
    for part in store.parts():
        with opened(store.folder.fs, part) as file:
            metadata = file.parquet.metadata
            at = file.parquet.schema_arrow.names.index("engine") if "engine" in file.parquet.schema_arrow.names else -1
            if at < 0:
                raise ReachlabError(f"{part}: no column engine")
            ends = [metadata.row_group(group).column(at).statistics for group in range(metadata.num_row_groups)]
        if all(end is not None and end.has_min_max and end.min == end.max for end in ends):
            drawn_by |= {str(end.min) for end in ends}
        else:
            names = store.read_part(part, ["engine"], ["engine"])["engine"].unique().to_pylist()
            drawn_by |= {str(name) for name in names if name is not None}
    return sorted(drawn_by)


def _verifier(one: Judgement) -> str:
    verifier = one.get("verifier")
    if not isinstance(verifier, Mapping):
        return NOT_KNOWN
    family = parse_spec(str(one.get("task")))[0]
    family = BENCHMARKS[family].family if family in BENCHMARKS else family
    packages = [f"{name} {version}" for name, version in verifier.items() if name != "code"]
    return ", ".join([f"{family} {verifier.get('code')}", *packages])


def _settings(spec: str) -> dict[str, Any]:
    """The settings of a task that are not as usual, and the release of its data where that is not the last."""
    try:
        family, _, said = parse_spec(spec)
    except ReachlabError:
        return {}
    release = str(said.get("release", "")).removeprefix("release_")
    releases = BENCHMARKS[family].releases if family in BENCHMARKS else {}
    of_data = {"release": release} if release in [*releases][:-1] else {}
    return unusual(spec) | of_data


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _in_words(value: Any, none: str | None = None) -> str | None:
    """A value as a text; a long one is its beginning and a hash."""
    if value is None or value in ("", [], {}):
        return none
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    if len(text) <= LONG:
        return text
    return f"{text[:LONG]}... ({hashlib.blake2b(text.encode(), digest_size=4).hexdigest()})"
