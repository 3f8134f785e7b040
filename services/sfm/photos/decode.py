"""Decodes one photo in full, reads its metadata and writes the copy that COLMAP gets. In the decoder process only.

Must not share a process with pycolmap: both bring their own zlib, and the heap does not survive that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pi_heif
from PIL import ExifTags, Image

from services.sfm.photo import PhotoMetadata
from services.sfm.photos.colours import to_srgb
from services.sfm.photos.exif import read_metadata
from services.sfm.photos.raw import open_raw

FORMATS: Final = ("JPEG", "PNG", "TIFF", "WEBP", "HEIF")  # JPEG brings MPO, the several-in-one of phones and drones
MAX_PIXELS: Final = 200_000_000  # the largest camera backs; 600 MB decoded
MIN_SIDE: Final = 64  # smaller pictures are icons, not photos
RAW_SUFFIX: Final = ".dng"
QUALITY: Final = 95
_DRAFT_SIDE: Final = 64
_REDUCING_GAP: Final = 1.5  # a JPEG is decoded at the half, quarter or eighth that leaves this much to resample

Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow itself raises at twice this, before it reads a pixel
pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


class LeftOutError(Exception):
    """This photo is of no use; the message says why, after "it"."""


def read_photo(path: Path, name: str, copy: Path, longest: int) -> tuple[PhotoMetadata, tuple[int, int]]:
    """Decode the photo at `path` to its last row and write a JPEG of it to `copy`.

    A plain JPEG is linked, whatever its size: COLMAP scales it down itself. Others are at most `longest` pixels long.
    Returns the metadata and the copy's width and height.

    Raises:
        LeftOutError: it is too large, too small, or no picture.
        Exception: what decoders raise on broken files: OSError, SyntaxError, struct.error and more.
        MemoryError: it needs more than this process may have.
    """
    if path.suffix.lower() == RAW_SUFFIX:
        metadata, developed = open_raw(path, name, longest, check_size)
        size = copy_size(metadata.width, metadata.height, longest)
        _write(developed.resize(size, Image.Resampling.LANCZOS), metadata, copy)
        return metadata, size
    try:
        with Image.open(path, formats=FORMATS) as image:
            check_size(*image.size)
            size = copy_size(*image.size, longest)
            if image.mode == "F":
                raise LeftOutError("its pixels are floating-point numbers, not colours")
            metadata = read_metadata(name, image)
            if metadata.format in ("JPEG", "MPO") and image.mode in ("RGB", "L"):
                image.draft("RGB", (_DRAFT_SIDE, _DRAFT_SIDE))  # every byte is read, few are transformed
                image.load()
                copy.symlink_to(path.resolve())
                return metadata, (metadata.width, metadata.height)
            _write(_scale_down(image, size), metadata, copy)
            return metadata, size
    except Image.DecompressionBombError:
        raise LeftOutError(_TOO_MANY) from None


_TOO_MANY: Final = f"it has more than {MAX_PIXELS // 10**6} megapixels"


def check_size(width: int, height: int) -> None:
    """Raise `LeftOutError` for what is too large to decode or too small to be a photo."""
    if width * height > MAX_PIXELS:
        raise LeftOutError(_TOO_MANY)
    if min(width, height) < MIN_SIDE:
        raise LeftOutError(f"it is only {width} x {height} pixels")


def copy_size(width: int, height: int, longest: int) -> tuple[int, int]:
    """Width and height of the copy of a photo.

    Raises:
        LeftOutError: nothing would be left of the shorter side.
    """
    shrink = min(1.0, longest / max(width, height))
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    if min(size) < MIN_SIDE:
        raise LeftOutError(f"it is far too narrow: {width} x {height} pixels")
    return size


def _scale_down(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture as RGB at this size."""
    if size == image.size:
        return to_srgb(image)
    image.draft(None, (round(size[0] * _REDUCING_GAP), round(size[1] * _REDUCING_GAP)))
    picture = image if image.mode in ("RGB", "L", "CMYK") else to_srgb(image)  # palettes and 16 bits do not mix
    scaled = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=_REDUCING_GAP)
    scaled.info = dict(picture.info)
    return to_srgb(scaled)


def _write(picture: Image.Image, metadata: PhotoMetadata, copy: Path) -> None:
    """Write the copy. Its EXIF holds only what COLMAP's table of sensors needs where the focal length is not known in
    pixels; tags that refer to the original's pixels would mislead it."""
    tags = Image.Exif()
    if metadata.focal_px is None and metadata.focal_mm is not None:
        tags[ExifTags.Base.Make], tags[ExifTags.Base.Model] = metadata.make, metadata.model
        tags.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLength] = metadata.focal_mm
    picture.save(copy, "JPEG", quality=QUALITY, subsampling=0, exif=tags)
