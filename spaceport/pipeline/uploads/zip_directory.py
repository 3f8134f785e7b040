"""The central directory of an untrusted zip: located, parsed and checked before any file in it is read.

The zip format is parsed here and not by `zipfile`, which loads a directory of any size, takes offsets outside the
file, and lets entries share bytes. Source: PKWARE APPNOTE 6.3.10, sections 4.3 to 4.5. Standard library only: the
intake function imports this too, and passes a file whose reads are ranged S3 requests.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from spaceport.pipeline.errors import Refused, Slug

MAX_ENTRIES: Final = 10_000  # ten long flights; matching and training give up far below that
MAX_DIRECTORY_BYTES: Final = 8 << 20  # 800 bytes for each of MAX_ENTRIES; real ones need 100 to 150
MAX_NAME_BYTES: Final = 512  # an S3 key holds 1,024 with our prefix
MAX_PART_BYTES: Final = 255  # what Linux file systems take
MAX_PARTS: Final = 20  # folders in folders; keeps the work per name small

LOCAL_HEADER: Final = struct.Struct("<4s5H3L2H")  # stands before an entry's name and bytes
STORED: Final = 0
ENCRYPTION_FLAGS: Final = 1 << 0 | 1 << 6 | 1 << 13  # classic, strong, hidden headers

_END: Final = struct.Struct("<4s4H2LH")
_END64_LOCATOR: Final = struct.Struct("<4sLQL")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_MAX_COMMENT: Final = 0xFFFF
_AES: Final = 99
_DRIVE: Final = re.compile(r"^[A-Za-z]:")
_DIRECTORY_NAME: Final = "its table of contents"


@dataclass(frozen=True)
class ZipEntry:
    """One entry of the zip. `name` is a safe relative path with `/`; `limit` is where the next entry begins."""

    name: str
    raw_name: bytes
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    limit: int


def read_directory(file: BinaryIO) -> list[ZipEntry]:
    """The files in the zip, in its order and without its folders: two or three reads near its end.

    Every name is a safe relative path, every file a plain one that is not encrypted, and no two share bytes. Their
    sizes are what the zip claims, and still to be checked.

    Raises:
        Refused: not_a_zip, damaged_zip, too_many_entries, encrypted_zip, unsafe_path or symlink_entry.
    """
    size = file.seek(0, os.SEEK_END)
    start, length, count = _find_directory(file, size)
    if count == 0:
        return []
    table = read_at(file, start, length)
    return [entry for entry in _with_limits(list(_entries(table, count)), start) if not entry.name.endswith("/")]


def _find_directory(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Offset, length and number of entries of the central directory."""
    tail_at = max(0, size - _END.size - _MAX_COMMENT - _END64_LOCATOR.size)
    tail = read_at(file, tail_at, size - tail_at)
    at = tail.rfind(b"PK\5\6")
    while at >= 0:
        if at + _END.size <= len(tail):
            fields = _END.unpack_from(tail, at)
            if at + _END.size + fields[7] == len(tail):
                break
        at = tail.rfind(b"PK\5\6", 0, at)
    else:
        begins_as_zip = read_at(file, 0, min(4, size)) == b"PK\3\4"
        raise damaged("its end is missing") if begins_as_zip else Refused(Slug.NOT_A_ZIP)
    _, disk, first_disk, here, count, length, start, _ = fields
    end = tail_at + at
    if at >= _END64_LOCATOR.size and tail[at - _END64_LOCATOR.size : at].startswith(b"PK\6\7"):
        end, length64, start64, count64 = _read_end64(file, tail, at, end)
        for short, full, saturated in (
            (count, count64, 0xFFFF),
            (length, length64, 2**32 - 1),
            (start, start64, 2**32 - 1),
        ):
            if short not in (full, saturated):
                raise damaged(_DIRECTORY_NAME)
        here, count, length, start = min(count64, 0xFFFF), count64, length64, start64
    if disk or first_disk or here != min(count, 0xFFFF) or start + length > end:
        raise damaged(_DIRECTORY_NAME)
    if count > MAX_ENTRIES:
        raise Refused(Slug.TOO_MANY_ENTRIES, count=count, limit=MAX_ENTRIES)
    if length > MAX_DIRECTORY_BYTES or length < count * _ENTRY.size:
        raise damaged(_DIRECTORY_NAME)
    return start, length, count


def _read_end64(file: BinaryIO, tail: bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """Offset of the zip64 end record, and the directory's length, offset and number of entries from it."""
    _, disk, where, disks = _END64_LOCATOR.unpack_from(tail, at - _END64_LOCATOR.size)
    if disk or disks > 1 or where + _END64.size > end - _END64_LOCATOR.size:
        raise damaged(_DIRECTORY_NAME)
    signature, _, _, _, disk, first_disk, here, count, length, start = _END64.unpack(read_at(file, where, _END64.size))
    if signature != b"PK\6\6" or disk or first_disk or here != count:
        raise damaged(_DIRECTORY_NAME)
    return where, length, start, count


def _entries(table: bytes, count: int) -> Iterator[ZipEntry]:
    """Each entry of the central directory, its name and kind checked; directories keep their final `/`."""
    at = 0
    for _ in range(count):
        if at + _ENTRY.size > len(table) or table[at : at + 4] != b"PK\1\2":
            raise damaged(_DIRECTORY_NAME)
        head = _ENTRY.unpack_from(table, at)
        flags, method, crc, packed, size = head[3], head[4], head[7], head[8], head[9]
        name_at, extra_at = at + _ENTRY.size, at + _ENTRY.size + head[10]
        at = extra_at + head[11] + head[12]
        if at > len(table):
            raise damaged(_DIRECTORY_NAME)
        raw_name = table[name_at:extra_at]
        name = _safe_name(raw_name)
        mode = head[15] >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise Refused(Slug.SYMLINK_ENTRY, name=printable(name))
        if flags & ENCRYPTION_FLAGS or method == _AES:
            raise Refused(Slug.ENCRYPTED_ZIP)
        if stat.S_ISDIR(mode) and not name.endswith("/"):
            name += "/"
        extra = table[extra_at : extra_at + head[11]]
        size, packed, offset, disk = _zip64_fields(extra, name, size, packed, head[16], head[13])
        if disk or (method == STORED and packed != size):
            raise damaged(name)
        yield ZipEntry(name, raw_name, method, crc, packed, size, offset, limit=0)
    if at != len(table):
        raise damaged(_DIRECTORY_NAME)  # more entries than counted: readers would disagree on the contents


def _zip64_fields(extra: bytes, name: str, size: int, packed: int, offset: int, disk: int) -> tuple[int, int, int, int]:
    """The four fields, with each saturated one replaced by that of the zip64 extra field, which has them in order."""
    fields = [size, packed, offset, disk]
    saturated = [2**32 - 1] * 3 + [0xFFFF]
    missing = [i for i in range(4) if fields[i] == saturated[i]]
    at = 0
    while missing and at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        body = extra[at + 4 : at + 4 + length]
        at += 4 + length
        if kind == 1:
            layout = struct.Struct("<" + "".join("L" if i == 3 else "Q" for i in missing))
            if len(body) < layout.size:
                break
            for i, value in zip(missing, layout.unpack_from(body), strict=True):
                fields[i] = value
            missing = []
    if missing:
        raise damaged(name)
    return fields[0], fields[1], fields[2], fields[3]


def _safe_name(raw: bytes) -> str:
    """The entry's path with `/`, without empty and `.` parts. Raises `Refused` if it could leave a folder."""
    try:
        name = raw.decode("utf-8")  # even without the flag that says so: macOS does not set it
    except UnicodeDecodeError:
        name = raw.decode("cp437")
    parts = name.split("/")
    unsafe = name.startswith("/") or "\\" in name or ".." in parts or _DRIVE.match(name)
    if unsafe or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise Refused(Slug.UNSAFE_PATH, name=printable(name))
    kept = [part for part in parts if part not in ("", ".")]
    if not 0 < len(kept) <= MAX_PARTS or len(name.encode()) > MAX_NAME_BYTES:
        raise damaged(name)
    if any(len(part.encode()) > MAX_PART_BYTES for part in kept):
        raise damaged(name)
    return "/".join(kept) + ("/" if name.endswith("/") else "")


def _with_limits(entries: list[ZipEntry], directory_at: int) -> Iterator[ZipEntry]:
    """The same entries with their `limit`. Raises `Refused` where one lies outside the file or overlaps another."""
    order = sorted(entries, key=lambda entry: entry.offset)
    limits = {}
    for entry, after in zip(order, [*(entry.offset for entry in order[1:]), directory_at], strict=True):
        if entry.offset + LOCAL_HEADER.size + len(entry.raw_name) + entry.packed > after:
            raise damaged(entry.name)
        limits[entry.offset] = after
    for entry in entries:
        yield ZipEntry(**{**vars(entry), "limit": limits[entry.offset]})


def read_at(file: BinaryIO, offset: int, length: int) -> bytes:
    """Exactly `length` bytes from `offset`, however short each read is. Raises `Refused` where the file ends early."""
    file.seek(offset)
    chunks = []
    missing = length
    while missing > 0 and (chunk := file.read(missing)):
        chunks.append(chunk)
        missing -= len(chunk)
    if missing > 0:
        raise damaged("its end is missing")
    return b"".join(chunks)


def damaged(name: str) -> Refused:
    """The refusal of an inconsistent zip; `name` is the entry, or the part, that is wrong."""
    return Refused(Slug.DAMAGED_ZIP, name=printable(name))


def printable(name: str) -> str:
    """An untrusted name, fit for a sentence: printable and short."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:100]
