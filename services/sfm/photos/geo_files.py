"""The two text files of OpenDroneMap that hold positions: `geo.txt` and `gcp_list.txt`.

Formats: https://docs.opendronemap.org/geo/ and https://docs.opendronemap.org/gcp/.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from services.sfm.photo import PhotoMetadata
from services.sfm.photos.crs import ToWgs84, to_wgs84

MAX_BYTES: Final = 4 << 20
MAX_ROWS: Final = 50_000
_MAX_FIELDS: Final = 16


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
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None


def parse_geo(text: str) -> dict[str, GeoRow]:
    """Positions by photo name: `name x y [z] [yaw pitch roll] [horizontal vertical accuracy]` below the system's name.

    Raises:
        ValueError: which line is wrong, and how.
    """
    convert, rows = _rows(text)
    geo: dict[str, GeoRow] = {}
    for line, fields in rows:
        numbers = _numbers(fields[1:], line)
        if len(numbers) < 2:
            raise ValueError(f"line {line}: a name and at least two numbers are expected")
        latitude, longitude, height = _convert_line(convert, (*numbers, 0.0)[:3], line)
        std = (numbers[6], numbers[6], numbers[7]) if len(numbers) >= 8 and min(numbers[6:8]) > 0 else None
        geo[fields[0]] = GeoRow((latitude, longitude, height if len(numbers) > 2 else None), std)
    return geo


def parse_control_points(text: str) -> list[ControlPoint]:
    """Points of `gcp_list.txt`: `x y z pixel_x pixel_y photo [name]` below the system's name.

    Rows of one place are one point. Its name is the last field, or its number in the file.

    Raises:
        ValueError: which line is wrong, and how.
    """
    convert, rows = _rows(text)
    observations: dict[tuple[float, ...], list[tuple[str, float, float]]] = {}
    names: dict[tuple[float, ...], str] = {}
    positions: dict[tuple[float, ...], tuple[float, float, float]] = {}
    for line, fields in rows:
        if len(fields) < 6:
            raise ValueError(f"line {line}: five numbers and a photo's name are expected")
        x, y, z, column, row = _numbers(fields[:5], line)
        key = (x, y, z)
        positions[key] = _convert_line(convert, key, line)
        observations.setdefault(key, []).append((fields[5], column, row))
        names.setdefault(key, fields[6] if len(fields) > 6 else str(len(names) + 1))
    return [ControlPoint(names[key][:60], positions[key], tuple(observations[key])) for key in observations]


def apply_geo_positions(photos: Iterable[PhotoMetadata], geo: dict[str, GeoRow]) -> list[PhotoMetadata]:
    """The photos; those that `geo.txt` names have its positions in place of EXIF's."""
    rows = {name.lower(): row for name, row in geo.items()}
    pairs = [(photo, next((rows[key] for key in lookup_names(photo.name) if key in rows), None)) for photo in photos]
    return [replace(photo, position=row.position, position_std_m=row.std_m) if row else photo for photo, row in pairs]


def lookup_names(photo: str) -> tuple[str, str]:
    """How a text file may name a photo, in lower case: by its path, or by its file name alone."""
    return photo.lower(), PurePosixPath(photo).name.lower()


def _rows(text: str) -> tuple[ToWgs84, Iterator[tuple[int, list[str]]]]:
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not lines:
        raise ValueError("it is empty")
    if len(lines) > MAX_ROWS:
        raise ValueError(f"it has more than {MAX_ROWS} lines")
    return to_wgs84(lines[0][1]), ((number, line.split(maxsplit=_MAX_FIELDS)) for number, line in lines[1:])


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
