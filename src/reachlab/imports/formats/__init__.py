"""The formats that are recognised, a line each, in the order in which they are tried."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from reachlab.choices import Choices
from reachlab.errors import ReachlabError
from reachlab.imports.config import ImportConfig
from reachlab.imports.formats.base import Format, Placed
from reachlab.imports.formats.inspect_archive import read_archive
from reachlab.imports.log_files import Broken, LogFile

FORMATS: Choices[type[Format]] = Choices(
    "log_format",
    {
        "reachlab": "reachlab.imports.formats.reachlab:Reachlab",
        "every-eval-ever": "reachlab.imports.formats.every_eval_ever:EveryEvalEver",
        "lm-eval": "reachlab.imports.formats.lm_eval:LmEval",
        "inspect": "reachlab.imports.formats.inspect_ai:InspectAI",
        "lighteval": "reachlab.imports.formats.lighteval:Lighteval",
        "lighteval-old": "reachlab.imports.formats.lighteval:LightevalOld",
        "evalplus": "reachlab.imports.formats.evalplus:EvalPlus",
        "livecodebench": "reachlab.imports.formats.livecodebench:LiveCodeBench",
        "openai-batch": "reachlab.imports.formats.openai_batch:OpenAIBatch",
        "openai-evals": "reachlab.imports.formats.openai_evals:OpenAIEvals",
        "helm": "reachlab.imports.formats.helm:Helm",
        "opencompass": "reachlab.imports.formats.opencompass:OpenCompass",
        "evalscope": "reachlab.imports.formats.evalscope:EvalScope",
        "cruxeval": "reachlab.imports.formats.cruxeval:CruxEval",
        "tree-of-thought": "reachlab.imports.formats.tree_of_thought:TreeOfThought",
        "bigcode": "reachlab.imports.formats.bigcode:BigCode",
        "open-r1": "reachlab.imports.formats.open_r1:OpenR1",
        "nemo-skills": "reachlab.imports.formats.nemo_skills:NemoSkills",
        "verl": "reachlab.imports.formats.verl:Verl",
        "skyrl": "reachlab.imports.formats.skyrl:SkyRL",
        "trl": "reachlab.imports.formats.trl:TRL",
        "chat": "reachlab.imports.formats.chat:ChatLog",
        "fields": "reachlab.imports.formats.fields:Fields",
    },
    unknown="--format: there is no format",
    adopt="reachlab.imports.formats.base:adopted",
)
"""The names as in --format."""
FIRST = 16
"""Rows that all have to be of a format for it to be recognised."""


def in_order() -> list[type[Format]]:
    """The formats as they are tried: those that take any object come last."""
    return sorted((kind for _, kind in FORMATS.working()), key=lambda kind: not kind.narrow)


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
    if config.format:
        return FORMATS[config.format](config)
    formats = [each(config) for each in in_order()]
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
