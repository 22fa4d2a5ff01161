"""Plain values as JSON, and back: all that passes between untrusted code and its tests.

Every value but None, a truth value, an int, a str comes as ``[tag, ...]``. What is not plain (an object with an __eq__
of its own, say) becomes an `Opaque`, which equals nothing. Runs inside the sandbox too: nothing but the standard
library, and no import of the package.
"""

import json
from collections.abc import Iterator
from typing import Any

DEPTH = 200


class Opaque:
    """What could not be carried over; equal to nothing but itself."""

    def __init__(self, kind: str):
        self.kind = kind

    def __repr__(self) -> str:
        return f"<{self.kind}>"


def pack(value: Any, depth: int = 0) -> Any:
    """A value as JSON's own types; one of a derived class as the plain type it derives from."""
    if value is None or value is True or value is False:
        return value
    if depth > DEPTH:
        return ["opaque", "too deep"]
    kind = type(value)
    if issubclass(kind, int):
        return ["int", format(int(value), "x")] if abs(int(value)) >= 1 << 62 else int(value)
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, float):
        return ["float", float.hex(value)]
    if issubclass(kind, complex):
        return ["complex", float.hex(complex(value).real), float.hex(complex(value).imag)]
    if issubclass(kind, (bytes, bytearray)):
        return ["bytes", bytes(value).hex()]
    for plain in (list, tuple, set, frozenset):
        if issubclass(kind, plain):
            return [plain.__name__, [pack(item, depth + 1) for item in plain.__iter__(value)]]
    if issubclass(kind, dict):
        return ["dict", [[pack(k, depth + 1), pack(v, depth + 1)] for k, v in dict.items(value)]]
    if _is_numpys(kind):
        return pack(value.tolist(), depth)
    return ["opaque", str(kind.__name__)[:80]]


def foreign(value: Any, depth: int = 0) -> str:
    """The kind of what in a value cannot be carried over, and came as no `Opaque` either; "" if there is none."""
    if value is None or isinstance(value, (int, float, complex, str, bytes, bytearray, Opaque)) or depth > DEPTH:
        return ""
    if isinstance(value, dict):
        items = [*value.keys(), *value.values()]
    elif isinstance(value, (list, tuple, set, frozenset)):
        items = list(value)
    elif _is_numpys(type(value)):
        items = [value.tolist()]
    else:
        return type(value).__name__
    return next((kind for item in items if (kind := foreign(item, depth + 1))), "")


def _is_numpys(kind: type) -> bool:
    """Whether it is an array or a scalar of numpy, both of which have a list, or a value, of plain ones."""
    return str(kind.__module__) == "numpy" and hasattr(kind, "dtype")


def unpack(value: Any, depth: int = 0) -> Any:
    """The value that `pack` packed.

    Raises:
        ValueError: this was not packed by `pack`.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if not isinstance(value, list) or not value or depth > DEPTH + 2:
        raise ValueError("not a packed value")
    tag, *rest = value
    try:
        if tag == "int":
            return int(rest[0], 16)
        if tag == "float":
            return float.fromhex(rest[0])
        if tag == "complex":
            return complex(float.fromhex(rest[0]), float.fromhex(rest[1]))
        if tag == "bytes":
            return bytes.fromhex(rest[0])
        if tag == "opaque":
            return Opaque(str(rest[0]))
        if tag == "dict":
            return {unpack(k, depth + 1): unpack(v, depth + 1) for k, v in rest[0]}
        plain = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[tag]
        return plain(unpack(item, depth + 1) for item in rest[0])
    except (KeyError, IndexError, TypeError, OverflowError) as error:
        raise ValueError(f"not a packed value: {error}") from error


def brief(value: Any, room: int = 60) -> str:
    """The beginning of what a value looks like, in a time that does not depend on its size."""
    kind = type(value)
    if kind is int and value.bit_length() > 4 * room:
        return f"an int of {value.bit_length()} bits"
    if kind in (str, bytes):
        return repr(value[:room])[:room]
    if kind in (list, tuple, set, frozenset):
        opens, closes = "[]" if kind is list else "()" if kind is tuple else "{}"
        return _joined((brief(item, room // 2) for item in value), opens, closes, room)
    if kind is dict:
        pairs = (f"{brief(key, room // 2)}: {brief(item, room // 2)}" for key, item in value.items())
        return _joined(pairs, "{", "}", room)
    return repr(value)[:room]


def _joined(parts: Iterator[str], opens: str, closes: str, room: int) -> str:
    text = opens
    for number, part in enumerate(parts):
        text += (", " if number else "") + part
        if len(text) > room:
            return text[:room]
    return (text + closes)[:room]


def dumps(message: Any) -> bytes:
    """A message as one line."""
    return json.dumps(message).encode() + b"\n"
