"""The records of an uploaded COLMAP model, binary or text, read one by one within the bounds of its files.

Format of the text: https://colmap.github.io/format.html#text-format. `validate.py` checks what the records say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from spaceport.splats.formats.colmap import (
    CAMERA_MODELS,
    FEWEST_PARAMS,
    CameraRecord,
    ImageRecord,
    read_cameras,
    read_images,
    read_points,
)
from spaceport.splats.formats.cursor import MAX_NAME_BYTES, Cursor

Xyz = tuple[float, float, float]

MAX_FILE_BYTES: Final = 1 << 30  # ten million points seen by eight photos each
_BLANKS: Final = " \t\r\n"  # ASCII's alone: others belong to a name
_FIELDS: Final = re.compile(r"[ \t]+")
MAX_LINE: Final = 64 << 20  # a million features of one photo


def read_camera_records(path: Path) -> Iterator[CameraRecord]:
    """The records of `cameras.bin` or `cameras.txt`.

    Raises:
        ValueError: the file is too large, too short, too long or no such file; the message says which and how.
    """
    return read_cameras(Cursor(path, MAX_FILE_BYTES)) if _is_binary(path) else _text_cameras(path)


def read_image_records(path: Path) -> Iterator[ImageRecord]:
    """The records of `images.bin` or `images.txt`; raises as the others do."""
    return read_images(Cursor(path, MAX_FILE_BYTES)) if _is_binary(path) else _text_images(path)


def read_point_records(path: Path) -> Iterator[tuple[int, Xyz]]:
    """Number and coordinates of each point in `points3D.bin` or `points3D.txt`; raises as the others do."""
    if not _is_binary(path):
        return _text_points(path)
    return ((point.number, point.xyz) for point in read_points(Cursor(path, MAX_FILE_BYTES)))


def _text_cameras(path: Path) -> Iterator[CameraRecord]:
    for at, line in _lines(path):
        fields = line.split()
        if len(fields) < 4 + FEWEST_PARAMS:
            raise ValueError(f"{path.name}, line {at}: number, model, width, height and parameters are expected")
        if fields[1] not in CAMERA_MODELS:
            raise ValueError(f"camera {fields[0][:20]} has a model that is not supported ({fields[1][:40]})")
        params = _numbers(fields[4:], path, at)
        if len(params) != CAMERA_MODELS[fields[1]][2]:
            raise ValueError(f"{path.name}, line {at}: {fields[1]} has {CAMERA_MODELS[fields[1]][2]} parameters")
        number, width, height = _whole_numbers([fields[0], *fields[2:4]], path, at)
        yield CameraRecord(number, fields[1], width, height, params)


def _text_images(path: Path) -> Iterator[ImageRecord]:
    rows = _lines(path, blank=True)
    for at, line in rows:
        if not line:
            continue
        fields = _FIELDS.split(line, maxsplit=9)
        if len(fields) < 10:
            raise ValueError(f"{path.name}, line {at}: number, pose, camera and name are expected")
        if len(fields[9].encode()) >= MAX_NAME_BYTES:
            raise ValueError(f"{path.name}, line {at}: the name is longer than {MAX_NAME_BYTES - 1} bytes")
        number, camera = _whole_numbers([fields[0], fields[8]], path, at)
        if len(next(rows, (0, ""))[1].split()) % 3:
            raise ValueError(f"{path.name}, line {at + 1}: column, row and point of each feature are expected")
        yield ImageRecord(number, _numbers(fields[1:8], path, at), camera, fields[9])


def _text_points(path: Path) -> Iterator[tuple[int, Xyz]]:
    for at, line in _lines(path):
        fields = line.split()
        if len(fields) < 8 or len(fields) % 2:
            raise ValueError(f"{path.name}, line {at}: number, place, colour, error and track are expected")
        x, y, z = _numbers(fields[1:4], path, at)
        (number,) = _whole_numbers(fields[:1], path, at)
        yield number, (x, y, z)


def _lines(path: Path, *, blank: bool = False) -> Iterator[tuple[int, str]]:
    """Numbered lines without comments, and without empty ones unless `blank`."""
    _check_length(path)
    with path.open(encoding="utf-8-sig", errors="strict") as file:
        at = 0
        try:
            while line := file.readline(MAX_LINE):
                at += 1
                if len(line) == MAX_LINE:
                    raise ValueError(f"{path.name}, line {at} is too long")
                line = line.strip(_BLANKS)
                if (line or blank) and not line.startswith("#"):
                    yield at, line
        except UnicodeDecodeError:
            raise ValueError(f"{path.name} is not UTF-8 text") from None


def _numbers(fields: list[str], path: Path, at: int) -> tuple[float, ...]:
    try:
        return tuple(map(float, fields))
    except ValueError:
        raise ValueError(f"{path.name}, line {at}: numbers are expected") from None


def _whole_numbers(fields: list[str], path: Path, at: int) -> tuple[int, ...]:
    if not all(field.isascii() and field.isdecimal() and len(field) < 20 for field in fields):
        raise ValueError(f"{path.name}, line {at}: whole numbers are expected")
    return tuple(map(int, fields))


def _check_length(path: Path) -> None:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"{path.name} is larger than {MAX_FILE_BYTES >> 30} GiB")


def _is_binary(path: Path) -> bool:
    return path.suffix.lower() == ".bin"
