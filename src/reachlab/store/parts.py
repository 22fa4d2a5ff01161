"""A part: one Parquet file of samples, in which a flipped bit is an error and never another number.

Every page has Parquet's own checksum. What that leaves open is closed by a seal: after the last page and before the
footer, where no reader of Parquet looks, stand the CRC-32 of each column chunk (the headers of its pages too), row
group after row group, how many these are, a hash of the footer, and a word to know it by. A part without a seal (of an
earlier day, or rewritten by another program) is read as any Parquet file.
"""

import hashlib
import io
import struct
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from reachlab.errors import ReachlabError

WORD = b"reachsum"
SEAL = struct.Struct("<I8s8s")
"""Behind the sums: how many they are, the footer's hash, the word."""
END = 8
"""Bytes behind the footer: its length, and ``PAR1``."""
TAIL = 1 << 16
"""Bytes of a file's end that are read at first; enough for most footers."""


def write_parquet(table: pa.Table) -> bytes:
    """A part's file."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    data = buffer.getvalue()
    start = len(data) - END - _length(data[-END:])
    footer = data[start:]
    chunks = [data[at : at + size] for at, size in _chunks(_metadata(footer))]
    sums = b"".join(zlib.crc32(chunk).to_bytes(4, "little") for chunk in chunks)
    return data[:start] + sums + SEAL.pack(len(chunks), _digest(footer), WORD) + footer


@dataclass(frozen=True, eq=False)
class Part:
    """A part that is open. What is read through `parquet` is to be checked before."""

    handle: BinaryIO
    parquet: pq.ParquetFile
    sums: tuple[int, ...] | None

    def check(self, columns: Collection[str] | None = None, groups: Sequence[int] | None = None) -> None:
        """Hold what is stored of some columns (None: of all), in some row groups, against the seal.

        Raises:
            ValueError: it is not what was written.
        """
        if self.sums is None:
            return
        metadata = self.parquet.metadata
        for at, (start, size) in enumerate(_chunks(metadata)):
            group, column = divmod(at, metadata.num_columns)
            name = metadata.row_group(group).column(column).path_in_schema
            if (columns is None or name in columns) and (groups is None or group in groups):
                self.handle.seek(start)
                if zlib.crc32(self.handle.read(size)) != self.sums[at]:
                    raise ValueError(f"column {name} is not what was written: its checksum does not fit")


@contextmanager
def opened(fs: Any, path: str, encoded: Sequence[str] = ()) -> Iterator[Part]:
    """A part, to read from; columns of the `encoded` ones come as Arrow dictionaries.

    Raises:
        ReachlabError: it is damaged; also where that is found while it is read.
    """
    try:
        with fs.open(path, "rb") as handle:
            metadata, sums = _footer(handle)
            dictionaries = [name for name in encoded if name in metadata.schema.to_arrow_schema().names]
            # Not read ahead: a thread of Arrow's could hold the file as the interpreter ends: it aborts.
            parquet = pq.ParquetFile(
                handle,
                metadata=metadata,
                read_dictionary=dictionaries,
                pre_buffer=False,
                page_checksum_verification=True,
            )
            yield Part(handle, parquet, sums)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ReachlabError(
            f"{path}: not a readable part ({next(iter(str(error).splitlines()), type(error).__name__)}); "
            "delete it and run the same command to draw its samples again"
        ) from error


def read_schema(fs: Any, path: str) -> pa.Schema:
    """The columns of a part, and what was written into their fields.

    Raises:
        ReachlabError: it is damaged.
    """
    with opened(fs, path) as part:
        return part.parquet.schema_arrow


def _footer(handle: BinaryIO) -> tuple[pq.FileMetaData, tuple[int, ...] | None]:
    """What a file says of itself, and its seal's sums."""
    size = handle.seek(0, io.SEEK_END)
    tail = _end(handle, min(size, TAIL))
    if tail[-4:] != b"PAR1":
        raise ValueError("it does not end as Parquet does")
    behind = END + _length(tail[-END:])
    if behind > size:
        raise ValueError("its footer is cut")
    tail = tail if behind + SEAL.size <= len(tail) else _end(handle, min(size, behind + SEAL.size))
    footer = tail[-behind:]
    seal = tail[-behind - SEAL.size : -behind]
    if not seal.endswith(WORD):
        return _metadata(footer), None
    count, digest, _ = SEAL.unpack(seal)
    if digest != _digest(footer):
        raise ValueError("its footer is not what was written: its hash does not fit")
    metadata = _metadata(footer)
    if count != metadata.num_row_groups * metadata.num_columns:
        raise ValueError("its checksums are not as many as its columns")
    sums = _end(handle, behind + SEAL.size + 4 * count)[: 4 * count]
    return metadata, struct.unpack(f"<{count}I", sums)


def _end(handle: BinaryIO, size: int) -> bytes:
    handle.seek(-size, io.SEEK_END)
    return handle.read(size)


def _length(end: bytes) -> int:
    return int.from_bytes(end[:4], "little")


def _digest(footer: bytes) -> bytes:
    return hashlib.blake2b(footer, digest_size=8).digest()


def _metadata(footer: bytes) -> pq.FileMetaData:
    return pq.read_metadata(pa.BufferReader(footer))


def _chunks(metadata: pq.FileMetaData) -> Iterator[tuple[int, int]]:
    """Where each column chunk begins, and how long it is: row group after row group."""
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            first = [at for at in (chunk.dictionary_page_offset, chunk.data_page_offset) if at]
            yield min(first), chunk.total_compressed_size
