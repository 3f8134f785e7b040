"""Unpacks the files of a job into `extracted/`, from the uploaded zip or from a folder of photos."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from spaceport.pipeline.uploads import photo_zip
from spaceport.pipeline.uploads.kinds import classify
from spaceport.pipeline.uploads.photo_zip import ExtractResult

UPLOAD = "upload.zip"


def unpack(source: Path, folder: Path, on_file: Callable[[ExtractResult, int], None]) -> list[ExtractResult]:
    """Put every usable file of `source` below `folder` under its own name; `on_file` is called with each and the total.

    `source` holds `upload.zip`, or the photos themselves (links, dot files and `__MACOSX` are skipped).
    Damaged entries of the zip come back with their reason and without a path.

    Raises:
        Refused: what `photo_zip.inspect` refuses; no_images, too_few_images or bad_prior_model for a folder.
        OSError: the disk is full, or a file of the folder cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    upload = source / UPLOAD
    if not upload.is_file():
        return _copy_all(source, folder, on_file)
    with upload.open("rb") as file:
        contents = photo_zip.inspect(file)
        files = sorted([*contents.photos, *contents.extras], key=lambda entry: entry.name)
        return photo_zip.extract(file, files, folder, lambda done: on_file(done, len(files)))


def _copy_all(source: Path, folder: Path, on_file: Callable[[ExtractResult, int], None]) -> list[ExtractResult]:
    files = (path for path in source.rglob("*") if path.is_file() and not path.is_symlink())
    kinds = classify(sorted(path.relative_to(source).as_posix() for path in files))
    photo_zip.require_photos(kinds)
    copied = []
    for name in kinds:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
        copied.append(ExtractResult(name, target))
        on_file(copied[-1], len(kinds))
    return copied
