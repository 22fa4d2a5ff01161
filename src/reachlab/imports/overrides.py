"""What the user says of a recognised format's fields comes before the format: ``--text``, ``--answer`` and the like."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from reachlab.imports.config import ImportConfig
from reachlab.imports.formats.base import Format
from reachlab.imports.formats.fields import number_of
from reachlab.imports.labels import checked_label
from reachlab.imports.paths import lookup, required
from reachlab.imports.record import Record, logged, question_of


@dataclass(frozen=True)
class Overrides:
    """A format, and the fields that the configuration names."""

    format: Format
    config: ImportConfig

    def records(self, row: Any, place: str) -> Iterable[Record]:
        """The format's records with the named fields in place of its own.

        Raises:
            ReachlabError: as of the format, or a named field that is not there.
        """
        for record in self.format.records(row, place):
            yield self._named(record, row, place) if self.format.narrow else record

    def _named(self, record: Record, row: Any, place: str) -> Record:
        config = self.config
        if config.text is not None:
            texts = required(row, config.text, place)
            record = replace(record, answers=logged(texts, None, f"{place}: field {config.text!r}"))
        if config.label is not None:
            labels = required(row, config.label, place)
            where = f"{place}: field {config.label!r}"
            for label in labels if isinstance(labels, list) else [labels]:
                checked_label(label, where, config.threshold)
            record = replace(record, answers=logged([a.text for a in record.answers], labels, where))
        if config.question is not None:
            text = required(row, config.question, place)
            record = replace(record, question=question_of(text) or str(text), choice=None)
        if config.answer is not None:
            gold = required(row, config.answer, place)
            worked = config.answer.rpartition(".")[2] == "solution"
            record = replace(record, gold=gold, worked=worked, choice=None)
        if config.id is not None:
            record = replace(record, id=str(required(row, config.id, place)))
        if config.index is not None:
            index = number_of(lookup(row, config.index), f"{place}: field {config.index!r}")
            record = replace(record, index=index)
        return record
