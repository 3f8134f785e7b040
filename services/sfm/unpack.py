"""Brings the photos of a job into `extracted/`, from the uploaded zip or from a folder of photos."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from spaceport.pipeline import photo_zip
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.photo_zip import Extracted

UPLOAD = "upload.zip"


def unpack(source: Path, folder: Path, on_photo: Callable[[Extracted, int], None]) -> list[Extracted]:
    """Put every photo of `source` below `folder` under the name it came with; tell `on_photo` each and the total.

    `source` holds `upload.zip`, or the photos themselves (links, dot files and `__MACOSX` are passed over).
    Damaged entries of the zip come back with their reason and without a path.

    Raises:
        Refused: what `photo_zip.inspect` refuses; no_images or too_few_images for a folder.
        OSError: the disk is full, or a photo of the folder cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    upload = source / UPLOAD
    if not upload.is_file():
        return _copy_all(source, folder, on_photo)
    with upload.open("rb") as file:
        photos = sorted(photo_zip.inspect(file).photos, key=lambda photo: photo.name)
        return photo_zip.extract(file, photos, folder, lambda photo: on_photo(photo, len(photos)))


def _copy_all(source: Path, folder: Path, on_photo: Callable[[Extracted, int], None]) -> list[Extracted]:
    names = sorted(_photo_names(source))
    if not names:
        raise Refused(Slug.NO_IMAGES)
    if len(names) < photo_zip.MIN_PHOTOS:
        raise Refused(Slug.TOO_FEW_IMAGES, found=len(names), limit=photo_zip.MIN_PHOTOS)
    copied = []
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
        copied.append(Extracted(name, target))
        on_photo(copied[-1], len(names))
    return copied


def _photo_names(source: Path) -> list[str]:
    names = []
    for path in source.rglob("*"):
        relative = path.relative_to(source)
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in relative.parts)
        if path.suffix.lower() in photo_zip.PHOTO_SUFFIXES and not hidden and path.is_file() and not path.is_symlink():
            names.append(relative.as_posix())
    return names
