"""An `.eval` of inspect_ai: a zip with a JSON file a sample, read one at a time.

Its members are deflated, or packed by zstd (method 93 of the zip format), which `zipfile` does not know before Python
3.14: Arrow unpacks them.
"""

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Any

import fsspec

from reachlab.errors import ReachlabError
from reachlab.imports.formats.base import Placed
from reachlab.imports.formats.inspect_ai import of_model
from reachlab.storable import storable

ZSTD = 93
LOCAL_HEADER = struct.Struct("<4s22xHH")
"""A member's own header: its mark, and how long its name and what follows that are."""


def read_archive(path: str) -> Iterator[Placed]:
    """The samples of a log, epoch after epoch.

    Raises:
        ReachlabError: no log, no samples, damaged, or packed in a way that nobody here reads.
    """
    try:
        with fsspec.open(path, "rb") as raw, zipfile.ZipFile(raw) as log:
            names = sorted((n for n in log.namelist() if n.startswith("samples/") and n.endswith(".json")), key=_order)
            if not names:
                raise ReachlabError(f"{path}: a zip without samples/*.json: no inspect_ai log, or one without samples")
            head = _head(raw, log)
            for name in names:
                sample = storable(json.loads(_member(raw, log, name)))
                yield f"{path}: {name}", next(of_model([sample], head))
    except NotImplementedError as error:
        raise ReachlabError(
            f"{path}: packed in a way that is not read here ({error}); convert it: inspect log convert --to json"
        ) from error
    except (zipfile.BadZipFile, zlib.error, json.JSONDecodeError, UnicodeDecodeError, EOFError) as error:
        raise ReachlabError(f"{path}: a damaged .eval ({error}); write it again, or inspect log recover") from error


def _head(raw: IO[bytes], log: zipfile.ZipFile) -> Any:
    """What the log says of itself: at its end, or at its start where it was not ended."""
    name = next((n for n in ("header.json", "_journal/start.json") if n in log.namelist()), None)
    head = None if name is None else json.loads(_member(raw, log, name))
    return head.get("eval") if isinstance(head, dict) else None


def _member(raw: IO[bytes], log: zipfile.ZipFile, name: str) -> bytes:
    info = log.getinfo(name)
    if info.compress_type != ZSTD:
        return log.read(name)
    import pyarrow as pa

    raw.seek(info.header_offset)
    mark, name_length, extra_length = LOCAL_HEADER.unpack(raw.read(LOCAL_HEADER.size))
    if mark != b"PK\x03\x04":
        raise zipfile.BadZipFile(f"no member where {name} should be")
    raw.seek(name_length + extra_length, 1)
    packed = raw.read(info.compress_size)
    try:
        data = bytes(pa.Codec("zstd").decompress(packed, decompressed_size=info.file_size))
    except (pa.ArrowException, OSError) as error:
        raise zipfile.BadZipFile(f"{name}: {str(error).splitlines()[0]}") from error
    if zlib.crc32(data) != info.CRC:
        raise zipfile.BadZipFile(f"{name}: its checksum is another")
    return data


def _order(name: str) -> tuple[str, str]:
    """Samples of one epoch after those of another, as in the JSON form."""
    return name.rpartition("_epoch_")[2].zfill(20), name
