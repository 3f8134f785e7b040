"""EXIF and XMP of an opened photo as `PhotoMetadata`: focal length in pixels, position, time, exposure."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any, Final

from PIL import ExifTags, Image

from services.sfm.photo import PhotoMetadata, Position
from services.sfm.photos.xmp import dji_metadata

_FILM_WIDTH_MM: Final = 36.0
_MM_PER_UNIT: Final = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # EXIF FocalPlaneResolutionUnit: inch, cm, mm, µm


def read_metadata(name: str, image: Image.Image) -> PhotoMetadata:
    """The metadata of an opened photo, before its pixels are read. Never raises for what is in the file."""
    return metadata_from_tags(name, str(image.format), image.size, image.getexif, image.info.get("xmp", b""))


def metadata_from_tags(name: str, kind: str, size: tuple[int, int], read_exif: Any, xmp: object) -> PhotoMetadata:
    """The same from its parts; `read_exif` returns a `PIL.Image.Exif` and may raise anything."""
    fields: dict[str, Any] = {"name": name, "format": kind, "width": size[0], "height": size[1]}
    packet = xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp
    fields |= dji_metadata(packet) if isinstance(packet, bytes) else {}
    try:
        return PhotoMetadata(**fields, **_exif_fields(read_exif(), *size))
    except Exception:  # EXIF is as hostile as pixels and as varied in how it breaks; a photo without is still a photo
        return PhotoMetadata(**fields)


def _exif_fields(exif: Image.Exif, width: int, height: int) -> dict[str, Any]:
    details = exif.get_ifd(ExifTags.IFD.Exif)
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    return {
        "make": _text(exif.get(ExifTags.Base.Make)),
        "model": _text(exif.get(ExifTags.Base.Model)),
        "focal_mm": _positive(details.get(ExifTags.Base.FocalLength)),
        "focal_px": focal_length_px(details, width, height),
        "position": parse_gps(exif.get_ifd(ExifTags.IFD.GPSInfo)),
        "orientation": orientation if orientation in range(1, 9) else 1,
        "taken_at": parse_time(details),
        "exposure_s": _positive(details.get(ExifTags.Base.ExposureTime)),
        "f_number": _positive(details.get(ExifTags.Base.FNumber)),
        "iso": _positive(_first(details.get(ExifTags.Base.ISOSpeedRatings))),
    }


def focal_length_px(exif: dict[int, Any], width: int, height: int) -> float | None:
    """Focal length in pixels from the 35 mm equivalent, else from the density of the sensor; None if neither is there.

    The density counts pixels of the original photo, so it is scaled where the photo was scaled down since.
    """
    longest = max(width, height)
    film = _positive(exif.get(ExifTags.Base.FocalLengthIn35mmFilm))
    if film is not None:
        return _plausible(film / _FILM_WIDTH_MM * longest, longest)
    focal = _positive(exif.get(ExifTags.Base.FocalLength))
    density = _positive(exif.get(ExifTags.Base.FocalPlaneXResolution))
    unit = _MM_PER_UNIT.get(int(exif.get(ExifTags.Base.FocalPlaneResolutionUnit, 2)))
    if focal is None or density is None or unit is None:
        return None
    original = _positive(exif.get(ExifTags.Base.ExifImageWidth)) or width
    return _plausible(focal * density / unit * width / original, longest)


def parse_gps(gps: dict[int, Any]) -> Position | None:
    """Latitude, longitude and altitude out of the GPS directory, or None when there is no fix."""
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), "S", 90)
    longitude = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), "W", 180)
    if (
        latitude is None or longitude is None or (latitude == 0 and longitude == 0)
    ):  # receivers write 0, 0 without a fix
        return None
    altitude = _number(gps.get(ExifTags.GPS.GPSAltitude))
    if altitude is not None and gps.get(ExifTags.GPS.GPSAltitudeRef) in (1, b"\x01"):
        altitude = -altitude
    return latitude, longitude, altitude if altitude is not None and abs(altitude) < 100_000 else None


def parse_time(exif: dict[int, Any]) -> datetime | None:
    """When the photo was taken, by the camera's clock; None where the tag is missing or blank."""
    try:
        moment = datetime.strptime(_text(exif.get(ExifTags.Base.DateTimeOriginal)), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
    fraction = _text(exif.get(ExifTags.Base.SubsecTimeOriginal))
    return moment + timedelta(seconds=float(f"0.{fraction}")) if fraction.isdecimal() and fraction.isascii() else moment


def _degrees(parts: Any, reference: Any, negative: str, limit: float) -> float | None:
    numbers = [_number(part) for part in parts] if isinstance(parts, tuple) else []
    if len(numbers) != 3 or any(number is None for number in numbers):
        return None
    value = sum((number or 0.0) / 60**power for power, number in enumerate(numbers))
    value = -value if _text(reference).upper() == negative else value
    return value if abs(value) <= limit else None


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and value else value


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
    """None outside of what lenses have, from fish-eye to long zoom: a broken tag."""
    return focal_px if 0.2 * longest < focal_px < 20 * longest else None


def _text(value: Any) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return "".join(letter for letter in text if letter.isprintable()).strip()[:100]
