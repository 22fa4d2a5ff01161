"""What a file can hold, on its way in and out: text as UTF-8, JSON that may be damaged.

Half a surrogate pair is text for Python and JSON (``"\\ud83d"``), and for UTF-8 and so for Parquet it is none. It is
stored as JSON spells it: a backslash, a ``u`` and four digits, six characters. All other text stays as it is.
"""

import json
from collections.abc import Mapping
from typing import Any

from reachlab.errors import ReachlabError


def storable(value: Any) -> Any:
    """The same, halves of surrogate pairs escaped in all its texts; lists and dictionaries are looked through."""
    if isinstance(value, str):
        return value if value.isascii() else encoded(value).decode()
    if isinstance(value, (list, tuple)):
        return [storable(item) for item in value]
    if isinstance(value, Mapping):
        return {storable(key): storable(item) for key, item in value.items()}
    return value


def encoded(text: str) -> bytes:
    """Text as UTF-8. Inside JSON the escape is JSON's own, so what is read again is what was written."""
    return text.encode("utf-8", "backslashreplace")


def parse_json(data: str | bytes, where: str) -> Any:
    """What a JSON document says.

    Raises:
        ReachlabError: it is none, or one that Python refuses (nested too deep, a number of thousands of digits).
    """
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        raise ReachlabError(f"{where}: line {error.lineno}: not JSON ({error.msg})") from error
    except UnicodeDecodeError as error:
        raise ReachlabError(f"{where}: not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise ReachlabError(f"{where}: not JSON that can be read: it is nested too deep") from error
    except ValueError as error:
        raise ReachlabError(f"{where}: not JSON that can be read ({error})") from error
