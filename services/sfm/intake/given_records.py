"""The records of a COLMAP model that somebody sent, binary or text, read one by one within the bounds of its files.

Format: https://colmap.github.io/format.html. Every count is held against the bytes that are left before anything is
read for it. What the records say is judged in `given_model.py`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from spaceport.cursor import Cursor

MAX_FILE_BYTES: Final = 1 << 30  # ten million points seen by eight photos each
MAX_LINE: Final = 64 << 20  # a million features of one photo

CAMERA_MODELS: Final = {
    "SIMPLE_PINHOLE": (0, 1, 3),
    "PINHOLE": (1, 2, 4),
    "SIMPLE_RADIAL": (2, 1, 4),
    "RADIAL": (3, 1, 5),
    "OPENCV": (4, 2, 8),
    "OPENCV_FISHEYE": (5, 2, 8),
    "FULL_OPENCV": (6, 2, 12),
    "FOV": (7, 2, 5),
    "SIMPLE_RADIAL_FISHEYE": (8, 1, 4),
    "RADIAL_FISHEYE": (9, 1, 5),
    "THIN_PRISM_FISHEYE": (10, 2, 12),
    "RAD_TAN_THIN_PRISM_FISHEYE": (11, 2, 16),
    "SIMPLE_DIVISION": (12, 1, 4),
    "DIVISION": (13, 2, 5),
    "SIMPLE_FISHEYE": (14, 1, 3),
    "FISHEYE": (15, 2, 4),
    "EUCM": (16, 2, 6),
}
"""By COLMAP's name: number, how many focal lengths the parameters begin with, how many there are. The principal point
follows the focal lengths. Whole panoramas (EQUIRECTANGULAR) are missing: no pinhole camera shows them."""
_BY_NUMBER: Final = {number: (name, params) for name, (number, _, params) in CAMERA_MODELS.items()}

_COUNT: Final = struct.Struct("<Q")
_CAMERA: Final = struct.Struct("<IiQQ")
_IMAGE: Final = struct.Struct("<I7dI")
_POINT: Final = struct.Struct("<Q3d3BdQ")
_FEATURE_BYTES: Final = 24
_TRACK_BYTES: Final = 8
_FEWEST_PARAMS: Final = 3


class CameraRecord(NamedTuple):
    number: int
    model: str
    width: int
    height: int
    params: tuple[float, ...]


class ImageRecord(NamedTuple):
    """`pose` is a quaternion wxyz and a translation, world to camera."""

    number: int
    pose: tuple[float, ...]
    camera: int
    name: str


class PointRecord(NamedTuple):
    number: int
    xyz: tuple[float, float, float]


def cameras_of(path: Path) -> Iterator[CameraRecord]:
    """The records of `cameras.bin` or `cameras.txt`.

    Raises:
        ValueError: the file is too large, too short, too long or no such file; the message says which and how.
    """
    return _binary_cameras(Cursor(path, MAX_FILE_BYTES)) if _is_binary(path) else _text_cameras(path)


def images_of(path: Path) -> Iterator[ImageRecord]:
    """The records of `images.bin` or `images.txt`; raises as `cameras_of` does."""
    return _binary_images(Cursor(path, MAX_FILE_BYTES)) if _is_binary(path) else _text_images(path)


def points_of(path: Path) -> Iterator[PointRecord]:
    """The records of `points3D.bin` or `points3D.txt`; raises as `cameras_of` does."""
    return _binary_points(Cursor(path, MAX_FILE_BYTES)) if _is_binary(path) else _text_points(path)


def _binary_cameras(file: Cursor) -> Iterator[CameraRecord]:
    for _ in range(file.count(_CAMERA.size + 8 * _FEWEST_PARAMS)):
        number, model, width, height = file.take(_CAMERA)
        if model not in _BY_NUMBER:
            raise ValueError(f"camera {number} has a model that is not supported ({model})")
        name, params = _BY_NUMBER[model]
        yield CameraRecord(number, name, width, height, file.take(struct.Struct(f"<{params}d")))
    file.finish()


def _binary_images(file: Cursor) -> Iterator[ImageRecord]:
    for _ in range(file.count(_IMAGE.size + 1 + _COUNT.size)):
        number, *pose, camera = file.take(_IMAGE)
        name = file.text()
        file.skip(file.count(_FEATURE_BYTES) * _FEATURE_BYTES)
        yield ImageRecord(number, tuple(pose), camera, name)
    file.finish()


def _binary_points(file: Cursor) -> Iterator[PointRecord]:
    for _ in range(file.count(_POINT.size)):
        number, x, y, z, *_, track = file.take(_POINT)
        file.skip(track * _TRACK_BYTES)
        yield PointRecord(number, (x, y, z))
    file.finish()


def _text_cameras(path: Path) -> Iterator[CameraRecord]:
    for at, line in _lines(path):
        fields = line.split()
        if len(fields) < 4 + _FEWEST_PARAMS:
            raise ValueError(f"{path.name}, line {at}: number, model, width, height and parameters are expected")
        if fields[1] not in CAMERA_MODELS:
            raise ValueError(f"camera {fields[0][:20]} has a model that is not supported ({fields[1][:40]})")
        params = _numbers(fields[4:], path, at)
        if len(params) != CAMERA_MODELS[fields[1]][2]:
            raise ValueError(f"{path.name}, line {at}: {fields[1]} has {CAMERA_MODELS[fields[1]][2]} parameters")
        number, width, height = _whole([fields[0], *fields[2:4]], path, at)
        yield CameraRecord(number, fields[1], width, height, params)


def _text_images(path: Path) -> Iterator[ImageRecord]:
    rows = _lines(path, blank=True)
    for at, line in rows:
        if not line:
            continue
        fields = line.split(maxsplit=9)
        if len(fields) < 10:
            raise ValueError(f"{path.name}, line {at}: number, pose, camera and name are expected")
        number, camera = _whole([fields[0], fields[8]], path, at)
        if len(next(rows, (0, ""))[1].split()) % 3:
            raise ValueError(f"{path.name}, line {at + 1}: column, row and point of each feature are expected")
        yield ImageRecord(number, _numbers(fields[1:8], path, at), camera, fields[9])


def _text_points(path: Path) -> Iterator[PointRecord]:
    for at, line in _lines(path):
        fields = line.split()
        if len(fields) < 8 or len(fields) % 2:
            raise ValueError(f"{path.name}, line {at}: number, place, colour, error and track are expected")
        x, y, z = _numbers(fields[1:4], path, at)
        (number,) = _whole(fields[:1], path, at)
        yield PointRecord(number, (x, y, z))


def _lines(path: Path, *, blank: bool = False) -> Iterator[tuple[int, str]]:
    """Numbered lines without comments, and without empty ones unless `blank`."""
    _length(path)
    with path.open(encoding="utf-8-sig", errors="strict") as file:
        at = 0
        try:
            while line := file.readline(MAX_LINE):
                at += 1
                if len(line) == MAX_LINE:
                    raise ValueError(f"{path.name}, line {at} is too long")
                line = line.strip()
                if (line or blank) and not line.startswith("#"):
                    yield at, line
        except UnicodeDecodeError:
            raise ValueError(f"{path.name} is not UTF-8 text") from None


def _numbers(fields: list[str], path: Path, at: int) -> tuple[float, ...]:
    try:
        return tuple(map(float, fields))
    except ValueError:
        raise ValueError(f"{path.name}, line {at}: numbers are expected") from None


def _whole(fields: list[str], path: Path, at: int) -> tuple[int, ...]:
    if not all(field.isascii() and field.isdecimal() and len(field) < 20 for field in fields):
        raise ValueError(f"{path.name}, line {at}: whole numbers are expected")
    return tuple(map(int, fields))


def _length(path: Path) -> int:
    length = path.stat().st_size
    if length > MAX_FILE_BYTES:
        raise ValueError(f"{path.name} is larger than {MAX_FILE_BYTES >> 30} GiB")
    return length


def _is_binary(path: Path) -> bool:
    return path.suffix.lower() == ".bin"
