"""A photo as a drone's camera writes it: JPEG with EXIF tags of camera, time and GPS position."""

from __future__ import annotations

import io
from datetime import datetime
from fractions import Fraction

import numpy as np
import piexif
from numpy.typing import NDArray
from PIL import Image

from spaceport.demo.geodesy import Place
from spaceport.demo.lens import SENSOR_MM, Lens

QUALITY = 92
_CENTIMETRES = 3
Rational = tuple[int, int]


def encode_photo(pixels: NDArray[np.uint8], lens: Lens, time: datetime, place: Place, xmp: bytes) -> bytes:
    """JPEG bytes of `pixels` [H, W, 3], taken with `lens` at `time` (local) and `place`; `xmp` is its XMP packet."""
    tags = {"0th": _camera(), "Exif": _exposure(lens, time), "GPS": _position(place)}
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=QUALITY, subsampling=0, exif=piexif.dump(tags), xmp=xmp)
    return target.getvalue()


def _camera() -> dict[int, object]:
    tag = piexif.ImageIFD
    return {tag.Make: b"Spaceport", tag.Model: b"Demo Camera", tag.Software: b"spaceport.demo", tag.Orientation: 1}


def _exposure(lens: Lens, time: datetime) -> dict[int, object]:
    tag = piexif.ExifIFD
    taken = time.strftime("%Y:%m:%d %H:%M:%S").encode()
    pixels_per_cm = _rational(lens.width / (SENSOR_MM / 10))
    return {
        tag.DateTimeOriginal: taken,
        tag.DateTimeDigitized: taken,
        tag.FocalLength: _rational(lens.focal_mm),
        tag.FocalLengthIn35mmFilm: lens.focal_on_film,
        tag.FocalPlaneXResolution: pixels_per_cm,
        tag.FocalPlaneYResolution: pixels_per_cm,
        tag.FocalPlaneResolutionUnit: _CENTIMETRES,
        tag.PixelXDimension: lens.width,
        tag.PixelYDimension: lens.height,
        tag.ExposureTime: (1, 800),
        tag.FNumber: (4, 1),
        tag.ISOSpeedRatings: 100,
    }


def _position(place: Place) -> dict[int, object]:
    tag = piexif.GPSIFD
    return {
        tag.GPSVersionID: (2, 3, 0, 0),
        tag.GPSMapDatum: b"WGS-84",
        tag.GPSLatitudeRef: b"N" if place.latitude >= 0 else b"S",
        tag.GPSLatitude: _degrees(place.latitude),
        tag.GPSLongitudeRef: b"E" if place.longitude >= 0 else b"W",
        tag.GPSLongitude: _degrees(place.longitude),
        tag.GPSAltitudeRef: 0 if place.altitude >= 0 else 1,
        tag.GPSAltitude: (round(abs(place.altitude) * 1000), 1000),
    }


def _degrees(angle: float) -> tuple[Rational, Rational, Rational]:
    """Degrees, minutes and seconds; a ten-thousandth of a second is 3 mm on the ground."""
    ticks = round(abs(angle) * 3600 * 10_000)
    minutes, seconds = divmod(ticks, 60 * 10_000)
    return (minutes // 60, 1), (minutes % 60, 1), (seconds, 10_000)


def _rational(value: float) -> Rational:
    fraction = Fraction(value).limit_denominator(10_000)
    return fraction.numerator, fraction.denominator
