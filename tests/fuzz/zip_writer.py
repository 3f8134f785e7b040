"""Writes zips in the dialects of the programs that people use, down to each field: `zipfile` knows one dialect only."""

from __future__ import annotations

import bz2
import io
import lzma
import struct
import zlib
from dataclasses import dataclass

from backports import zstd

FAT, UNIX, NTFS = 0, 3, 10  # "version made by": the system of the program that wrote the zip
UTF8 = 1 << 11
WRAP = 1 << 32


def pack(body: bytes, method: int) -> bytes:
    """The body as `method` packs it."""
    if method == 8:
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        return deflate.compress(body) + deflate.flush()
    if method == 12:
        return bz2.compress(body, 1)
    if method == 14:
        return pack_lzma(body, 1 << 16)
    if method == 95:
        return lzma.compress(body, preset=0)
    return zstd.compress(body) if method in (20, 93) else body


def pack_lzma(body: bytes, dictionary: int, written: int | None = None, *, marked: bool = False) -> bytes:
    """LZMA behind the header of APPNOTE 5.8, which says `written` (or `dictionary`), its end marked or not."""
    alone = lzma.compress(
        body, lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "preset": 0, "dict_size": dictionary}]
    )
    stream = alone[13:] if marked else _without_mark(alone[13:], body, alone[0], dictionary)
    return struct.pack("<2BHBL", 9, 20, 5, alone[0], dictionary if written is None else written) + stream


def _without_mark(stream: bytes, body: bytes, properties: int, dictionary: int) -> bytes:
    """The shortest beginning of the stream that holds the whole body."""
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": 3, "lp": 0, "pb": 2}]
    assert properties == 93
    reader = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
    left = len(body) - len(reader.decompress(stream[:-10]))
    for length in range(len(stream) - 10, len(stream)):
        if left == 0:
            return stream[:length]
        left -= len(reader.decompress(stream[length : length + 1]))
    raise AssertionError("the stream ends too soon")


@dataclass(frozen=True)
class Member:
    """One file of a zip. `packed` takes the place of what `method` makes of the body, `size` of its length."""

    name: bytes
    body: bytes = b""
    method: int = 8
    flags: int = 0
    system: int = UNIX
    extra: bytes = b""
    packed: bytes | None = None
    size: int | None = None


def written(
    members: list[Member],
    *,
    before: bytes = b"",
    behind: bytes = b"",
    comment: bytes = b"",
    signature: bytes = b"",
    counted: bool = False,
    disk: int = 0,
) -> bytes:
    """A zip of these, with bytes before it (`counted` in its offsets or not), bytes behind it, a signed directory."""
    out = bytearray(before)
    base = 0 if counted else len(before)
    directory = bytearray()
    for member in members:
        directory += central(member, len(out) - base)
        out += local(member) + _packed(member)
    start = len(out) - base
    out += directory + signature
    out += end_record(len(members), len(directory) + len(signature), start, comment, disk)
    return bytes(out) + behind


def local(member: Member, packed: int | None = None) -> bytes:
    size = len(_packed(member)) if packed is None else packed
    return (
        struct.pack(
            "<4s5H3L2H",
            b"PK\3\4",
            20,
            member.flags,
            member.method,
            0,
            0x5A21,
            zlib.crc32(member.body),
            size % WRAP,
            _size(member) % WRAP,
            len(member.name),
            0,
        )
        + member.name
    )


def central(member: Member, offset: int, packed: int | None = None, size: int | None = None) -> bytes:
    return (
        struct.pack(
            "<4s6H3L5H2L",
            b"PK\1\2",
            member.system << 8 | 20,
            20,
            member.flags,
            member.method,
            0,
            0x5A21,
            zlib.crc32(member.body),
            (len(_packed(member)) if packed is None else packed) % WRAP,
            (_size(member) if size is None else size) % WRAP,
            len(member.name),
            len(member.extra),
            0,
            0,
            0,
            0,
            offset % WRAP,
        )
        + member.name
        + member.extra
    )


def end_record(count: int, length: int, start: int, comment: bytes = b"", disk: int = 0) -> bytes:
    numbers = (disk, disk, count % 65536, count % 65536, length, start % WRAP, len(comment))
    return struct.pack("<4s4H2LH", b"PK\5\6", *numbers) + comment


def unicode_path(raw: bytes, name: str, checksum: int | None = None) -> bytes:
    """Info-ZIP's extra field with the name in UTF-8."""
    body = struct.pack("<BL", 1, zlib.crc32(raw) if checksum is None else checksum) + name.encode()
    return struct.pack("<2H", 0x7075, len(body)) + body


def _packed(member: Member) -> bytes:
    return pack(member.body, member.method) if member.packed is None else member.packed


def _size(member: Member) -> int:
    return len(member.body) if member.size is None else member.size


class SparseFile(io.BytesIO):
    """A file of any length in memory: zeros but for the pieces that were written. Counts its reads."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[tuple[int, bytes]] = []
        self.size = self.position = self.reads = 0

    def append(self, data: bytes) -> None:
        self.pieces.append((self.size, data))
        self.size += len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self.position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        return self.position

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        end = min(self.size, self.position + (self.size if size is None or size < 0 else size))
        found = bytearray(max(0, end - self.position))
        for at, data in self.pieces:
            first, last = max(at, self.position), min(at + len(data), end)
            if first < last:
                found[first - self.position : last - self.position] = data[first - at : last - at]
        self.position += len(found)
        return bytes(found)


def mac_zip(members: list[tuple[Member, int]]) -> SparseFile:
    """A zip of any length as the Archive Utility of macOS writes it: no zip64, every number modulo 2^32.

    Args:
        members: each with the number of zeros that follow its packed bytes and are counted among them.
    """
    file = SparseFile()
    directory = b""
    for member, zeros in members:
        packed = len(_packed(member)) + zeros
        directory += central(member, file.size, packed, packed if member.method == 0 else None)
        file.append(local(member, 0) + _packed(member))
        file.size += zeros
        file.append(struct.pack("<4s3L", b"PK\7\10", zlib.crc32(member.body), packed % WRAP, packed % WRAP))
    start = file.size
    file.append(directory)
    file.append(end_record(len(members), len(directory), start))
    return file
