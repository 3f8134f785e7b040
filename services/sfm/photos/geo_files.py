"""The two text files of OpenDroneMap that hold positions: `geo.txt` and `gcp_list.txt`.

Formats: https://docs.opendronemap.org/geo/ and https://docs.opendronemap.org/gcp/.
"""

from __future__ import annotations

import math
import re
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
_CHECK: Final = re.compile(r"(check|checkpoint|chk)(?![a-z])", re.IGNORECASE)
_STD: Final = {"std": ("horizontal_m", "vertical_m"), "std_z": ("vertical_m",), "mark_std": ("mark_px",)}
_MIN_STD: Final = 1e-4
_MAX_STD: Final = 1000.0


@dataclass(frozen=True)
class GeoRow:
    """One row of `geo.txt`: degrees, metres."""

    position: tuple[float, float, float | None]
    std_m: tuple[float, float, float] | None


@dataclass(frozen=True)
class ControlPointAccuracy:
    """Standard deviations: of the position in metres, of the marks in pixels. The defaults are a GNSS rover's."""

    horizontal_m: float = 0.02
    vertical_m: float = 0.03
    mark_px: float = 1.0


@dataclass(frozen=True)
class ControlPoint:
    """A ground control point (GCP) and the photos in which it is marked.

    `position`: latitude, longitude (degrees, WGS84) and height (metres). `observations`: photo's name and the point's
    pixel in its stored grid, x to the right, y down, the middle of the first pixel at (0.5, 0.5).
    """

    name: str
    position: tuple[float, float, float]
    observations: tuple[tuple[str, float, float], ...]
    accuracy: ControlPointAccuracy = ControlPointAccuracy()
    check: bool = False
    """Whether it must not decide anything, but only tell how good the model is."""


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
    """Points of `gcp_list.txt`: `x y z pixel_x pixel_y photo [name] [more]` below the system's name.

    Rows of one place are one point. Without a name it has its number in the file. `more`, in any row of the point:
    `check`, `std=METRES`, `std_z=METRES`, `mark_std=PIXELS`; other words are skipped. A point named CHECK1,
    CHK-2 or checkpoint_3 is a check point too.

    Raises:
        ValueError: which line is wrong, and how.
    """
    table = read_points_table(text, photos)
    points: dict[tuple[float, ...], ControlPoint] = {}
    observations: dict[tuple[float, ...], list[tuple[str, float, float]]] = {}
    for line, fields in table.rows:
        if len(fields) < 6:
            raise ValueError(f"line {line}: five numbers and a photo's name are expected")
        x, y, z, column, row = _numbers(fields[:5], line)
        key = (x, y, z)
        name, more = (fields[6][:60], fields[7:]) if len(fields) > 6 else (str(len(points) + 1), [])
        if key not in points:
            is_check = _CHECK.match(name) is not None
            points[key] = ControlPoint(name, _convert_line(table.convert, key, line), (), check=is_check)
        observations.setdefault(key, []).append((fields[5], column, row))
        if more:
            point = points[key]
            check = point.check or "check" in more
            points[key] = replace(point, accuracy=_accuracy(point.accuracy, more), check=check)
    return [replace(point, observations=tuple(observations[key])) for key, point in points.items()]


def _accuracy(accuracy: ControlPointAccuracy, words: list[str]) -> ControlPointAccuracy:
    """With what the words say of it. A word that says nothing plausible costs only itself."""
    for word in words:
        key, _, value = word.partition("=")
        if key not in _STD:
            continue
        try:
            number = float(value)
        except ValueError:
            continue
        if _MIN_STD <= number <= _MAX_STD:
            accuracy = replace(accuracy, **dict.fromkeys(_STD[key], number))
    return accuracy


def apply_geo_positions(photos: Iterable[PhotoMetadata], geo: dict[str, GeoRow]) -> list[PhotoMetadata]:
    """The photos; those that `geo.txt` names have its positions in place of EXIF's, and no flag of the drone's RTK."""
    rows = {name.lower(): row for name, row in geo.items()}
    pairs = [(photo, geo.get(photo.name) or _lookup(rows, photo.name)) for photo in photos]
    return [
        replace(photo, position=row.position, position_std_m=row.std_m, rtk_flag=None) if row else photo
        for photo, row in pairs
    ]


def _lookup(rows: dict[str, GeoRow], photo: str) -> GeoRow | None:
    return next((rows[key] for key in lookup_names(photo) if key in rows), None)


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
