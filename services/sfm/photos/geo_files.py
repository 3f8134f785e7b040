"""The two text files of OpenDroneMap that hold positions: `geo.txt` and `gcp_list.txt`.

Formats: https://docs.opendronemap.org/geo/ and https://docs.opendronemap.org/gcp/.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from services.sfm.photo import PhotoMetadata
from services.sfm.photos.crs import ToWgs84
from services.sfm.photos.geo_table import decode_text, read_geo_table, read_points_table
from services.sfm.wording import count
from spaceport.pipeline.reports.sfm import Finding, Verdict

MAX_BYTES: Final = 4 << 20


@dataclass(frozen=True)
class GeoRow:
    """One row of `geo.txt`: degrees, metres."""

    position: tuple[float, float, float | None]
    std_m: tuple[float, float, float] | None


@dataclass(frozen=True)
class ControlPoint:
    """A ground control point (GCP) and the photos in which it is marked.

    `position`: latitude, longitude (degrees, WGS84) and height (metres). `observations`: photo's name and the point's
    pixel in its stored grid, x to the right, y down, the middle of the first pixel at (0.5, 0.5).
    """

    name: str
    position: tuple[float, float, float]
    observations: tuple[tuple[str, float, float], ...]


def read_text(path: Path) -> str:
    """The file's text.

    Raises:
        ValueError: it is too large, or no text.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
    return decode_text(path.read_bytes())


def parse_geo(text: str, photos: Iterable[str] = ()) -> dict[str, GeoRow]:
    """Positions by photo name: `name x y [z] [yaw pitch roll] [horizontal vertical accuracy]` below the system's name.

    `photos`: names of the upload's photos, which tell where a name with blanks ends.

    Raises:
        ValueError: which line is wrong, and how.
    """
    table = read_geo_table(text, photos)
    geo: dict[str, GeoRow] = {}
    for line, fields in table.rows:
        numbers = _numbers(fields[1:], line)
        if len(numbers) < 2:
            raise ValueError(f"line {line}: a name and at least two numbers are expected")
        latitude, longitude, height = _convert_line(table.convert, (*numbers, 0.0)[:3], line)
        std = (numbers[6], numbers[6], numbers[7]) if len(numbers) >= 8 and min(numbers[6:8]) > 0 else None
        geo[fields[0]] = GeoRow((latitude, longitude, height if len(numbers) > 2 else None), std)
    return geo


def parse_control_points(text: str, photos: Iterable[str] = ()) -> list[ControlPoint]:
    """Points of `gcp_list.txt`: `x y z pixel_x pixel_y photo [name]` below the system's name.

    Rows of one place are one point. Its name is the last field, or its number in the file.

    Raises:
        ValueError: which line is wrong, and how.
    """
    table = read_points_table(text, photos)
    observations: dict[tuple[float, ...], list[tuple[str, float, float]]] = {}
    names: dict[tuple[float, ...], str] = {}
    positions: dict[tuple[float, ...], tuple[float, float, float]] = {}
    for line, fields in table.rows:
        if len(fields) < 6:
            raise ValueError(f"line {line}: five numbers and a photo's name are expected")
        x, y, z, column, row = _numbers(fields[:5], line)
        key = (x, y, z)
        positions[key] = _convert_line(table.convert, key, line)
        observations.setdefault(key, []).append((fields[5], column, row))
        names.setdefault(key, fields[6] if len(fields) > 6 else str(len(names) + 1))
    return [ControlPoint(names[key][:60], positions[key], tuple(observations[key])) for key in observations]


def apply_geo_positions(photos: Iterable[PhotoMetadata], geo: dict[str, GeoRow]) -> list[PhotoMetadata]:
    """The photos; those that `geo.txt` names have its positions in place of EXIF's."""
    rows = {name.lower(): row for name, row in geo.items()}
    pairs = [(photo, next((rows[key] for key in lookup_names(photo.name) if key in rows), None)) for photo in photos]
    return [replace(photo, position=row.position, position_std_m=row.std_m) if row else photo for photo, row in pairs]


def about_unknown_names(photos: Iterable[str], geo: dict[str, GeoRow]) -> list[Finding]:
    """A warning, where `geo.txt` names none of the photos."""
    names = {name.lower() for name in geo}
    if not geo or any(key in names for photo in photos for key in lookup_names(photo)):
        return []
    sentence = (
        f"geo.txt has {count(len(geo), 'position')}, but none of the names in it is that of a photo (the first is"
        f" {next(iter(geo))[:60]!r}): it was not used. Write the file names of the photos there, with their suffixes."
    )
    return [Finding(level=Verdict.WARN, sentence=sentence)]


def lookup_names(photo: str) -> tuple[str, str]:
    """How a text file may name a photo, in lower case: by its path, or by its file name alone."""
    return photo.lower(), PurePosixPath(photo).name.lower()


def _convert_line(convert: ToWgs84, xyz: tuple[float, ...], line: int) -> tuple[float, float, float]:
    try:
        return convert(xyz[0], xyz[1], xyz[2])
    except ValueError as error:
        raise ValueError(f"line {line}: {error}") from None


def _numbers(fields: list[str], line: int) -> list[float]:
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        raise ValueError(f"line {line}: a number is expected") from None
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"line {line}: a number is expected")
    return numbers
