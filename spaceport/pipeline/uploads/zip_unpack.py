"""Unpacks one file of an untrusted zip as a stream, and trusts neither its header nor its packed bytes.

Source: PKWARE APPNOTE 6.3.10, sections 4.3.7 and 4.4. Standard library only: the intake function imports this too.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterator
from typing import BinaryIO, Final

from spaceport.pipeline.uploads.zip_methods import (
    LZMA,
    MANY_STREAMS,
    STORED,
    SUPPORTED,
    CorruptError,
    decompress,
    decompressor,
    method_name,
)
from spaceport.pipeline.uploads.zip_records import ENCRYPTION_FLAGS, LOCAL_HEADER, LOCAL_SIGNATURE, ZipEntry, read_at

MAX_FILE_BYTES: Final = 4 << 30  # where drones split their videos; photos are far smaller

_CHUNK: Final = 1 << 20
_MIN_STREAM: Final = 100_000  # bytes; the smallest block that bzip2 has. Packers that write many streams fill them


class DamagedError(Exception):
    """This one entry cannot be unpacked; the others may."""


def unpack(file: BinaryIO, entry: ZipEntry) -> Iterator[bytes]:
    """The entry's bytes in chunks, never more than its size; raises `DamagedError` at the first contradiction."""
    if entry.size > MAX_FILE_BYTES:
        raise DamagedError(f"it is larger than {MAX_FILE_BYTES // 10**6} MB")
    if entry.packed > 2 * entry.size + _CHUNK:  # padding that unpacks to nothing only costs time
        raise DamagedError("it is packed into more bytes than it has")
    if entry.method not in SUPPORTED:
        raise DamagedError(f"it is packed as {method_name(entry.method)}, which is not supported")
    crc = 0
    written = 0
    try:
        for chunk in _inflate(_packed(file, _data_start(file, entry), entry), entry):
            written += len(chunk)
            if written > entry.size:
                raise DamagedError("it is longer than the zip says")
            crc = zlib.crc32(chunk, crc)
            yield chunk
    except CorruptError as error:
        raise DamagedError(str(error)) from None
    if written != entry.size:
        raise DamagedError("it is shorter than the zip says")
    if crc != entry.crc:
        raise DamagedError("its checksum is wrong")


def _data_start(file: BinaryIO, entry: ZipEntry) -> int:
    head = LOCAL_HEADER.unpack(read_at(file, entry.offset, LOCAL_HEADER.size))
    name = read_at(file, entry.offset + LOCAL_HEADER.size, head[9]) if head[9] == len(entry.raw_name) else b""
    contradicts = name != entry.raw_name or head[3] != entry.method or head[2] & ENCRYPTION_FLAGS
    if head[0] != LOCAL_SIGNATURE or contradicts:
        raise DamagedError("its header contradicts the zip's table of contents")
    start: int = entry.offset + LOCAL_HEADER.size + head[9] + head[10]
    if start + entry.packed > entry.limit:
        raise DamagedError("it reaches into the next file of the zip")
    return start


def _packed(file: BinaryIO, at: int, entry: ZipEntry) -> Iterator[bytes]:
    for begin in range(at, at + entry.packed, _CHUNK):
        yield read_at(file, begin, min(_CHUNK, at + entry.packed - begin))


def _inflate(packed: Iterator[bytes], entry: ZipEntry) -> Iterator[bytes]:
    """The unpacked bytes, in chunks of at most `_CHUNK` bytes. Raises `CorruptError` or `DamagedError`."""
    if entry.method == STORED or not entry.packed:
        yield from packed
        return
    behind = yield from _inflate_stream(b"", packed, entry)
    streams = 1
    while entry.method in MANY_STREAMS and (behind or (behind := next(packed, b""))):
        streams += 1
        if streams > 16 + entry.size // _MIN_STREAM:  # each costs a decompressor, and may hold no byte
            raise DamagedError("it is packed in too many streams")
        behind = yield from _inflate_stream(behind, packed, entry)


def _inflate_stream(data: bytes, packed: Iterator[bytes], entry: ZipEntry) -> Generator[bytes, None, bytes]:
    """What one stream holds, which begins with `data` and goes on in `packed`. Returns what was read behind its end."""
    stream = decompressor(entry.method, entry.size)
    written = 0
    while not stream.eof:
        if not data and stream.needs_input and not (data := next(packed, b"")):
            if entry.method == LZMA and written == entry.size:  # its end need not be marked
                return b""
            raise DamagedError("its packed bytes end too soon")
        chunk = decompress(stream, data, _CHUNK)
        data = b""
        written += len(chunk)
        yield chunk
    return stream.unused_data
