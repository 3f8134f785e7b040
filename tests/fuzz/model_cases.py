"""Makes COLMAP models of known cameras and writes them as COLMAP does, binary and text, right or wrong on purpose."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaceport.splats.cameras import Camera
from spaceport.splats.formats.colmap import CAMERA_MODELS

Array = NDArray[np.float64]
NOWHERE = 2**64 - 1


@dataclass
class ModelCamera:
    number: int = 1
    model: str = "PINHOLE"
    width: int = 640
    height: int = 480
    params: list[float] = field(default_factory=lambda: [500.0, 500.0, 320.0, 240.0])


@dataclass
class ModelImage:
    """`features` are column, row and the point's number, or NOWHERE."""

    number: int
    name: str
    pose: list[float] = field(default_factory=lambda: [1.0, 0, 0, 0, 0, 0, 0])
    camera: int = 1
    features: list[tuple[float, float, int]] = field(default_factory=list)


@dataclass
class ModelPoint:
    """`track` are the image's number and the feature's place in its list."""

    number: int
    xyz: tuple[float, float, float]
    rgb: tuple[int, int, int] = (10, 20, 30)
    track: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class ColmapModel:
    cameras: list[ModelCamera]
    images: list[ModelImage]
    points: list[ModelPoint]

    def parts(self, suffix: str) -> dict[str, bytes]:
        """The three files by name."""
        made = (self.binary if suffix == ".bin" else self.text)()
        return {f"{part}{suffix}": body for part, body in zip(("cameras", "images", "points3D"), made, strict=True)}

    def write(self, folder: Path, suffix: str) -> dict[str, Path]:
        """Write the files into `folder`; returns their paths by part."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, body in self.parts(suffix).items():
            (folder / name).write_bytes(body)
        return {part: folder / f"{part}{suffix}" for part in ("cameras", "images", "points3D")}

    def binary(self) -> tuple[bytes, bytes, bytes]:
        cameras = [
            struct.pack("<IiQQ", each.number, CAMERA_MODELS[each.model][0], each.width, each.height)
            + np.array(each.params).tobytes()
            for each in self.cameras
        ]
        images = [
            struct.pack("<I7dI", each.number, *each.pose, each.camera)
            + each.name.encode()
            + b"\0"
            + struct.pack("<Q", len(each.features))
            + b"".join(struct.pack("<2dQ", *feature) for feature in each.features)
            for each in self.images
        ]
        points = [
            struct.pack("<Q3d3BdQ", each.number, *each.xyz, *each.rgb, 0.0, len(each.track))
            + b"".join(struct.pack("<2I", *seen) for seen in each.track)
            for each in self.points
        ]
        return _counted(cameras), _counted(images), _counted(points)

    def text(self) -> tuple[bytes, bytes, bytes]:
        cameras = [[each.number, each.model, each.width, each.height, *each.params] for each in self.cameras]
        images = [
            row
            for each in self.images
            for row in (
                [each.number, *each.pose, each.camera, each.name],
                [value for x, y, point in each.features for value in (x, y, -1 if point == NOWHERE else point)],
            )
        ]
        points = [
            [each.number, *each.xyz, *each.rgb, 0.0, *(value for seen in each.track for value in seen)]
            for each in self.points
        ]
        return _lines(cameras), _lines(images), _lines(points)


def model_of(cameras: Sequence[Camera], names: Sequence[str], xyz: Array) -> ColmapModel:
    """A model of pinhole cameras that see the points [P,3] wherever they fall into their pictures."""
    points = [ModelPoint(number, (x, y, z)) for number, (x, y, z) in enumerate(xyz.tolist(), start=1)]
    model = ColmapModel([], [], points)
    for number, (camera, name) in enumerate(zip(cameras, names, strict=True), start=1):
        params = [camera.fx, camera.fy, camera.cx, camera.cy]
        model.cameras.append(ModelCamera(number, "PINHOLE", camera.width, camera.height, params))
        rotation, shift = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
        image = ModelImage(number, name, [*_quaternion(rotation), *shift.tolist()], number)
        model.images.append(image)
        for point, (x, y, z) in zip(points, (xyz @ rotation.T + shift).tolist(), strict=True):
            column, row = camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy
            if z > 0 and 0 < column < camera.width and 0 < row < camera.height:
                point.track.append((number, len(image.features)))
                image.features.append((column, row, point.number))
    return model


def _quaternion(rotation: Array) -> list[float]:
    """Wxyz of a rotation matrix: the eigenvector of Bar-Itzhack's symmetric matrix (2000)."""
    m = rotation
    symmetric = np.array(
        [
            [m[0, 0] + m[1, 1] + m[2, 2], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
            [0, m[0, 0] - m[1, 1] - m[2, 2], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]],
            [0, 0, m[1, 1] - m[0, 0] - m[2, 2], m[1, 2] + m[2, 1]],
            [0, 0, 0, m[2, 2] - m[0, 0] - m[1, 1]],
        ]
    )
    eigenvector: list[float] = np.linalg.eigh(symmetric, UPLO="U")[1][:, -1].tolist()
    return eigenvector


def _counted(records: list[bytes]) -> bytes:
    return struct.pack("<Q", len(records)) + b"".join(records)


def _lines(rows: list[list[Any]]) -> bytes:
    return "".join(" ".join(map(str, row)) + "\n" for row in [["#", "made", "by", "a", "test"], *rows]).encode()
