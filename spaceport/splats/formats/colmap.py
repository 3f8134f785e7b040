"""The records of COLMAP's sparse models in their binary form: cameras.bin, images.bin and points3D.bin.

Format: https://colmap.github.io/format.html#binary-file-format (little endian, no padding). Every count is held against
the bytes that are left before anything is read for it. What the records say is for their readers to judge.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from spaceport.splats.formats.cursor import COUNT, Cursor

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
FEWEST_PARAMS: Final = min(params for _, _, params in CAMERA_MODELS.values())

_PARAMS: Final = {number: (name, struct.Struct(f"<{params}d")) for name, (number, _, params) in CAMERA_MODELS.items()}
_CAMERA: Final = struct.Struct("<IiQQ")
_IMAGE: Final = struct.Struct("<I7dI")
_POINT: Final = struct.Struct("<Q3d3BdQ")
_FEATURE_BYTES: Final = 24  # column, row, number of the point
_TRACK_BYTES: Final = 8  # number of the image, which of its features


class CameraRecord(NamedTuple):
    """`model` is a name of `CAMERA_MODELS`; width, height and parameters in pixels."""

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
    rgb: tuple[int, int, int]


def read_cameras(file: Cursor) -> Iterator[CameraRecord]:
    """The records of a `cameras.bin`.

    Raises:
        ValueError: a camera has a model that is not in `CAMERA_MODELS`, or the file is too short or too long; the
            message says which and how.
    """
    for _ in range(file.count(_CAMERA.size + 8 * FEWEST_PARAMS)):
        number, model, width, height = file.take(_CAMERA)
        if model not in _PARAMS:
            raise ValueError(f"camera {number} has a model that is not supported ({model})")
        name, params = _PARAMS[model]
        yield CameraRecord(number, name, width, height, file.take(params))
    file.finish()


def read_images(file: Cursor) -> Iterator[ImageRecord]:
    """The records of an `images.bin`, without their features; raises as `read_cameras` does."""
    for _ in range(file.count(_IMAGE.size + 1 + COUNT.size)):
        number, *pose, camera = file.take(_IMAGE)
        name = file.text()
        file.skip(file.count(_FEATURE_BYTES) * _FEATURE_BYTES)
        yield ImageRecord(number, tuple(pose), camera, name)
    file.finish()


def read_points(file: Cursor) -> Iterator[PointRecord]:
    """The records of a `points3D.bin`, without their tracks; raises as `read_cameras` does."""
    for _ in range(file.count(_POINT.size)):
        number, x, y, z, red, green, blue, _, track = file.take(_POINT)
        file.skip(track * _TRACK_BYTES)
        yield PointRecord(number, (x, y, z), (red, green, blue))
    file.finish()
