"""The formats that are recognised, in the order in which they are tried: the narrow before the wide."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from reachlab.errors import ReachlabError
from reachlab.imports.config import ImportConfig
from reachlab.imports.formats.base import Format, Placed
from reachlab.imports.formats.bigcode import BigCode
from reachlab.imports.formats.chat import ChatLog
from reachlab.imports.formats.cruxeval import CruxEval
from reachlab.imports.formats.evalplus import EvalPlus
from reachlab.imports.formats.evalscope import EvalScope
from reachlab.imports.formats.every_eval_ever import EveryEvalEver
from reachlab.imports.formats.fields import Fields
from reachlab.imports.formats.helm import Helm
from reachlab.imports.formats.inspect_ai import InspectAI
from reachlab.imports.formats.inspect_archive import read_archive
from reachlab.imports.formats.lighteval import Lighteval, LightevalOld
from reachlab.imports.formats.livecodebench import LiveCodeBench
from reachlab.imports.formats.lm_eval import LmEval
from reachlab.imports.formats.nemo_skills import NemoSkills
from reachlab.imports.formats.open_r1 import OpenR1
from reachlab.imports.formats.openai_batch import OpenAIBatch
from reachlab.imports.formats.openai_evals import OpenAIEvals
from reachlab.imports.formats.opencompass import OpenCompass
from reachlab.imports.formats.reachlab import Reachlab
from reachlab.imports.formats.skyrl import SkyRL
from reachlab.imports.formats.tree_of_thought import TreeOfThought
from reachlab.imports.formats.trl import TRL
from reachlab.imports.formats.verl import Verl
from reachlab.imports.log_files import Broken, LogFile

FORMATS: tuple[type[Format], ...] = (
    Reachlab,
    EveryEvalEver,
    LmEval,
    InspectAI,
    Lighteval,
    LightevalOld,
    EvalPlus,
    LiveCodeBench,
    OpenAIBatch,
    OpenAIEvals,
    Helm,
    OpenCompass,
    EvalScope,
    CruxEval,
    TreeOfThought,
    BigCode,
    OpenR1,
    NemoSkills,
    Verl,
    SkyRL,
    TRL,
    ChatLog,
    Fields,
)
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
        return InspectAI(config)
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
