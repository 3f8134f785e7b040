"""Reads COLMAP's sparse model as `image_undistorter` writes it, and validates it."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from spaceport.pipeline.file_names import relative_path
from spaceport.pipeline.text import visible
from spaceport.splats.formats.colmap import read_cameras, read_images, read_points
from spaceport.splats.formats.cursor import Cursor

Floats = npt.NDArray[np.float64]

MAX_FILE_BYTES: Final = 2 << 30
MAX_SIDE: Final = 1 << 16
MAX_SHOWN: Final = 80  # letters of a name in a sentence
_PINHOLES: Final = ("SIMPLE_PINHOLE", "PINHOLE")


@dataclass(frozen=True)
class PinholeCamera:
    """Intrinsics in pixels; the centre of the first pixel is (0.5, 0.5)."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float


@dataclass(frozen=True)
class PosedImage:
    """One registered photo. `world_to_camera` [4,4]: x right, y down, z forward."""

    name: str
    camera: PinholeCamera
    world_to_camera: Floats


@dataclass(frozen=True)
class SparseModel:
    """Registered photos in name order, and the points: `xyz` [P,3] float64, `rgb` [P,3] uint8."""

    images: list[PosedImage]
    xyz: Floats
    rgb: npt.NDArray[np.uint8]


def read_sparse_model(folder: Path) -> SparseModel:
    """Read `cameras.bin`, `images.bin` and `points3D.bin` of a folder.

    Raises:
        ValueError: a file is missing, truncated, not finite, or holds a camera that is not PINHOLE or SIMPLE_PINHOLE.
    """
    cameras = _read_cameras(folder / "cameras.bin")
    images = sorted(_read_images(folder / "images.bin", cameras), key=lambda image: image.name)
    xyz, rgb = _read_points(folder / "points3D.bin")
    return SparseModel(images, xyz, rgb)


def _read_cameras(path: Path) -> dict[int, PinholeCamera]:
    cameras: dict[int, PinholeCamera] = {}
    for number, model, width, height, values in read_cameras(Cursor(path, MAX_FILE_BYTES)):
        if model not in _PINHOLES:
            raise ValueError(f"camera {number} has model {model}; only undistorted pinhole cameras are trained on")
        fx, fy, cx, cy = values if model == "PINHOLE" else (values[0], *values)
        if not (np.isfinite(values).all() and fx > 0 and fy > 0 and 0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise ValueError(f"camera {number} has impossible values")
        cameras[number] = PinholeCamera(width, height, fx, fy, cx, cy)
    return cameras


def _read_images(path: Path, cameras: dict[int, PinholeCamera]) -> list[PosedImage]:
    images: dict[str, PosedImage] = {}
    for image in read_images(Cursor(path, MAX_FILE_BYTES)):
        name = _safe_name(image.name)
        if image.camera not in cameras:
            raise ValueError(f"photo {name} has an unknown camera")
        if name in images:
            raise ValueError(f"photo {name} is listed twice")
        images[name] = PosedImage(name, cameras[image.camera], _pose(np.array(image.pose), name))
    return list(images.values())


def _safe_name(name: str) -> str:
    """The name as a path within the folder of photos."""
    try:
        return relative_path(name)
    except ValueError:
        raise ValueError(f"images.bin holds an unsafe photo name ({visible(name, MAX_SHOWN)})") from None


def _pose(values: Floats, name: str) -> Floats:
    """[4,4] from a quaternion wxyz and a translation."""
    norm = float(np.linalg.norm(values[:4]))
    if not np.isfinite(values).all() or not 0.5 < norm < 2:
        raise ValueError(f"the pose of photo {name} is not a rigid motion")
    w, x, y, z = values[:4] / norm
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = values[4:]
    return matrix


def _read_points(path: Path) -> tuple[Floats, npt.NDArray[np.uint8]]:
    positions = array("d")
    colours = array("B")
    for point in read_points(Cursor(path, MAX_FILE_BYTES)):
        positions.extend(point.xyz)
        colours.extend(point.rgb)
    xyz = np.frombuffer(positions).reshape(-1, 3)
    if not np.isfinite(xyz).all():
        raise ValueError("points3D.bin holds points that are not finite")
    return xyz, np.frombuffer(colours, np.uint8).reshape(-1, 3)
