"""Runs in formats that others read: a format a file, a line here. No torch: the command line reads this."""

from typing import TYPE_CHECKING, Literal

from reachlab.choices import Choices

if TYPE_CHECKING:
    from reachlab.exports.exporting import Writer

WRITERS: "Choices[Writer]" = Choices(
    "export: no format",
    {
        "jsonl": "reachlab.exports.jsonl:write",
        "parquet": "reachlab.exports.parquet:write",
        "eee": "reachlab.exports.every_eval_ever:write",
    },
)

if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[("auto", *WRITERS)]
