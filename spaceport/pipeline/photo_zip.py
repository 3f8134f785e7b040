"""Reads zips of photos that strangers send: the table of contents first, every limit before any byte is unpacked.

Standard library only: the intake function imports this too, and hands over a file whose reads are ranged S3 requests.
"""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.zip_directory import (
    MAX_DIRECTORY_BYTES,
    MAX_ENTRIES,
    ZippedFile,
    damaged,
    read_directory,
    shown,
)
from spaceport.pipeline.zip_unpack import DamagedError, unpack

__all__ = [
    "MAX_DIRECTORY_BYTES",
    "MAX_ENTRIES",
    "MAX_OPTIONS_BYTES",
    "MIN_PHOTOS",
    "PHOTO_SUFFIXES",
    "Extracted",
    "PhotoZip",
    "ZippedPhoto",
    "extract",
    "inspect",
]

PHOTO_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})
MIN_PHOTOS: Final = 3  # two photos fix no scale-free geometry worth training on
MAX_TOTAL_BYTES: Final = 16 * 10**9  # 1,600 photos of 10 MB; must lie twice on the machine's disk, zipped and not
# Photos hardly compress (1:1), raw TIFF scans reach 3:1. Deflate ends at 1032:1, which is what bombs are near.
MAX_ENTRY_RATIO: Final = 100
ENTRY_RATIO_FROM: Final = 4 << 20  # below this, even a plain black image harms no one
MAX_TOTAL_RATIO: Final = 20
TOTAL_RATIO_FROM: Final = 64 << 20
MAX_OPTIONS_BYTES: Final = 64 << 10
OPTIONS_NAME: Final = "spaceport.json"

ZippedPhoto = ZippedFile  # the same entry, once its name says that it is a photo


@dataclass(frozen=True)
class PhotoZip:
    """What the table of contents promises: photos in the zip's order, other files by name, `spaceport.json` if any."""

    photos: tuple[ZippedPhoto, ...]
    ignored: tuple[str, ...]
    options: bytes | None

    @property
    def bytes(self) -> int:
        return sum(photo.size for photo in self.photos)


@dataclass(frozen=True)
class Extracted:
    """The fate of one photo: a file at `path`, or the `reason` why there is none."""

    name: str
    path: Path | None
    reason: str | None = None


def inspect(file: BinaryIO) -> PhotoZip:
    """Judge a zip by its table of contents: two or three reads near its end, no photo is unpacked.

    Raises:
        Refused: not_a_zip, empty_zip, damaged_zip, too_many_entries, encrypted_zip, unsafe_path, symlink_entry,
            duplicate_names, archive_too_large, ratio_bomb, bad_options, no_images or too_few_images.
    """
    files = read_directory(file)
    if not files:
        raise Refused(Slug.EMPTY_ZIP)
    _check_sizes(files)
    _check_duplicates(files)
    wanted = [entry for entry in files if not _is_junk(entry.name)]
    photos = tuple(entry for entry in wanted if PurePosixPath(entry.name).suffix.lower() in PHOTO_SUFFIXES)
    if not photos:
        raise Refused(Slug.NO_IMAGES)
    if len(photos) < MIN_PHOTOS:
        raise Refused(Slug.TOO_FEW_IMAGES, found=len(photos), limit=MIN_PHOTOS)
    options = next((_read_options(file, entry) for entry in wanted if entry.name == OPTIONS_NAME), None)
    chosen = {entry.name for entry in photos} | {OPTIONS_NAME}
    return PhotoZip(photos, tuple(entry.name for entry in wanted if entry.name not in chosen), options)


def extract(
    file: BinaryIO, photos: Iterable[ZippedPhoto], folder: Path, on_file: Callable[[Extracted], None]
) -> list[Extracted]:
    """Unpack `photos` below `folder`, in a stream; tell `on_file` about each one, damaged ones with their reason.

    No file is written outside `folder`, none is longer than the table of contents said, and none stays unless its
    checksum holds. What `on_file` raises passes. `OSError` of the disk passes too (`ENOSPC`: it is full).
    """
    results = []
    for photo in photos:
        try:
            result = Extracted(photo.name, _extract_one(file, photo, folder))
        except DamagedError as damage:
            result = Extracted(photo.name, None, str(damage))
        results.append(result)
        on_file(result)
    return results


def _check_sizes(files: list[ZippedFile]) -> None:
    total, packed = sum(entry.size for entry in files), sum(entry.packed for entry in files)
    if total > MAX_TOTAL_BYTES:
        gigabytes = f"{min(total, 10**15) / 10**9:.1f}"
        raise Refused(Slug.ARCHIVE_TOO_LARGE, found_gb=gigabytes, limit_gb=MAX_TOTAL_BYTES // 10**9)
    for entry in files:
        if entry.size > max(ENTRY_RATIO_FROM, MAX_ENTRY_RATIO * entry.packed):
            raise Refused(Slug.RATIO_BOMB, name=shown(entry.name))
    if total > max(TOTAL_RATIO_FROM, MAX_TOTAL_RATIO * packed):
        raise Refused(Slug.RATIO_BOMB, name=f"{total // 10**6} MB out of {packed // 10**6}")


def _check_duplicates(files: list[ZippedFile]) -> None:
    """No two files may land on one path, on a file system that ignores case and composition; nor a file on a folder."""
    keys = [unicodedata.normalize("NFC", unicodedata.normalize("NFC", entry.name).casefold()) for entry in files]
    folders = {str(parent) for key in keys for parent in PurePosixPath(key).parents}
    seen: set[str] = set()
    for key, entry in zip(keys, files, strict=True):
        if key in seen or key in folders:
            raise Refused(Slug.DUPLICATE_NAMES, name=shown(entry.name))
        seen.add(key)


def _is_junk(name: str) -> bool:
    """What operating systems add unasked: resource forks and dot files."""
    return any(part == "__MACOSX" or part.startswith(".") for part in name.split("/"))


def _read_options(file: BinaryIO, entry: ZippedFile) -> bytes:
    if entry.size > MAX_OPTIONS_BYTES:
        raise Refused(Slug.BAD_OPTIONS, detail=f"{OPTIONS_NAME} is larger than {MAX_OPTIONS_BYTES // 1024} KiB")
    try:
        return b"".join(unpack(file, entry))
    except DamagedError:
        raise damaged(entry.name) from None


def _extract_one(file: BinaryIO, photo: ZippedPhoto, folder: Path) -> Path:
    target = folder / photo.name
    if not target.resolve().is_relative_to(folder.resolve()):  # names are checked; this guards against a link in place
        raise DamagedError("its path leaves the folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{zlib.crc32(photo.raw_name):08x}.partial"
    try:
        with partial.open("wb") as out:
            for chunk in unpack(file, photo):
                out.write(chunk)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target
