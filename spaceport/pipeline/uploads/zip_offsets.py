"""Where each entry's bytes are, and that no two share any. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import BinaryIO, Final

from spaceport.pipeline.uploads.zip_end import Directory
from spaceport.pipeline.uploads.zip_records import (
    DIRECTORY_NAME,
    LOCAL_HEADER,
    LOCAL_SIGNATURE,
    WRAP,
    ZipEntry,
    damaged,
    read_at,
)

_MAX_LARGE: Final = 8  # times 4 GiB; more than is accepted in all
_MIN_EXPANDED: Final = 1 << 20  # bytes by which packers may make an entry longer instead of shorter


def resolve_offsets(file: BinaryIO, entries: list[ZipEntry], directory: Directory) -> list[ZipEntry]:
    """The same entries with their offsets in the file and their `limit`. Reads only where the zip is no plain one.

    Raises:
        Refused: damaged_zip, where an entry lies outside the file or overlaps another.
    """
    if directory.wraps:
        entries = _unwrap(file, entries, directory.at)
    elif directory.base:
        entries = [replace(entry, offset=entry.offset + directory.base) for entry in entries]
        if not _has_header(file, min(entries, key=lambda entry: entry.offset), directory.at):
            raise damaged(DIRECTORY_NAME)
    limits = _limits(entries, directory.at)
    return [replace(entry, limit=limits[entry.offset]) for entry in entries]


def _limits(entries: Iterable[ZipEntry], directory_at: int) -> dict[int, int]:
    """Where the bytes behind each offset end at the latest. Raises `Refused` where an entry reaches further."""
    order = sorted(entries, key=lambda entry: entry.offset)
    limits = {}
    for entry, after in zip(order, [*(entry.offset for entry in order[1:]), directory_at], strict=True):
        if _earliest_end(entry) > after:
            raise damaged(entry.name)
        limits[entry.offset] = after
    return limits


def _earliest_end(entry: ZipEntry) -> int:
    return entry.offset + LOCAL_HEADER.size + len(entry.raw_name) + entry.packed


def _unwrap(file: BinaryIO, entries: list[ZipEntry], directory_at: int) -> list[ZipEntry]:
    """Offsets and sizes that were cut to 32 bits, recovered: entries follow each other in the order of the table.

    Each offset is the smallest that follows the entry before. That is the right one as long as no entry is 4 GiB long
    itself. Where bytes are left over at the end, some are: the first is the one before the first entry without its
    header, which bisection finds in a few reads. The last entry's header must be in its place, whatever was recovered.
    """
    for _ in range(_MAX_LARGE):
        placed = _follow(entries)
        left = (directory_at - _earliest_end(placed[-1])) // WRAP
        if left < 0:
            raise damaged(DIRECTORY_NAME)
        misplaced = _first_without_header(file, placed, directory_at)
        if misplaced == 0 or (left == 0 and misplaced < len(placed)):
            raise damaged(DIRECTORY_NAME)
        if left == 0:
            return [_with_size(entry) for entry in placed]
        large = entries[misplaced - 1]
        entries[misplaced - 1] = replace(large, packed=large.packed + WRAP, size=large.size + WRAP)
    raise damaged(DIRECTORY_NAME)


def _follow(entries: Sequence[ZipEntry]) -> list[ZipEntry]:
    """Each entry at the smallest offset, congruent to its own, that the entry before it leaves free."""
    placed: list[ZipEntry] = []
    free = 0
    for entry in entries:
        behind = max(0, free - entry.offset)
        placed.append(replace(entry, offset=entry.offset + -(-behind // WRAP) * WRAP))
        free = _earliest_end(placed[-1])
    return placed


def _first_without_header(file: BinaryIO, placed: Sequence[ZipEntry], directory_at: int) -> int:
    """The index of the first entry whose header is not at its offset, or their number: the last one first, as most fit.

    Before it all fit and behind it none does, so that bisection needs a read for each halving.
    """
    if _has_header(file, placed[-1], directory_at):
        return len(placed)
    fitting, misplaced = -1, len(placed) - 1
    while misplaced - fitting > 1:
        middle = (fitting + misplaced) // 2
        if _has_header(file, placed[middle], directory_at):
            fitting = middle
        else:
            misplaced = middle
    return misplaced


def _has_header(file: BinaryIO, entry: ZipEntry, directory_at: int) -> bool:
    length = LOCAL_HEADER.size + len(entry.raw_name)
    if entry.offset + length > directory_at:
        return False
    header = read_at(file, entry.offset, length)
    return header.startswith(LOCAL_SIGNATURE) and header.endswith(entry.raw_name)


def _with_size(entry: ZipEntry) -> ZipEntry:
    """The entry with a size that its packed bytes can have: a film of 4.1 GB may be packed into less than 4 GiB."""
    wraps = -(-max(0, entry.packed - entry.packed // 64 - _MIN_EXPANDED - entry.size) // WRAP)
    return replace(entry, size=entry.size + wraps * WRAP) if wraps else entry
