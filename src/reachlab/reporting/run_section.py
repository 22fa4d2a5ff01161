"""The page's last section: what was run, as settings, as commands, and as the first prompt that each model got."""

from collections.abc import Sequence
from dataclasses import dataclass

from reachlab.measures.table import Table
from reachlab.reporting.entries import Entry
from reachlab.reporting.first_prompts import FirstPrompt, first_prompts
from reachlab.reporting.making import Extra, MadeBy, drawn_by, stages
from reachlab.reporting.setting_tables import Settings, settings_of, side_by_side


@dataclass(frozen=True, kw_only=True)
class RunSection:
    """What the section shows: tables that stand open, all settings folded, stages, prompts."""

    unusual: list[Table]
    every: list[Table]
    stages: list[MadeBy]
    prompts: list[FirstPrompt]

    @property
    def settings(self) -> int:
        """How many settings are folded."""
        return sum(len(table.rows) for table in self.every)


def run_section(entries: Sequence[Entry], extra: Extra) -> RunSection:
    """Gather the section."""
    sampling = settings_of("Sampling", {e.name: e.document for e in entries}, {e.name: _engines(e) for e in entries})
    training = _training(entries)
    machine = side_by_side("Software and machine", {e.name: e.part("provenance") for e in entries})
    differing = [table for table in machine if table.columns]
    also = [Table("Also", (), tuple((name, (text,)) for name, text in extra.rows.items()))] if extra.rows else []
    return RunSection(
        unusual=[*sampling.unusual, *training.unusual, *differing, *also],
        every=[*sampling.every, *training.every, *machine],
        stages=stages(entries, extra.command),
        prompts=first_prompts(entries),
    )


def _training(entries: Sequence[Entry]) -> Settings:
    trainings = {t.folder.path: t for e in entries for t in e.trainings}
    names = [t.folder.name for t in trainings.values()]
    labels = names if len(set(names)) == len(names) else list(trainings)
    documents = {label: t.document for label, t in zip(labels, trainings.values(), strict=True)}
    return settings_of("Training", documents, {}) if documents else Settings([], [])


def _engines(entry: Entry) -> str:
    """Which samples came from where: every engine of the run, and how many it drew."""
    return " · ".join(f"{name} {count:,}" for name, count in drawn_by(entry.store).items())
