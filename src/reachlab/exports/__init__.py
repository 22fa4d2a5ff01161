"""Runs in formats that others read: a format a file, a line here. No torch: the command line reads this."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from reachlab.choices import Choices, one_of

WRITERS: Choices[Callable[..., list[str]]] = Choices(
    "export",
    {
        "jsonl": "reachlab.exports.jsonl:write",
        "parquet": "reachlab.exports.parquet:write",
        "eee": "reachlab.exports.every_eval_ever:write",
    },
    unknown="export: no format",
    adopt="reachlab.choices:a_function",
)
"""Called with the rows (`SampleRows`), the `ExportConfig`, and what is told how many more samples are written. Writes
where the configuration says, whole or not at all, and returns the files. It refuses to replace what is no earlier
export of the same run."""

if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = one_of(WRITERS, "auto")
