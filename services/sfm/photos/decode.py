"""Decodes one photo in full, reads its metadata and writes the copy that COLMAP gets. In the decoder process only.

Must not share a process with pycolmap: both bring their own zlib, and the heap does not survive that.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pi_heif
from PIL import ExifTags, Image

from services.sfm.photo import PhotoMetadata
from services.sfm.photos.colours import to_srgb
from services.sfm.photos.cut_jpeg import CutOffError, check_end, mend
from services.sfm.photos.deep import channels_and_bits, measure_levels, to_eight_bits
from services.sfm.photos.exif import read_metadata
from services.sfm.photos.jpeg_scans import MAX_SCANS, has_too_many_scans
from services.sfm.photos.levels import FULL, Levels
from services.sfm.photos.raw import open_raw
from services.sfm.photos.traits import PhotoTraits, band_of_packet, read_traits
from spaceport.pictures import MAX_PIXELS, open_picture

FORMATS: Final = ("JPEG", "PNG", "TIFF", "WEBP", "HEIF")  # JPEG brings MPO, the several-in-one of phones and drones
MIN_SIDE: Final = 64  # smaller pictures are icons, not photos
RAW_SUFFIX: Final = ".dng"
QUALITY: Final = 95
_DRAFT_SIDE: Final = 64
_SMALL: Final = 256  # pixels on the longer side: enough to tell panoramas and fisheyes
_SPARE: Final = 0.03  # of the longest side
_REDUCING_GAP: Final = 1.2  # a JPEG is decoded at the half, quarter or eighth that leaves this much to resample

pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


class LeftOutError(Exception):
    """This photo is of no use; the message says why, after "it"."""


class DecodedPhoto(NamedTuple):
    """`size`: width and height of the copy."""

    metadata: PhotoMetadata
    size: tuple[int, int]
    traits: PhotoTraits


def read_photo(path: Path, name: str, copy: Path, longest: int, levels: Levels = FULL) -> DecodedPhoto:
    """Decode the photo at `path` to its last row and write a JPEG of it to `copy`.

    A plain JPEG of at most `longest` pixels a side is linked; one that lacks its end gets it. Others are scaled down to
    that: COLMAP could do so itself, but decodes large photos three times as long, and twice.
    `levels`: what becomes black and white of 16 bits.

    Raises:
        LeftOutError: it is too large, too small, cut off, or no picture.
        Exception: what decoders raise on broken files: OSError, SyntaxError, struct.error and more.
        MemoryError: it needs more than this process may have.
    """
    copy.unlink(missing_ok=True)  # of a try that was killed
    if path.suffix.lower() == RAW_SUFFIX:
        metadata, developed = open_raw(path, name, longest, check_size)
        size = copy_size(metadata.width, metadata.height, longest)
        _write(developed.resize(size, Image.Resampling.LANCZOS), metadata, copy)
        return DecodedPhoto(metadata, size, PhotoTraits())
    try:
        with open_picture(path, formats=FORMATS) as image:
            check_size(*image.size)
            size = copy_size(*image.size, longest)
            if image.mode == "F":
                raise LeftOutError("its pixels are floating-point numbers, not colours")
            channels, bits = channels_and_bits(image)  # first: reading a PNG's EXIF forgets them
            metadata = read_metadata(name, image)
            is_jpeg = metadata.format in ("JPEG", "MPO")
            if is_jpeg and has_too_many_scans(path):
                raise LeftOutError(f"it has more than {MAX_SCANS} scans, each of which is a pass over the whole photo")
            if is_jpeg and image.mode in ("RGB", "L"):
                return DecodedPhoto(metadata, size, _copy_jpeg(path, image, metadata, copy, size))
            picture = _scale_down((to_eight_bits(path, image, levels) if bits == 16 else None) or image, size)
            _write(picture, metadata, copy)
            return DecodedPhoto(metadata, size, _traits(image, picture, metadata, channels, bits))
    except Image.DecompressionBombError:
        raise LeftOutError(_TOO_MANY) from None
    except CutOffError as error:
        raise LeftOutError(str(error)) from None


def read_levels(path: Path) -> tuple[Levels, str] | None:
    """Of a 16-bit photo its darkest and brightest values and its kind: those of one kind are stretched alike.

    Raises:
        Exception: as `read_photo`.
    """
    with open_picture(path, formats=FORMATS) as image:
        check_size(*image.size)
        levels = measure_levels(path, image)
        kind = f"{channels_and_bits(image)[0]} {band_of_packet(image.info.get('xmp', b''))}"
        return (levels, kind) if levels else None


def _copy_jpeg(
    path: Path, image: Image.Image, metadata: PhotoMetadata, copy: Path, size: tuple[int, int]
) -> PhotoTraits:
    """Put the JPEG at `copy`: scaled down, as a link where it has that size, or with an end where it has none."""
    _draft(image, size)
    try:
        image.load()
    except OSError:
        return _copy_mended(path, metadata, copy, size)
    check_end(path, image)
    if size == (metadata.width, metadata.height):
        copy.symlink_to(path.resolve())
    else:
        _write(_scale_down(image, size), metadata, copy)
    return _traits(image, image, metadata)


def _copy_mended(path: Path, metadata: PhotoMetadata, copy: Path, size: tuple[int, int]) -> PhotoTraits:
    """Put a JPEG that lacks its end at `copy`, with one."""
    whole = mend(path.read_bytes())
    with open_picture(io.BytesIO(whole), formats=("JPEG",)) as mended:
        _draft(mended, size)
        if size == (metadata.width, metadata.height):
            copy.write_bytes(whole)
        else:
            _write(_scale_down(mended, size), metadata, copy)
        return _traits(mended, mended, metadata)


def _draft(image: Image.Image, size: tuple[int, int]) -> None:
    """Have the JPEG decoded no larger than a copy of this size needs: every byte is read, but few are transformed."""
    if size == image.size:
        image.draft("RGB", (_DRAFT_SIDE, _DRAFT_SIDE))
    else:
        image.draft(None, (round(size[0] * _REDUCING_GAP), round(size[1] * _REDUCING_GAP)))


def _traits(
    image: Image.Image, picture: Image.Image, metadata: PhotoMetadata, channels: int | None = None, bits: int = 8
) -> PhotoTraits:
    """`picture`: what is seen of the photo `image`, at any size."""
    shrink = _SMALL / max(metadata.width, metadata.height)
    shape = max(1, round(metadata.width * shrink)), max(1, round(metadata.height * shrink))
    small = picture.convert("RGB").resize(shape, Image.Resampling.BOX)
    segments = getattr(image, "applist", ())
    has_flir_data = any(marker == "APP1" and content.startswith(b"FLIR\0") for marker, content in segments)
    channels = channels or (1 if image.mode == "L" else 3)
    return read_traits(metadata, image.info.get("xmp", b""), np.asarray(small), channels, bits, has_flir_data)


_TOO_MANY: Final = f"it has more than {MAX_PIXELS // 10**6} megapixels"


def check_size(width: int, height: int) -> None:
    """Raise `LeftOutError` for what is too large to decode or too small to be a photo."""
    if width * height > MAX_PIXELS:
        raise LeftOutError(_TOO_MANY)
    if min(width, height) < MIN_SIDE:
        raise LeftOutError(f"it is only {width} x {height} pixels")


def copy_size(width: int, height: int, longest: int) -> tuple[int, int]:
    """Width and height of the copy of a photo: at most `longest`, and up to 3 % less where that keeps pixels square.

    COLMAP's simpler cameras have one focal length for both directions, and half a pixel of rounding would bend them.

    Raises:
        LeftOutError: nothing would be left of the shorter side.
    """
    long, short = max(width, height), min(width, height)
    if long <= longest:
        size = width, height
    else:
        lengths = range(longest, longest - round(_SPARE * longest) - 1, -1)
        best = min(lengths, key=lambda length: min(length * short % long, -length * short % long))
        other = max(1, round(best * short / long))
        size = (best, other) if width >= height else (other, best)
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
