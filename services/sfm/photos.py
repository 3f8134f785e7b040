"""Reads photos with Pillow: whether each decodes to its last row, its size, camera, focal length and position.

Must not share a process with pycolmap: both bring their own zlib, and the heap does not survive that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import ExifTags, Image

FORMATS: Final = ("JPEG", "PNG", "TIFF", "WEBP")  # JPEG brings MPO, the several-in-one of phones and drones
MAX_PIXELS: Final = 200_000_000  # the largest camera backs; 600 MB decoded
MIN_SIDE: Final = 64  # smaller pictures are icons, not photos
READERS: Final = 4  # of the largest photos at once: 2.4 GB
_DRAFT_SIDE: Final = 64
_FILM_WIDTH_MM: Final = 36.0
_MM_PER_UNIT: Final = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # EXIF FocalPlaneResolutionUnit: inch, cm, mm, µm

Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow itself raises at twice this, before it reads a pixel

Position = tuple[float, float, float | None]


@dataclass(frozen=True)
class Photo:
    """One readable photo. Sizes are of the stored pixel grid, whatever the orientation tag says."""

    name: str
    format: str
    width: int
    height: int
    make: str = ""
    model: str = ""
    focal_mm: float | None = None
    focal_px: float | None = None
    """Focal length in pixels of the stored grid, from EXIF."""
    position: Position | None = None
    """Latitude and longitude in degrees (WGS84), altitude in metres if known."""
    orientation: int = 1

    @property
    def camera_key(self) -> tuple[str, str, int, int, float | None]:
        """Photos with the same key share one camera: same lens, same zoom, same pixel grid."""
        return self.make, self.model, self.width, self.height, self.focal_mm


@dataclass(frozen=True)
class Unreadable:
    """A photo that is left out, and why."""

    name: str
    reason: str


def read_photos(folder: Path, names: list[str], on_photo: Callable[[int], None]) -> list[Photo | Unreadable]:
    """Read photos of `folder` on a few threads, in the order of `names`; `on_photo` hears how many are done.

    What `on_photo` raises passes, within the time one photo takes.
    """
    pool = ThreadPoolExecutor(READERS)
    try:
        futures = [pool.submit(read_photo, folder, name) for name in names]
        for done, _ in enumerate(as_completed(futures), start=1):
            on_photo(done)
        return [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)


def read_photo(folder: Path, name: str) -> Photo | Unreadable:
    """Decode one photo in full and read its EXIF. Never raises for what is in the file."""
    try:
        with Image.open(folder / name, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return Unreadable(name, f"it has more than {MAX_PIXELS // 10**6} megapixels")
            if min(image.size) < MIN_SIDE:
                return Unreadable(name, f"it is only {image.width} x {image.height} pixels")
            if image.mode == "F":
                return Unreadable(name, "its pixels are floating-point numbers, not colours")
            photo = _described(name, image)
            image.draft("RGB", (_DRAFT_SIDE, _DRAFT_SIDE))  # a JPEG's every byte is read, few are transformed
            image.load()
            return photo
    except Image.DecompressionBombError:
        return Unreadable(name, f"it has more than {MAX_PIXELS // 10**6} megapixels")
    except Exception as error:  # Pillow's decoders raise many kinds on broken files: OSError, SyntaxError, struct.error
        return Unreadable(name, f"it cannot be decoded: {str(error)[:200].replace(str(folder), '')}")


def write_jpeg(source: Path, target: Path) -> None:
    """Make a JPEG of any photo that `read_photo` accepts, on the same pixel grid, for COLMAP, which reads no WebP."""
    with Image.open(source, formats=FORMATS) as image:
        picture: Image.Image = image
        if image.mode.startswith("I"):  # 16-bit grey: Pillow would clip, not scale
            picture = Image.fromarray((np.asarray(image).clip(0, 0xFFFF) >> 8).astype(np.uint8))
        picture.convert("RGB").save(target, "JPEG", quality=95, subsampling=0)


def _described(name: str, image: Image.Image) -> Photo:
    facts: dict[str, Any] = {"name": name, "format": str(image.format), "width": image.width, "height": image.height}
    try:
        exif = image.getexif()
        details = exif.get_ifd(ExifTags.IFD.Exif)
        return Photo(
            **facts,
            make=_text(exif.get(ExifTags.Base.Make)),
            model=_text(exif.get(ExifTags.Base.Model)),
            focal_mm=_positive(details.get(ExifTags.Base.FocalLength)),
            focal_px=focal_in_pixels(details, image.width, image.height),
            position=position_of(exif.get_ifd(ExifTags.IFD.GPSInfo)),
            orientation=int(exif.get(ExifTags.Base.Orientation, 1)),
        )
    except Exception:  # EXIF is as hostile as pixels and as varied in how it breaks; a photo without is still a photo
        return Photo(**facts)


def focal_in_pixels(exif: dict[int, Any], width: int, height: int) -> float | None:
    """Focal length in pixels from the 35 mm equivalent, else from the density of the sensor; None if neither is told.

    The density counts pixels of the original photo, so it is scaled where the photo was made smaller since.
    """
    longest = max(width, height)
    if (film := _positive(exif.get(ExifTags.Base.FocalLengthIn35mmFilm))) is not None:
        return _plausible(film / _FILM_WIDTH_MM * longest, longest)
    focal = _positive(exif.get(ExifTags.Base.FocalLength))
    density = _positive(exif.get(ExifTags.Base.FocalPlaneXResolution))
    unit = _MM_PER_UNIT.get(int(exif.get(ExifTags.Base.FocalPlaneResolutionUnit, 2)))
    if focal is None or density is None or unit is None:
        return None
    original = _positive(exif.get(ExifTags.Base.ExifImageWidth)) or width
    return _plausible(focal * density / unit * width / original, longest)


def position_of(gps: dict[int, Any]) -> Position | None:
    """Latitude, longitude and altitude out of the GPS directory, or None when there is no fix."""
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), "S", 90)
    longitude = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), "W", 180)
    if (
        latitude is None or longitude is None or (latitude == 0 and longitude == 0)
    ):  # what receivers write without a fix
        return None
    altitude = _number(gps.get(ExifTags.GPS.GPSAltitude))
    if altitude is not None and gps.get(ExifTags.GPS.GPSAltitudeRef) in (1, b"\x01"):
        altitude = -altitude
    return latitude, longitude, altitude if altitude is not None and abs(altitude) < 100_000 else None


def _degrees(parts: Any, reference: Any, negative: str, limit: float) -> float | None:
    numbers = [_number(part) for part in parts] if isinstance(parts, tuple) else []
    if len(numbers) != 3 or any(number is None for number in numbers):
        return None
    value = sum((number or 0.0) / 60**power for power, number in enumerate(numbers))
    value = -value if _text(reference).upper() == negative else value
    return value if abs(value) <= limit else None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _positive(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None


def _plausible(focal_px: float, longest: int) -> float | None:
    """Lenses from fish-eye to long zoom; what lies outside is a broken tag."""
    return focal_px if 0.2 * longest < focal_px < 20 * longest else None


def _text(value: Any) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return "".join(letter for letter in text if letter.isprintable()).strip()[:100]
