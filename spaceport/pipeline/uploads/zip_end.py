"""Where a zip's table of contents is: from the records at its end, whatever stands before the zip and behind it.

Read are zips behind other bytes (self-extractors, headers of a form), with bytes behind them (padding, signatures) and
zips of over 4 GiB without zip64, whose offsets are modulo 2^32 (the Archive Utility of macOS). Where two tables of
contents could be meant, readers would disagree on what the zip holds, so it is refused: what is checked here must be
what its sender sees. Source: PKWARE APPNOTE 6.3.10, section 4.3.14 to 4.3.16.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.uploads.other_files import HEAD_BYTES, identify
from spaceport.pipeline.uploads.zip_records import (
    CENTRAL_SIGNATURE,
    DIRECTORY_NAME,
    LOCAL_SIGNATURE,
    SPLIT_SIGNATURE,
    WRAP,
    damaged,
    read_at,
)

MAX_BEHIND: Final = 1 << 20  # bytes behind a zip: signatures have kilobytes, padding fills blocks of up to 1 MiB
_MAX_TRIED: Final = 4  # end records; a zip has one, and one more for each that its comment quotes
_END: Final = struct.Struct("<4s4H2LH")
_END64_LOCATOR: Final = struct.Struct("<4sLQL")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_MAX_COMMENT: Final = 0xFFFF
_TAIL_BYTES: Final = _END.size + _MAX_COMMENT + _END64_LOCATOR.size


@dataclass(frozen=True)
class Directory:
    """The table of contents: `length` bytes from `at`, said to have `count` entries.

    `base` is where the zip begins: its offsets are counted from there. Where `wraps`, they are modulo 2^32.
    """

    at: int
    length: int
    count: int
    base: int
    zip64: bool
    wraps: bool


@dataclass(frozen=True)
class _End:
    """What the records at the end say. `at` is where they begin, `base` what zip64's offset was wrong by, if known."""

    at: int
    disks: bool
    consistent: bool
    count: int
    length: int
    start: int
    base: int | None = None

    @property
    def nearest(self) -> int:
        """Where the table of contents begins if it ends where these records begin."""
        return self.at - self.length


def find_directory(file: BinaryIO, size: int) -> Directory:
    """Locate the table of contents: one read for the end, one or two for the table's first bytes.

    Raises:
        Refused: not_a_zip, split_zip or damaged_zip.
    """
    tail_at = max(0, size - _TAIL_BYTES)
    tail = read_at(file, tail_at, size - tail_at)
    if next(_positions(tail, exact=True), None) is None and tail_at > 0:
        more_at = max(0, tail_at - MAX_BEHIND)
        tail, tail_at = read_at(file, more_at, tail_at - more_at) + tail, more_at
    tried = []
    for exact in (True, False):
        for at in _positions(tail, exact=exact):
            end = _read_end(file, tail, tail_at, at)
            tried += [end] if exact else []
            directory = _locate(file, end, exact=exact)
            if directory is not None:
                return _checked(file, directory, exact=exact)
    raise _refusal(file, size, tail, tried)


def _positions(tail: bytes, *, exact: bool) -> Iterator[int]:
    """Of the end records in `tail` those whose comment ends the file exactly, or all others; the last one first."""
    at, found = len(tail), 0
    while (at := tail.rfind(b"PK\5\6", 0, at)) >= 0 and found < _MAX_TRIED:
        left = len(tail) - at - _END.size
        if left < 0:
            continue
        comment = _END.unpack_from(tail, at)[7]
        if comment == left if exact else comment < left:
            found += 1
            yield at


def _read_end(file: BinaryIO, tail: bytes, tail_at: int, at: int) -> _End:
    _, disk, first_disk, here, count, length, start, _ = _END.unpack_from(tail, at)
    locator_at = at - _END64_LOCATOR.size
    if locator_at < 0 or not tail.startswith(b"PK\6\7", locator_at):
        disks = disk > 0 or first_disk > 0
        return _End(tail_at + at, disks, here == count, count, length, start)
    _, locator_disk, where, disks_in_all = _END64_LOCATOR.unpack_from(tail, locator_at)
    end64_at, record = _read_end64(file, tail, tail_at, locator_at, where)
    if record is None:
        return _End(tail_at + at, False, False, count, length, start)
    _, _, _, _, disk64, first64, here64, count64, length64, start64 = record
    consistent = here64 == count64 and all(
        short in (full, saturated)
        for short, full, saturated in (
            (here, count64, 0xFFFF),
            (count, count64, 0xFFFF),
            (length, length64, 2**32 - 1),
            (start, start64, 2**32 - 1),
        )
    )
    disks = locator_disk > 0 or disks_in_all > 1 or disk64 > 0 or first64 > 0
    return _End(end64_at, disks, consistent, count64, length64, start64, base=end64_at - where)


def _read_end64(
    file: BinaryIO, tail: bytes, tail_at: int, locator_at: int, where: int
) -> tuple[int, tuple[int, ...] | None]:
    """The zip64 record where its locator says, else the last one before the locator: the zip may not begin the file."""
    if where + _END64.size <= tail_at + locator_at:
        record = read_at(file, where, _END64.size)
        if record.startswith(b"PK\6\6"):
            return where, _END64.unpack(record)
    at = tail.rfind(b"PK\6\6", 0, locator_at)
    if at < 0 or at + _END64.size > locator_at:
        return where, None
    return tail_at + at, _END64.unpack_from(tail, at)


def _locate(file: BinaryIO, end: _End, *, exact: bool) -> Directory | None:
    """The table that these records mean, or None where there is none."""
    zip64 = end.base is not None
    if end.disks or not end.consistent or end.nearest < end.start or (end.base or 0) < 0:
        return None
    if end.count == end.length == 0:
        return Directory(end.start, 0, 0, 0, zip64, wraps=False) if exact else None
    stated = _is_table(file, end.start) and not end.base
    if end.nearest == end.start:
        return Directory(end.start, end.length, end.count, 0, zip64, wraps=False) if stated else None
    base = end.nearest - end.start
    nearest = _is_table(file, end.nearest) and end.base in (None, base)
    if stated and nearest:
        raise damaged("two tables of contents")
    if stated:  # something stands between the table and the end, as a signature does
        return Directory(end.start, end.length, end.count, 0, zip64, wraps=False)
    wraps = base % WRAP == 0 and not zip64
    return Directory(end.nearest, end.length, end.count, 0 if wraps else base, zip64, wraps) if nearest else None


def _is_table(file: BinaryIO, at: int) -> bool:
    return read_at(file, at, len(CENTRAL_SIGNATURE)) == CENTRAL_SIGNATURE


def _checked(file: BinaryIO, directory: Directory, *, exact: bool) -> Directory:
    """The same directory. Raises `Refused` where another zip stands before it: which one would its sender mean?"""
    if directory.base and read_at(file, 0, len(LOCAL_SIGNATURE)) == LOCAL_SIGNATURE:
        raise damaged("two zips in one file" if exact else "its end is missing")
    return directory


def _refusal(file: BinaryIO, size: int, tail: bytes, tried: list[_End]) -> Refused:
    """Why there is no table of contents: by the end records whose comment ends the file, else by the first bytes."""
    if any(end.disks for end in tried):
        return Refused(Slug.SPLIT_ZIP, name="its last one")
    if any(end.consistent and end.nearest < end.start for end in tried):
        return damaged("its beginning is missing, as after a broken upload or in one part of several")
    if tried:
        return damaged(DIRECTORY_NAME)
    head = read_at(file, 0, min(HEAD_BYTES, size))
    if head.startswith(SPLIT_SIGNATURE):
        return Refused(Slug.SPLIT_ZIP, name="its first one")
    if head.startswith(LOCAL_SIGNATURE):
        return damaged("its end is missing, as after a broken upload or in one part of several")
    return Refused(Slug.NOT_A_ZIP, what=identify(head, tail))
