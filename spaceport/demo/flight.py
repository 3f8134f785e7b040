"""The flight over the hamlet: an orbit that looks in from the side, then a grid of lines that looks straight down.

Metres, east-north-up around the origin, which lies on the ground; cameras have OpenCV axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from spaceport.demo.lens import Lens
from spaceport.demo.solids import Array

ALTITUDE: Final = 40.0
FORWARD_OVERLAP: Final = 0.77
SIDE_OVERLAP: Final = 0.67
ORBIT_SHARE: Final = 0.4
ORBIT_RADIUS: Final = 30.0
ORBIT_ALTITUDE: Final = 37.0
HAMLET: Final = (3.0, -3.0)
"""What the flight is flown around: metres east and north."""
Spot = tuple[float, float]
START: Final = datetime(2026, 6, 12, 15, 30, 0)


@dataclass(frozen=True, eq=False)
class Shot:
    """Where one photo is taken from, and when."""

    name: str
    world_to_camera: Array
    """[4, 4]"""
    time: datetime


def plan_flight(photos: int, lens: Lens, seed: int, around: Spot = HAMLET) -> list[Shot]:
    """A flight of so many photos with the overlaps above; wind moves and tilts the drone a little, by `seed`."""
    random = np.random.default_rng([seed, 1])
    orbit = round(ORBIT_SHARE * photos)
    poses = _orbit(orbit, around, random) + _grid(photos - orbit, around, lens, random)
    gaps = np.cumsum(random.integers(3, 6, photos))
    return [
        Shot(f"SPACE_{index + 1:04d}.JPG", pose, START + timedelta(seconds=int(gap)))
        for index, (pose, gap) in enumerate(zip(poses, gaps, strict=True))
    ]


def _orbit(count: int, around: Spot, random: np.random.Generator) -> list[Array]:
    target = np.array([*around, 1.5])
    poses = []
    for turn in range(count):
        angle = math.tau * turn / count + 0.3
        flat = np.array([ORBIT_RADIUS * math.cos(angle), ORBIT_RADIUS * math.sin(angle)])
        position = np.array([*(flat + around), ORBIT_ALTITUDE]) + random.normal(0, (0.4, 0.4, 0.3))
        poses.append(look_along(position, target - position, np.array([0.0, 0.0, 1.0]), random))
    return poses


def _grid(count: int, around: Spot, lens: Lens, random: np.random.Generator) -> list[Array]:
    """Lines to and fro along north, as even as `count` allows and about as long as the grid is wide."""
    step = (1 - FORWARD_OVERLAP) * ALTITUDE * lens.height / lens.focal
    pitch = (1 - SIDE_OVERLAP) * ALTITUDE * lens.width / lens.focal
    lines = max(1, round(math.sqrt(count * step / pitch)))
    poses = []
    for line, members in enumerate(np.array_split(np.arange(count), lines)):
        heading = 1.0 if line % 2 == 0 else -1.0
        for k in range(len(members)):
            east = around[0] + (line - (lines - 1) / 2) * pitch
            north = around[1] + heading * (k - (len(members) - 1) / 2) * step
            position = np.array([east, north, ALTITUDE]) + random.normal(0, (0.4, 0.4, 0.3))
            poses.append(look_along(position, np.array([0.0, 0.0, -1.0]), np.array([0.0, heading, 0.0]), random))
    return poses


def look_along(position: Array, forward: Array, up: Array, random: np.random.Generator) -> Array:
    """[4, 4] from the world to a camera at `position` that looks along `forward`, shaken by about a degree."""
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    rotation = _shake(random) @ np.array([right, np.cross(forward, right), forward])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ position
    return pose


def _shake(random: np.random.Generator) -> Array:
    """A small rotation: Rodrigues' formula for a random axis and angle."""
    x, y, z = random.normal(0, np.radians((0.9, 0.9, 1.5)))
    angle = math.sqrt(x * x + y * y + z * z) + 1e-12
    k = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]]) / angle
    return np.asarray(np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * k @ k)
