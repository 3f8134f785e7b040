"""A tiny scene with known truth: Gaussians drawn by our own rasteriser from a ring of cameras."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from spaceport.pipeline.options import TrainOptions
from spaceport.splats.cameras import Camera
from spaceport.splats.model import Gaussians
from spaceport.splats.render import render

SIDE, PHOTOS, COUNT = 96, 16, 300
PLACE, SIZE = np.array([500.0, -200.0, 40.0]), 12.0  # far from the origin and metric, as a survey is
OPTIONS = TrainOptions(
    max_iterations=500, max_gaussians=1_000, sh_degree=1, plateau_stop=False, threads=2, device="cpu"
)


@dataclass(frozen=True)
class Truth:
    gaussians: Gaussians
    cameras: list[Camera]
    source: Path


def ball(random: np.random.Generator) -> Gaussians:
    means = random.normal(size=(COUNT, 3))
    means *= random.uniform(0.3, 1, (COUNT, 1)) / np.linalg.norm(means, axis=1, keepdims=True)
    arrays = {
        "means": means * SIZE * 0.3 + PLACE,
        "quats": random.normal(size=(COUNT, 4)),
        "scales": np.log(SIZE * random.uniform(0.02, 0.05, (COUNT, 3))),
        "opacities": random.uniform(1, 4, COUNT),
        "sh0": random.uniform(-1.5, 1.5, (COUNT, 1, 3)),
        "shN": np.zeros((COUNT, 0, 3)),
    }
    floats: dict[str, Any] = {name: array.astype(np.float32) for name, array in arrays.items()}
    return Gaussians(**floats)


def ring(index: int) -> Camera:
    angle, rise = 2 * math.pi * index / PHOTOS, 0.4 * math.sin(3 * index)
    position = PLACE + SIZE * np.array([math.cos(angle), math.sin(angle), rise])
    forward = (PLACE - position) / np.linalg.norm(PLACE - position)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = -pose[:3, :3] @ position
    return Camera(f"{index:02}.png", SIDE, SIDE, 1.2 * SIDE, 1.2 * SIDE, SIDE / 2, SIDE / 2, pose)


def quaternion(rotation: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """wxyz: the eigenvector of Bar-Itzhack's matrix."""
    r = rotation
    matrix = np.array(
        [
            [r[0, 0] + r[1, 1] + r[2, 2], r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 0] - r[1, 1] - r[2, 2], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]],
            [r[0, 2] - r[2, 0], r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], r[1, 2] + r[2, 1]],
            [r[1, 0] - r[0, 1], r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1]],
        ]
    )
    quat: npt.NDArray[np.float64] = np.linalg.eigh(matrix)[1][:, -1]
    return quat


def write_source(folder: Path, truth: Gaussians, cameras: list[Camera]) -> Path:
    dense = folder / "colmap" / "dense"
    (dense / "sparse").mkdir(parents=True)
    (dense / "images").mkdir()
    images = struct.pack("<Q", len(cameras))
    for index, camera in enumerate(cameras):
        picture = (np.clip(render(truth, camera, threads=2), 0, 1) * 255 + 0.5).astype(np.uint8)
        Image.fromarray(picture).save(dense / "images" / camera.name)
        pose = (*quaternion(camera.world_to_camera[:3, :3]), *camera.world_to_camera[:3, 3])
        images += struct.pack("<i7di", index, *pose, 1) + camera.name.encode() + b"\0" + struct.pack("<Q", 0)
    lens = struct.pack("<QiiQQ4d", 1, 1, 1, SIDE, SIDE, cameras[0].fx, cameras[0].fy, cameras[0].cx, cameras[0].cy)
    points = struct.pack("<Q", COUNT)
    for index in range(COUNT):
        grey = np.clip(truth.sh0[index, 0] * 0.28209479 + 0.5, 0, 1) * 255
        points += struct.pack("<Q3d3BdQ", index, *truth.means[index], *(int(value) for value in grey), 0.5, 0)
    for name, content in (("cameras", lens), ("images", images), ("points3D", points)):
        (dense / "sparse" / f"{name}.bin").write_bytes(content)
    return folder


def make_truth(folder: Path) -> Truth:
    gaussians = ball(np.random.default_rng(0))
    cameras = [ring(index) for index in range(PHOTOS)]
    return Truth(gaussians, cameras, write_source(folder, gaussians, cameras))
