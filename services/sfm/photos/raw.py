"""DNG photos, developed by LibRaw: the same way for every photo of a survey, whatever is in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import rawpy
from PIL import ExifTags, Image, TiffImagePlugin

from services.sfm.photo import PhotoMetadata
from services.sfm.photos.exif import metadata_from_tags

_XMP: Final = 700
_SUB_IFDS: Final = 330
_PIECES: Final = ((273, 279), (324, 325))  # offsets and lengths of strips, of tiles
_MAX_IFDS: Final = 16


def open_raw(
    path: Path, name: str, longest: int, check_size: Callable[[int, int], None]
) -> tuple[PhotoMetadata, Image.Image]:
    """Metadata and picture of a raw photo, not turned; at half its size where that is still `longest` pixels or more.

    White balance is the camera's, and no photo is brightened by what it shows: neighbours must look alike.

    Raises:
        ValueError: the file ends before its pixels do.
        rawpy.LibRawError: LibRaw cannot read it.
    """
    exif = Image.Exif()
    with path.open("rb") as file:
        exif.load_from_fp(file)
        for folder in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            exif.get_ifd(folder)  # read now: the file is closed when the metadata is read
        _check_whole(file, exif, path.stat().st_size)
    with rawpy.RawPy() as raw:
        raw.open_file(str(path))
        width, height = raw.sizes.iwidth, raw.sizes.iheight
        check_size(width, height)
        raw.unpack()
        pixels = raw.postprocess(
            use_camera_wb=True,
            no_auto_bright=True,
            output_bps=8,
            user_flip=0,
            half_size=max(width, height) >= 2 * longest,
        )
    metadata = metadata_from_tags(name, "DNG", (width, height), lambda: exif, exif.get(_XMP, b""))
    return metadata, Image.fromarray(pixels)


def _check_whole(file: Any, exif: Image.Exif, size: int) -> None:
    """LibRaw fills what is missing with black and says nothing, so the offsets are checked here."""
    folders: list[Any] = [exif]
    offsets = exif.get(_SUB_IFDS, ())
    for offset in (offsets if isinstance(offsets, tuple) else (offsets,))[:_MAX_IFDS]:
        folder = TiffImagePlugin.ImageFileDirectory_v2(exif.head)
        file.seek(offset)
        folder.load(file)
        folders.append(folder)
    for folder in folders:
        for where, length in _PIECES:
            ends = zip(_as_tuple(folder.get(where)), _as_tuple(folder.get(length)), strict=False)
            if any(begin + count > size for begin, count in ends):
                raise ValueError("it ends too early")


def _as_tuple(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else () if value is None else (value,)
