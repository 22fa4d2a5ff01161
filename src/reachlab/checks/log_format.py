"""Holds a format of logs to what `imports/formats/base.py` promises: it knows its own rows, reads them, and says in one
line with its place what is wrong with a malformed one."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from reachlab.checks.contract import Contract
from reachlab.errors import ReachlabError
from reachlab.imports.config import ImportConfig
from reachlab.imports.formats.base import Format
from reachlab.imports.record import Record

PUT_IN: tuple[Any, ...] = (None, 1, -1.5, "x", True, [], {}, [None], [[]], {"a": None})
"""What is put in the place of each thing in a row."""
PLACE = "f.jsonl:1"
SELF = ("name", "tool", "row")
ONE_LINE = "what is wrong is one line that begins with its place"


def check_log_format(kind: type[Format], rows: Sequence[Any]) -> None:
    """Read rows as the tool writes them, and each of them with every part of it replaced or left out.

    Args:
        kind: the format.
        rows: rows of a file of that tool, one of each shape that it has; every one holds a text.

    Raises:
        ContractError: a promise does not hold; the message says which.
    """
    contract = Contract(f"format {getattr(kind, 'name', kind.__name__)!r}")
    missing = [name for name in SELF if not getattr(kind, name, None)]
    contract.holds(not missing, f"has no {' and no '.join(missing)}", "it says what --format and the docs call it")
    contract.holds(rows, "was given no row", "a row of each shape shows that it is read")
    plain = kind(ImportConfig(file=("f.jsonl",)))
    for good in rows:
        _check_good(plain, good, contract)
        for row in _variants(good):
            _check_malformed(plain, good, row, contract)


def _check_good(plain: Format, good: Any, contract: Contract) -> None:
    format = plain.look_through(iter([(PLACE, good)]))
    contract.holds(format.recognises(good), f"does not recognise {_short(good)}", "it knows its own rows")
    records = _outcome(format, good)
    contract.holds(not isinstance(records, str), f"refuses {_short(good)}: {records}", "it reads its own rows")
    texts = [answer.text for record in records if not isinstance(record, str) for answer in record.answers]
    contract.holds(texts, f"finds no answer in {_short(good)}", "a row holds one answer or more")


def _check_malformed(plain: Format, good: Any, row: Any, contract: Contract) -> None:
    """A row that is another format's is none of its business."""
    format = plain.look_through(iter([(PLACE, good)]))
    try:
        ours = format.recognises(row)
    except Exception as error:
        contract.holds(False, f"raises {error!r} when it is shown {_short(row)}", "it says yes or no to any row")
        return
    if not ours:
        return
    if plain.narrow:
        said = _looked(plain, row)
        right = not said or (said.startswith(f"{PLACE}: field ") and "\n" not in said)
        contract.holds(right, f"says {said!r} of {_short(row)}", ONE_LINE)
    found = _outcome(format, row)
    if isinstance(found, str):
        right = found.startswith(f"{PLACE}: ") and "\n" not in found
        contract.holds(right, f"says {found!r} of {_short(row)}", ONE_LINE)
        return
    for record in found:
        whole = record.id is None or isinstance(record.id, str)
        whole &= all(isinstance(a.text, str | None) and a.finish in ("stop", "length") for a in record.answers)
        contract.holds(whole, f"makes {record!r} of {_short(row)}", "ids and texts are strings, answers have a finish")


def _outcome(format: Format, row: Any) -> list[Record] | str:
    """Records, or what is wrong; an error that is nobody's to read is its type."""
    try:
        return format.records(row, PLACE)
    except ReachlabError as error:
        return str(error)
    except Exception as error:
        return repr(error)


def _looked(format: Format, row: Any) -> str:
    """What is wrong with what a row says of its whole run."""
    try:
        format.look_through(iter([(PLACE, row)]))
    except ReachlabError as error:
        return str(error)
    except Exception as error:
        return repr(error)
    return ""


def _variants(value: Any) -> Iterator[Any]:
    """The value with each thing in it replaced by each of `PUT_IN`, or left out."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        without = copy.deepcopy(value)
        del without[key]
        yield without
        for other in (*PUT_IN, *_variants(value[key])):
            changed = copy.copy(value)
            changed[key] = other
            yield changed


def _short(row: Any) -> str:
    return repr(row)[:200]
