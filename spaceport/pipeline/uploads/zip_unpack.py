"""Unpacks one file of an untrusted zip as a stream, and trusts neither its header nor its packed bytes.

Source: PKWARE APPNOTE 6.3.10, sections 4.3.7 and 4.4. Standard library only: the intake function imports this too.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from spaceport.pipeline.uploads.zip_directory import ENCRYPTION_FLAGS, LOCAL_HEADER, STORED, ZipEntry, read_at

MAX_FILE_BYTES: Final = 4 << 30  # where drones split their videos; photos are far smaller

_DEFLATED: Final = 8
_CHUNK: Final = 1 << 20


class DamagedError(Exception):
    """This one entry cannot be unpacked; the others may."""


def unpack(file: BinaryIO, entry: ZipEntry) -> Iterator[bytes]:
    """The entry's bytes in chunks, never more than its size; raises `DamagedError` at the first contradiction."""
    if entry.size > MAX_FILE_BYTES:
        raise DamagedError(f"it is larger than {MAX_FILE_BYTES // 10**6} MB")
    if entry.packed > 2 * entry.size + _CHUNK:  # padding that unpacks to nothing only costs time
        raise DamagedError("it is packed into more bytes than it has")
    crc = 0
    written = 0
    for chunk in _inflate(file, _data_start(file, entry), entry):
        written += len(chunk)
        if written > entry.size:
            raise DamagedError("it is longer than the zip says")
        crc = zlib.crc32(chunk, crc)
        yield chunk
    if written != entry.size:
        raise DamagedError("it is shorter than the zip says")
    if crc != entry.crc:
        raise DamagedError("its checksum is wrong")


def _data_start(file: BinaryIO, entry: ZipEntry) -> int:
    head = LOCAL_HEADER.unpack(read_at(file, entry.offset, LOCAL_HEADER.size))
    name = read_at(file, entry.offset + LOCAL_HEADER.size, head[9]) if head[9] == len(entry.raw_name) else b""
    if head[0] != b"PK\3\4" or name != entry.raw_name or head[3] != entry.method or head[2] & ENCRYPTION_FLAGS:
        raise DamagedError("its header contradicts the zip's table of contents")
    start: int = entry.offset + LOCAL_HEADER.size + head[9] + head[10]
    if start + entry.packed > entry.limit:
        raise DamagedError("it reaches into the next file of the zip")
    return start


def _inflate(file: BinaryIO, at: int, entry: ZipEntry) -> Iterator[bytes]:
    """The unpacked bytes, in chunks of about `_CHUNK` bytes."""
    if entry.method not in (STORED, _DEFLATED):
        raise DamagedError(f"it is packed by a method that is not supported ({entry.method})")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for begin in range(at, at + entry.packed, _CHUNK):
        data = read_at(file, begin, min(_CHUNK, at + entry.packed - begin))
        if entry.method == STORED:
            yield data
            continue
        last = begin + len(data) == at + entry.packed
        try:
            while not inflater.eof and (data or last):
                chunk = inflater.decompress(data, _CHUNK)
                yield chunk
                if last and not data and not chunk:
                    raise DamagedError("its packed bytes end too soon")
                data = inflater.unconsumed_tail  # empty even while zlib still holds a few bytes back
        except zlib.error:
            raise DamagedError("its packed bytes are damaged") from None
        if inflater.eof:
            return
