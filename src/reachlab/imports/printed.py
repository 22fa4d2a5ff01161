"""A list that somebody printed into a text: ``['a', 'b']``.

Such a cell is the list, or it is refused: it is never one answer. numpy prints without commas, which Python reads as
one long string; strings are counted to notice that.
"""

import ast
import io
import json
import re
import tokenize

from reachlab.errors import ReachlabError

LOOKS_PRINTED = re.compile(r"\s*\[\s*(?:\]|[rbu]?['\"].*['\"]\s*,?\s*\]\s*)", re.DOTALL)


def looks_printed(text: str) -> bool:
    """Whether a text begins and ends like a list of texts."""
    return bool(LOOKS_PRINTED.fullmatch(text))


def printed_list(text: str, where: str) -> list[str]:
    """The texts of a printed list.

    Raises:
        ReachlabError: it is not one that says where a text ends.
    """
    value: object = None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(text.strip())
            words = tokenize.generate_tokens(io.StringIO(text.strip()).readline)
            if isinstance(value, list) and sum(w.type == tokenize.STRING for w in words) != len(value):
                value = None
        except (ValueError, SyntaxError, MemoryError, RecursionError, tokenize.TokenError):
            value = None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ReachlabError(
            f"{where}: a printed list that does not say where a text ends: {text[:60]!r}; write JSON lines or Parquet"
        )
    return value
