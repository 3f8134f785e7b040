"""Pinhole cameras, and `cameras.json`."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spaceport.files import write_atomic

_VERSION = 1
_MAX_FILE = 64 << 20
_MAX_SIDE = 65_536


@dataclass(frozen=True, eq=False)
class Camera:
    """One photo's camera: OpenCV axes (x right, y down, z forward), pixel centres at +0.5.

    Raises:
        ValueError: for sizes, focal lengths or a pose that no camera has.
    """

    name: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    world_to_camera: npt.NDArray[np.float64]
    """[4, 4]: a rotation and a translation, no scale."""
    held_out: bool = False

    def __post_init__(self) -> None:
        pose = np.array(self.world_to_camera, dtype=np.float64)  # our own copy, made read-only
        pose.setflags(write=False)
        object.__setattr__(self, "world_to_camera", pose)
        if not (0 < self.width <= _MAX_SIDE and 0 < self.height <= _MAX_SIDE):
            raise ValueError(f"camera {self.name!r}: size {self.width} x {self.height} cannot be")
        if not (self.fx > 0 and self.fy > 0 and math.isfinite(self.fx + self.fy + self.cx + self.cy)):
            raise ValueError(f"camera {self.name!r}: focal lengths must be positive and all figures finite")
        if pose.shape != (4, 4) or not np.isfinite(pose).all() or not np.allclose(pose[3], (0, 0, 0, 1)):
            raise ValueError(f"camera {self.name!r}: world_to_camera must be a finite 4 x 4 pose")
        if not np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-3):
            raise ValueError(f"camera {self.name!r}: world_to_camera must hold a rotation")

    @property
    def position(self) -> npt.NDArray[np.float64]:
        """[3] centre of projection in world coordinates."""
        position: npt.NDArray[np.float64] = -self.world_to_camera[:3, :3].T @ self.world_to_camera[:3, 3]
        return position

    def project(
        self, points: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Image coordinates u [P] and v [P] in pixels, and depths [P], of world points [P, 3].

        Where the depth is not positive the point is not in front of the camera, and u and v mean nothing.
        """
        x, y, depth = (points @ self.world_to_camera[:3, :3].T + self.world_to_camera[:3, 3]).T
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return self.fx * x / depth + self.cx, self.fy * y / depth + self.cy, depth

    def rescale(self, factor: float) -> Camera:
        """The same view with sides `factor` times as long, rounded to whole pixels, at least 1; K follows."""
        width, height = max(1, round(self.width * factor)), max(1, round(self.height * factor))
        x, y = width / self.width, height / self.height
        return replace(self, width=width, height=height, fx=self.fx * x, fy=self.fy * y, cx=self.cx * x, cy=self.cy * y)


def sample_evenly(cameras: list[Camera], most: int) -> list[Camera]:
    """At most `most` of the cameras, evenly over the list."""
    if len(cameras) <= most:
        return cameras
    return [cameras[round(index * (len(cameras) - 1) / max(1, most - 1))] for index in range(most)]


def write_cameras(path: Path, cameras: list[Camera]) -> None:
    """Write `cameras.json`, at once or not at all."""
    rows = [
        {
            "name": camera.name,
            "width": camera.width,
            "height": camera.height,
            **{key: float(getattr(camera, key)) for key in ("fx", "fy", "cx", "cy")},
            "world_to_camera": camera.world_to_camera.tolist(),
            "held_out": camera.held_out,
        }
        for camera in cameras
    ]
    write_atomic(path, (json.dumps({"version": _VERSION, "cameras": rows}, indent=1, allow_nan=False) + "\n").encode())


def read_cameras(path: Path) -> list[Camera]:
    """Read `cameras.json`.

    Raises:
        ValueError: for a damaged file; the message says what is wrong with it.
        OSError: when the file cannot be read.
    """
    if path.stat().st_size > _MAX_FILE:
        raise ValueError("cameras.json is too large to be one")
    try:
        tree = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ValueError("cameras.json is not JSON") from None
    if not isinstance(tree, dict) or tree.get("version") != _VERSION or not isinstance(tree.get("cameras"), list):
        raise ValueError(f"cameras.json must hold version {_VERSION} and a list of cameras")
    return [_camera(row) for row in tree["cameras"]]


def _camera(row: Any) -> Camera:
    try:
        return Camera(
            name=_of(str, row["name"]),
            width=_of(int, row["width"]),
            height=_of(int, row["height"]),
            fx=float(row["fx"]),
            fy=float(row["fy"]),
            cx=float(row["cx"]),
            cy=float(row["cy"]),
            world_to_camera=np.array(row["world_to_camera"], dtype=np.float64),
            held_out=_of(bool, row.get("held_out", False)),
        )
    except (KeyError, TypeError, AttributeError, OverflowError):
        raise ValueError("cameras.json holds a camera with missing or wrong fields") from None


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind:  # JSON's true is an int to isinstance
        raise TypeError
    return value
