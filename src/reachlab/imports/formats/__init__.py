"""The formats that are recognised, a line each, in the order in which they are tried."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from reachlab.choices import imported
from reachlab.errors import ReachlabError
from reachlab.imports.config import ImportConfig
from reachlab.imports.formats.base import Format, Placed
from reachlab.imports.formats.inspect_archive import read_archive
from reachlab.imports.log_files import Broken, LogFile

PLACES = (
    "reachlab:Reachlab",
    "every_eval_ever:EveryEvalEver",
    "lm_eval:LmEval",
    "inspect_ai:InspectAI",
    "lighteval:Lighteval",
    "lighteval:LightevalOld",
    "evalplus:EvalPlus",
    "livecodebench:LiveCodeBench",
    "openai_batch:OpenAIBatch",
    "openai_evals:OpenAIEvals",
    "helm:Helm",
    "opencompass:OpenCompass",
    "evalscope:EvalScope",
    "cruxeval:CruxEval",
    "tree_of_thought:TreeOfThought",
    "bigcode:BigCode",
    "open_r1:OpenR1",
    "nemo_skills:NemoSkills",
    "verl:Verl",
    "skyrl:SkyRL",
    "trl:TRL",
    "chat:ChatLog",
    "fields:Fields",
)
"""A file of this folder, and the class in it."""
FORMATS: tuple[type[Format], ...] = tuple(
    sorted((imported(f"reachlab.imports.formats.{place}") for place in PLACES), key=lambda kind: not kind.narrow)
)
"""Those that take any object come last."""
FIRST = 16
"""Rows that all have to be of a format for it to be recognised."""


def read_rows(file: LogFile, format: Format) -> Iterator[Placed]:
    """A file's rows as a format unfolds them; one that cannot be read is `Broken`."""
    if file.kind == "archive":
        yield from read_archive(file.path)
        return
    for place, value in file.values():
        if file.kind != "document":
            yield place, value
            continue
        rows = format.unfold(value, place)
        if rows is None:
            raise ReachlabError(f"{place}: not a JSON document of the format {format.name}")
        yield from rows


def recognise(config: ImportConfig, file: LogFile) -> Format:
    """The format of a file.

    Raises:
        ReachlabError: no such format, or a document in which no rows are found.
    """
    formats = [each(config) for each in FORMATS]
    if config.format:
        chosen = next((f for f in formats if f.name == config.format), None)
        if chosen is None:
            raise ReachlabError(f"--format {config.format}: there are {', '.join(f.name for f in formats)}")
        return chosen
    if file.kind == "archive":
        return next(each for each in formats if each.archives)
    # A document is read once and each format looks at it.
    values = list(islice(file.values(), 1 if file.kind == "document" else FIRST))
    for kind in formats:
        if (rows := _first(file, kind, values)) and all(kind.recognises(row) for row in rows):
            return kind
    raise ReachlabError(f"{file.path}: {_seen(values)}; no answers of models are found in it")


def _first(file: LogFile, format: Format, values: list[Placed]) -> list[Any]:
    if file.kind == "document":
        place, document = values[0]
        values = list(islice(format.unfold(document, place) or (), FIRST))
    return [row for _, row in values if not isinstance(row, Broken)]


def _seen(values: list[Placed]) -> str:
    value = values[0][1]
    if isinstance(value, Broken):
        return value.reason
    if isinstance(value, dict):
        return f"an object with the fields {', '.join(map(str, list(value)[:12]))}"
    return f"a {type(value).__name__}"
