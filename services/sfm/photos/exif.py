"""EXIF and XMP of an opened photo as `PhotoMetadata`: focal length in pixels, position, time, exposure."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from PIL import ExifTags, Image

from services.sfm.photo import PhotoMetadata, Position
from services.sfm.photos.calibration import MAX_FOCAL, MIN_FOCAL, fit_calibration
from services.sfm.photos.xmp import dji_calibration, dji_metadata

_FILM_DIAGONAL_MM: Final = math.hypot(36.0, 24.0)
_SQUARE: Final = 1.15  # aspect ratio up to which a photo is taken for a cut; some sensors are 5:4
_NARROW, _WIDE = 4 / 3, 3 / 2  # aspect ratios of sensors; photos of other shapes are cut out of one
_SMALL_MM: Final = 14.0  # diagonal; one-inch sensors have 16
_FOUR_THIRDS_MM: Final = (20.5, 23.0)
_MAX_ZOOM: Final = 100.0
_MM_PER_UNIT: Final = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # EXIF FocalPlaneResolutionUnit: inch, cm, mm, µm


def read_metadata(name: str, image: Image.Image) -> PhotoMetadata:
    """The metadata of an opened photo, before its pixels are read. Never raises for what is in the file."""
    return metadata_from_tags(name, str(image.format), image.size, image.getexif, image.info.get("xmp", b""))


def metadata_from_tags(name: str, kind: str, size: tuple[int, int], read_exif: Any, xmp: object) -> PhotoMetadata:
    """The same from its parts; `read_exif` returns a `PIL.Image.Exif` and may raise anything."""
    fields: dict[str, Any] = {"name": name, "format": kind, "width": size[0], "height": size[1]}
    text = xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp
    packet = text if isinstance(text, bytes) else b""
    fields |= dji_metadata(packet)
    exif_size = None
    try:
        exif = read_exif()
        exif_fields = _exif_fields(exif, *size)
        exif_size = _exif_size(exif.get_ifd(ExifTags.IFD.Exif))
        fields |= {name: value for name, value in exif_fields.items() if value or name not in fields}
    except Exception:  # EXIF is as hostile as pixels and as varied in how it breaks; a photo without is still a photo
        exif_size = None
    return _with_calibration(PhotoMetadata(**fields), packet, exif_size)


def _with_calibration(photo: PhotoMetadata, packet: bytes, exif_size: tuple[int, int] | None) -> PhotoMetadata:
    """The photo with the lens of its XMP packet, where that is plausible.

    Some cameras count the digital zoom in the 35 mm equivalent, others do not; the calibration tells which.
    """
    raw = dji_calibration(packet)
    if raw is None:
        return photo
    size = photo.width, photo.height
    for factor in dict.fromkeys((1.0, photo.digital_zoom)):
        focal_px = photo.focal_px and photo.focal_px * factor
        lens = fit_calibration(raw, size, exif_size, focal_px, photo.digital_zoom)
        if lens is not None:
            return replace(photo, calibration=lens, focal_px=focal_px)
    return photo


def _exif_fields(exif: Image.Exif, width: int, height: int) -> dict[str, Any]:
    details = exif.get_ifd(ExifTags.IFD.Exif)
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    return {
        "make": _text(exif.get(ExifTags.Base.Make)),
        "model": _text(exif.get(ExifTags.Base.Model)),
        "serial": _serial(details.get(ExifTags.Base.BodySerialNumber)),
        "lens_model": _text(details.get(ExifTags.Base.LensModel)),
        "focal_mm": _positive(details.get(ExifTags.Base.FocalLength)),
        "focal_px": focal_length_px(details, width, height),
        "focal_35mm": _positive(details.get(ExifTags.Base.FocalLengthIn35mmFilm)),
        "digital_zoom": _digital_zoom(details),
        "position": parse_gps(exif.get_ifd(ExifTags.IFD.GPSInfo)),
        "orientation": orientation if orientation in range(1, 9) else 1,
        "taken_at": parse_time(details),
        "exposure_s": _positive(details.get(ExifTags.Base.ExposureTime)),
        "f_number": _positive(details.get(ExifTags.Base.FNumber)),
        "iso": _positive(_first(details.get(ExifTags.Base.ISOSpeedRatings))),
    }


def focal_length_px(exif: dict[int, Any], width: int, height: int) -> float | None:
    """Focal length in pixels from the 35 mm equivalent, else from the density of the sensor; None if neither is there.

    The equivalent is that of the lens that shows the same diagonal on 35 mm film (CIPA DCG-001). It is of the photo as
    it was recorded, so a digital zoom is in it (CIPA DC-008); in the density of the sensor it is not. That counts
    pixels of the original photo, and is scaled where the photo was scaled down since.
    """
    longest = max(width, height)
    focal = _positive(exif.get(ExifTags.Base.FocalLength))
    film = _positive(exif.get(ExifTags.Base.FocalLengthIn35mmFilm))
    if film is not None:
        sensor_mm = focal / film * _FILM_DIAGONAL_MM if focal else None
        return _plausible(film / _FILM_DIAGONAL_MM * _sensor_diagonal(width, height, sensor_mm), longest)
    density = _positive(exif.get(ExifTags.Base.FocalPlaneXResolution))
    unit = _MM_PER_UNIT.get(int(exif.get(ExifTags.Base.FocalPlaneResolutionUnit, 2)))
    if focal is None or density is None or unit is None:
        return None
    original = _positive(exif.get(ExifTags.Base.ExifImageWidth)) or width
    return _plausible(focal * density / unit * width / original * _digital_zoom(exif), longest)


def _sensor_diagonal(width: int, height: int, sensor_mm: float | None) -> float:
    """The diagonal in pixels of the sensor that a photo is from; `sensor_mm` is that diagonal in mm, where known.

    A photo that is longer than its sensor is cut out of it, and cameras go on to write the whole lens's equivalent.
    Sensors of phones, small drones and Four Thirds are 4:3, a few 5:4, others 3:2. Squares are cut out of 4:3.
    """
    longer, shorter = float(max(width, height)), float(min(width, height))
    if longer / shorter > _WIDE * 1.02:
        is_small = sensor_mm is not None and (
            sensor_mm < _SMALL_MM or _FOUR_THIRDS_MM[0] < sensor_mm < _FOUR_THIRDS_MM[1]
        )
        shorter = longer / (_NARROW if is_small else _WIDE)
    elif longer / shorter < _SQUARE:
        longer = shorter * _NARROW
    return math.hypot(longer, shorter)


def _digital_zoom(exif: dict[int, Any]) -> float:
    """1 where there is none: EXIF says 0 for that, some cameras 0/0."""
    zoom = _positive(exif.get(ExifTags.Base.DigitalZoomRatio))
    return zoom if zoom is not None and 1 < zoom <= _MAX_ZOOM else 1.0


def _exif_size(exif: dict[int, Any]) -> tuple[int, int] | None:
    width, height = (
        _positive(exif.get(tag)) or 0 for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)
    )
    return (int(width), int(height)) if 64 <= min(width, height) <= max(width, height) <= 1 << 17 else None


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
    return focal_px if MIN_FOCAL * longest < focal_px < MAX_FOCAL * longest else None


def _serial(value: Any) -> str:
    """A body's serial number; empty where it tells no camera from another, as zeros do."""
    text = _text(value)
    return text if text.strip("0 ._/-") else ""


def _text(value: Any) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return "".join(letter for letter in text if letter.isprintable()).strip()[:100]
