"""A length of the demo's hamlet that is known: across its launch pad; and how to look at its ends in a model of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spaceport.demo.places import PAD, PAD_RADIUS
from spaceport.demo.terrain import height_at, make_terrain
from spaceport.demo.truth import Truth
from spaceport.splats.cameras import Camera

Vector = npt.NDArray[np.float64]

METRES = 2 * (PAD_RADIUS - 1.0)
FIELD = 20.0
"""Degrees."""


def poses_of_ends(truth: Truth, cameras: Path) -> list[dict[str, Any]]:
    """For each end of the length a pose, for `standAt`, in whose middle it is seen.

    One photo shows both. Where in it they are is known from the truth; where the model has it, from `cameras.json` of
    the job, which knows no truth: so what is measured between them depends on the model's own scale.
    """
    showing = [camera for camera in truth.cameras if all(_shows(camera, end) for end in _ends(truth, camera.position))]
    overhead = min(showing, key=lambda camera: np.linalg.norm(camera.position[:2] - PAD))
    placed = next(
        each for each in json.loads(cameras.read_text())["cameras"] if Path(each["name"]).name == overhead.name
    )
    matrix = np.array(placed["world_to_camera"])
    turn, position = matrix[:3, :3], -matrix[:3, :3].T @ matrix[:3, 3]
    poses = []
    for end in _ends(truth, overhead.position):
        seen = overhead.world_to_camera[:3, :3] @ (end - overhead.position)
        poses.append({"position": position.tolist(), "target": (position + turn.T @ seen).tolist(), "fov": FIELD})
    return poses


def _shows(camera: Camera, point: Vector) -> bool:
    """Whether it is in the photo, and not near its rim."""
    across, down, ahead = camera.world_to_camera[:3, :3] @ (point - camera.position)
    x, y = camera.fx * across / ahead + camera.cx, camera.fy * down / ahead + camera.cy
    rim = camera.width / 16
    return bool(ahead > 0 and rim < x < camera.width - rim and rim < y < camera.height - rim)


def _ends(truth: Truth, seen_from: Vector) -> tuple[Vector, Vector]:
    """On either side of what stands on the pad, for whoever sees it from there."""
    ground = height_at(make_terrain(np.array([[*PAD, PAD_RADIUS + 1.0]]), truth.seed), *PAD)
    middle = np.array([*PAD, ground])
    east, north = seen_from[:2] - PAD
    across = np.array([-north, east, 0.0]) / np.hypot(east, north)
    return middle - METRES / 2 * across, middle + METRES / 2 * across
