"""Reads zips from untrusted senders: the central directory first, and every limit before any byte is unpacked.

Standard library only: the intake function imports this too, and passes a file whose reads are ranged S3 requests.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.uploads.kinds import MODEL_PARTS, Kind, classify, find_models, is_complete, is_junk
from spaceport.pipeline.uploads.other_files import ARCHIVE_SUFFIXES
from spaceport.pipeline.uploads.zip_directory import MAX_DIRECTORY_BYTES, MAX_ENTRIES, read_directory
from spaceport.pipeline.uploads.zip_methods import SUPPORTED, is_unpacked_here, method_name
from spaceport.pipeline.uploads.zip_records import ZipEntry, damaged, printable
from spaceport.pipeline.uploads.zip_unpack import DamagedError, unpack

__all__ = [
    "MAX_DIRECTORY_BYTES",
    "MAX_ENTRIES",
    "MAX_OPTIONS_BYTES",
    "MIN_PHOTOS",
    "ExtractResult",
    "PhotoZip",
    "archives_among",
    "check_single",
    "extract",
    "inspect",
    "require_photos",
]

MIN_PHOTOS: Final = 3  # two photos fix no scale-free geometry worth training on
MAX_TOTAL_BYTES: Final = 16 * 10**9  # 1,600 photos of 10 MB; must lie twice on the machine's disk, zipped and not
# Photos hardly compress (1:1), raw TIFF scans reach 3:1. Deflate ends at 1032:1, which is what bombs are near.
MAX_ENTRY_RATIO: Final = 100
ENTRY_RATIO_FROM: Final = 4 << 20  # below this, even an all-black image does no harm
MAX_TOTAL_RATIO: Final = 20
TOTAL_RATIO_FROM: Final = 64 << 20
MAX_OPTIONS_BYTES: Final = 64 << 10
OPTIONS_NAME: Final = "spaceport.json"


@dataclass(frozen=True)
class PhotoZip:
    """What the zip's central directory lists, each in the zip's order.

    `extras` are videos, masks, positions, control points and COLMAP models; `ignored` names the files of no use,
    and `options` holds `spaceport.json`, if any.
    """

    photos: tuple[ZipEntry, ...]
    extras: tuple[ZipEntry, ...]
    ignored: tuple[str, ...]
    options: bytes | None

    @property
    def bytes(self) -> int:
        return sum(file.size for file in (*self.photos, *self.extras))


@dataclass(frozen=True)
class ExtractResult:
    """What became of one photo: a file at `path`, or the `reason` why there is none."""

    name: str
    path: Path | None
    reason: str | None = None


def inspect(file: BinaryIO) -> PhotoZip:
    """Check a zip by its central directory alone: two or three reads near its end; no photo is unpacked.

    Raises:
        Refused: not_a_zip, empty_zip, damaged_zip, too_many_entries, encrypted_zip, unsafe_path, symlink_entry,
            duplicate_names, archive_too_large, ratio_bomb, bad_options, no_images, too_few_images, nested_zip,
            bad_prior_model, unsupported_method or split_zip.
    """
    files = read_directory(file)
    if not files:
        raise Refused(Slug.EMPTY_ZIP)
    _check_sizes(files)
    check_single(entry.name for entry in files)
    kinds = classify(entry.name for entry in files)
    photos = tuple(entry for entry in files if kinds.get(entry.name) is Kind.PHOTO)
    extras = tuple(entry for entry in files if entry.name in kinds and kinds[entry.name] is not Kind.PHOTO)
    require_photos(kinds, [entry.name for entry in files])
    _check_methods(entry for entry in files if entry.name in kinds or entry.name == OPTIONS_NAME)
    options = next((_read_options(file, entry) for entry in files if entry.name == OPTIONS_NAME), None)
    ignored = (entry.name for entry in files if entry.name not in kinds and entry.name != OPTIONS_NAME)
    return PhotoZip(photos, extras, tuple(name for name in ignored if not is_junk(name)), options)


def require_photos(kinds: dict[str, Kind], names: Iterable[str]) -> None:
    """Check that there is enough for a model: photos, or a video, whose frames are not counted yet.

    Args:
        kinds: by name, from `classify`.
        names: of all files, those of no use too.

    Raises:
        Refused: no_images, too_few_images; nested_zip where archives are there instead; bad_prior_model where all
            COLMAP models lack a part.
    """
    _check_models(name for name, kind in kinds.items() if kind is Kind.MODEL)
    photos = list(kinds.values()).count(Kind.PHOTO)
    if Kind.VIDEO in kinds.values() or photos >= MIN_PHOTOS:
        return
    archive = next(iter(archives_among(names)), None)
    if archive is not None:
        raise Refused(Slug.NESTED_ZIP, name=printable(archive))
    if not photos:
        raise Refused(Slug.NO_IMAGES)
    raise Refused(Slug.TOO_FEW_IMAGES, count=photos, limit=MIN_PHOTOS)


def archives_among(names: Iterable[str]) -> list[str]:
    """The names of archives, which may hold photos."""
    return [name for name in names if PurePosixPath(name).suffix.lower() in ARCHIVE_SUFFIXES and not is_junk(name)]


def _check_models(names: Iterable[str]) -> None:
    models = find_models(names)
    if not models or any(is_complete(parts) for parts in models.values()):
        return
    folder, parts = min(models.items())
    missing = " and ".join(f"{part}.bin" for part in MODEL_PARTS if part not in parts)
    raise Refused(Slug.BAD_PRIOR_MODEL, detail=f"{printable(folder)} has no {missing}")


def extract(
    file: BinaryIO, photos: Iterable[ZipEntry], folder: Path, on_file: Callable[[ExtractResult], None]
) -> list[ExtractResult]:
    """Unpack `photos` below `folder` as a stream; call `on_file` for each one, damaged ones with their reason.

    No file is written outside `folder`, none is longer than the central directory says, and none stays unless its
    checksum is right. Exceptions of `on_file` propagate, and so do those of the disk (`OSError` with `ENOSPC`).
    """
    results = []
    for photo in photos:
        try:
            result = ExtractResult(photo.name, _extract_one(file, photo, folder))
        except DamagedError as damage:
            result = ExtractResult(photo.name, None, str(damage))
        results.append(result)
        on_file(result)
    return results


def _check_sizes(files: list[ZipEntry]) -> None:
    total = sum(entry.size for entry in files)
    packed = sum(entry.packed for entry in files)
    if total > MAX_TOTAL_BYTES:
        gigabytes = f"{min(total, 10**15) / 10**9:.1f}"
        raise Refused(Slug.ARCHIVE_TOO_LARGE, size_gb=gigabytes, limit_gb=MAX_TOTAL_BYTES // 10**9)
    for entry in files:
        if entry.size > max(ENTRY_RATIO_FROM, MAX_ENTRY_RATIO * entry.packed):
            raise Refused(Slug.RATIO_BOMB, name=printable(entry.name))
    if total > max(TOTAL_RATIO_FROM, MAX_TOTAL_RATIO * packed):
        raise Refused(Slug.RATIO_BOMB, name=f"{total // 10**6} MB out of {packed // 10**6}")


def _check_methods(useful: Iterable[ZipEntry]) -> None:
    """Whatever would be used must unpack: without one of its files the model would not be what its sender expects."""
    for entry in useful:  # photos are unpacked by the stage, options here
        if entry.method not in SUPPORTED or (entry.name == OPTIONS_NAME and not is_unpacked_here(entry.method)):
            name = printable(entry.name)
            raise Refused(Slug.UNSUPPORTED_METHOD, method=method_name(entry.method), name=name)


def check_single(names: Iterable[str]) -> None:
    """Raise `Refused`, duplicate_names, where two of these paths are one, or one is a folder of another.

    Names that differ in case or composition alone are two: file systems here and S3 tell them apart.
    """
    paths = list(names)
    folders = {folder for path in paths for folder in accumulate(path.split("/")[:-1], "{}/{}".format)}
    seen: set[str] = set()
    for path in paths:
        if path in seen or path in folders:
            raise Refused(Slug.DUPLICATE_NAMES, name=printable(path))
        seen.add(path)


def _read_options(file: BinaryIO, entry: ZipEntry) -> bytes:
    if entry.size > MAX_OPTIONS_BYTES:
        raise Refused(Slug.BAD_OPTIONS, detail=f"{OPTIONS_NAME} is larger than {MAX_OPTIONS_BYTES // 1024} KiB")
    try:
        return b"".join(unpack(file, entry))
    except DamagedError:
        raise damaged(entry.name) from None


def _extract_one(file: BinaryIO, photo: ZipEntry, folder: Path) -> Path:
    target = folder / photo.name
    if not target.resolve().is_relative_to(
        folder.resolve()
    ):  # names are checked; this guards against a symlink on the disk
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
