"""Unpacks the files of a job into `extracted/`, from a zip or from a folder of photos."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from spaceport.pipeline.uploads import photo_zip
from spaceport.pipeline.uploads.kinds import classify
from spaceport.pipeline.uploads.photo_zip import ExtractResult
from spaceport.pipeline.uploads.zip_names import StoredName, decode_names, safe_path

UPLOAD = "upload.zip"  # as the worker names what it fetches


def unpack(source: Path, folder: Path, on_file: Callable[[ExtractResult, int], None]) -> list[ExtractResult]:
    """Put every usable file of `source` below `folder` under its own name; `on_file` is called with each and the total.

    `source` is a zip, or a folder that holds `upload.zip` or the photos themselves (links, dot files and `__MACOSX` are
    skipped); a zip of any name is taken where a folder holds no photos and no other archive.
    Damaged entries of the zip come back with their reason and without a path.

    Raises:
        Refused: what `photo_zip.inspect` refuses; for a folder no_images, too_few_images, nested_zip, bad_prior_model,
            unsafe_path, duplicate_names.
        OSError: the disk is full, or a file of the folder cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    upload = source if source.is_file() else source / UPLOAD
    if upload.is_file():
        return _unpack_zip(upload, folder, on_file)
    names = _files_below(source, folder)
    kinds = classify(names)
    archives = photo_zip.archives_among(names)
    if not kinds and len(archives) == 1:
        return _unpack_zip(source / archives[0], folder, on_file)
    photo_zip.require_photos(kinds, names)
    return _copy_all(source, _safe_paths(kinds), folder, on_file)


def _files_below(source: Path, folder: Path) -> list[str]:
    """The paths of all files, in order; not what an earlier run wrote, where `folder` lies in `source`."""
    inside = source.resolve() in folder.resolve().parent.parents
    own = folder.resolve().parent if inside else folder.resolve()
    files = (path for path in sorted(source.rglob("*")) if path.is_file() and not path.is_symlink())
    return [path.relative_to(source).as_posix() for path in files if not path.resolve().is_relative_to(own)]


def _unpack_zip(upload: Path, folder: Path, on_file: Callable[[ExtractResult, int], None]) -> list[ExtractResult]:
    with upload.open("rb") as file:
        contents = photo_zip.inspect(file)
        files = sorted([*contents.photos, *contents.extras], key=lambda entry: entry.name)
        return photo_zip.extract(file, files, folder, lambda done: on_file(done, len(files)))


def _safe_paths(names: Iterable[str]) -> dict[str, str]:
    """The files of a folder to the paths that they would have out of a zip; their names may be no Unicode at all."""
    files = list(names)
    decoded = decode_names([StoredName(os.fsencode(file), utf8=False, unicode_path=None) for file in files])
    paths = [safe_path(name) for name in decoded]
    photo_zip.check_single(paths)
    return dict(zip(files, paths, strict=True))


def _copy_all(
    source: Path, paths: dict[str, str], folder: Path, on_file: Callable[[ExtractResult, int], None]
) -> list[ExtractResult]:
    copied = []
    for file, path in paths.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, target)
        copied.append(ExtractResult(path, target))
        on_file(copied[-1], len(paths))
    return copied
