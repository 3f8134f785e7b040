"""The central directory of an untrusted zip: parsed and checked before any file in it is read.

The zip format is parsed here and not by `zipfile`, which loads a directory of any size, takes offsets outside the
file, and lets entries share bytes. Source: PKWARE APPNOTE 6.3.10, sections 4.3 to 4.5. Standard library only: the
intake function imports this too, and passes a file whose reads are ranged S3 requests.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.uploads.zip_end import Directory, find_directory
from spaceport.pipeline.uploads.zip_methods import AES, STORED
from spaceport.pipeline.uploads.zip_names import UNICODE_PATH, StoredName, decode_names, safe_path
from spaceport.pipeline.uploads.zip_offsets import resolve_offsets
from spaceport.pipeline.uploads.zip_records import (
    CENTRAL_HEADER,
    CENTRAL_SIGNATURE,
    DIRECTORY_NAME,
    ENCRYPTION_FLAGS,
    ZipEntry,
    damaged,
    printable,
    read_at,
)

MAX_ENTRIES: Final = 10_000  # ten long flights; matching and training give up far below that
MAX_DIRECTORY_BYTES: Final = 8 << 20  # 800 bytes for each of MAX_ENTRIES; real ones need 100 to 150

_SAMPLE_BYTES: Final = 32 << 10  # of a longer one, to tell whether it holds too many entries or none
_COUNT_WRAP: Final = 1 << 16  # programs without zip64 count modulo this
_DOS_FOLDER: Final = 1 << 4  # an attribute of FAT
_UTF8_FLAG: Final = 1 << 11
_SIGNED: Final = b"PK\5\5"  # a signature, which may follow the entries
_ZIP64_FIELDS: Final = 1


@dataclass(frozen=True)
class _Record:
    """One entry as it is stored: the fields of its header, its name and its extra fields."""

    head: tuple[int, ...]
    name: bytes
    extra: bytes

    @property
    def stored_name(self) -> StoredName:
        unicode_path = next((body for kind, body in _extra_fields(self.extra) if kind == UNICODE_PATH), None)
        return StoredName(self.name, bool(self.head[3] & _UTF8_FLAG), unicode_path)


def read_directory(file: BinaryIO) -> list[ZipEntry]:
    """The files in the zip, in its order and without its folders: two or three reads near its end.

    A zip that does not begin the file, or whose offsets wrapped at 4 GiB, costs a few reads more. Every name is a safe
    relative path, every file a plain one that is not encrypted, and no two share bytes. Their sizes are what the zip
    claims, and still to be checked.

    Raises:
        Refused: not_a_zip, split_zip, damaged_zip, too_many_entries, encrypted_zip, unsafe_path or symlink_entry.
    """
    directory = find_directory(file, file.seek(0, os.SEEK_END))
    _check_count(directory.count)
    if directory.length == 0:
        return []
    _check_length(file, directory)
    records = _parse(read_at(file, directory.at, directory.length), directory)
    names = decode_names([record.stored_name for record in records])
    entries = [_entry(record, name) for record, name in zip(records, names, strict=True)]
    return [entry for entry in resolve_offsets(file, entries, directory) if not entry.name.endswith("/")]


def _check_count(count: int) -> None:
    if count > MAX_ENTRIES:
        raise Refused(Slug.TOO_MANY_ENTRIES, count=count, limit=MAX_ENTRIES)


def _check_length(file: BinaryIO, directory: Directory) -> None:
    if directory.length < directory.count * CENTRAL_HEADER.size:
        raise damaged(DIRECTORY_NAME)
    if directory.length <= MAX_DIRECTORY_BYTES:
        return
    sample = list(_records(read_at(file, directory.at, _SAMPLE_BYTES)))
    begins = sum(CENTRAL_HEADER.size + len(record.name) + len(record.extra) + record.head[12] for record in sample)
    if begins > _SAMPLE_BYTES // 2 and not directory.zip64:
        _check_count(directory.length * len(sample) // begins)
    raise damaged(DIRECTORY_NAME)


def _parse(table: bytes, directory: Directory) -> list[_Record]:
    records = list(_records(table))
    length = sum(CENTRAL_HEADER.size + len(record.name) + len(record.extra) + record.head[12] for record in records)
    signed = table.startswith(_SIGNED, length) and length + 6 + int.from_bytes(table[length + 4 : length + 6], "little")
    if len(table) not in (length, signed):
        raise damaged(DIRECTORY_NAME)
    if len(records) != directory.count:
        if not directory.zip64 and len(records) % _COUNT_WRAP == directory.count:
            _check_count(len(records))
        raise damaged(DIRECTORY_NAME)  # more entries than counted: readers would disagree on the contents
    return records


def _records(table: bytes) -> Iterator[_Record]:
    """Every whole record from the beginning of `table`."""
    at = 0
    while table.startswith(CENTRAL_SIGNATURE, at) and at + CENTRAL_HEADER.size <= len(table):
        head = CENTRAL_HEADER.unpack_from(table, at)
        name_at, extra_at = at + CENTRAL_HEADER.size, at + CENTRAL_HEADER.size + head[10]
        at = extra_at + head[11] + head[12]
        if at > len(table):
            return
        yield _Record(head, table[name_at:extra_at], table[extra_at : extra_at + head[11]])


def _entry(record: _Record, decoded: str) -> ZipEntry:
    """The entry, its name and kind checked; a folder keeps its final `/`. Its offset is as it is stored."""
    head = record.head
    flags, method, crc, packed, size, mode = head[3], head[4], head[7], head[8], head[9], head[15] >> 16
    name = safe_path(decoded)
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused(Slug.SYMLINK_ENTRY, name=printable(name))
    if flags & ENCRYPTION_FLAGS or method == AES:
        raise Refused(Slug.ENCRYPTED_ZIP)
    is_folder = stat.S_ISDIR(mode) or (head[15] & _DOS_FOLDER and size == 0)
    if is_folder and not name.endswith("/"):
        name += "/"
    size, packed, offset, disk = _zip64_fields(record.extra, name, size, packed, head[16], head[13])
    if disk or (method == STORED and packed != size):
        raise damaged(name)
    return ZipEntry(name, record.name, method, crc, packed, size, offset, limit=0)


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        yield kind, extra[at + 4 : at + 4 + length]
        at += 4 + length


def _zip64_fields(extra: bytes, name: str, size: int, packed: int, offset: int, disk: int) -> tuple[int, int, int, int]:
    """The four fields, with each saturated one replaced by that of the zip64 extra field, which has them in order."""
    fields = [size, packed, offset, disk]
    saturated = [2**32 - 1] * 3 + [0xFFFF]
    missing = [i for i in range(4) if fields[i] == saturated[i]]
    if missing:
        body = next((body for kind, body in _extra_fields(extra) if kind == _ZIP64_FIELDS), b"")
        layout = struct.Struct("<" + "".join("L" if i == 3 else "Q" for i in missing))
        if len(body) < layout.size:
            raise damaged(name)
        for i, value in zip(missing, layout.unpack_from(body), strict=True):
            fields[i] = value
    return fields[0], fields[1], fields[2], fields[3]
