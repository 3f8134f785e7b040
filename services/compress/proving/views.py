"""The cameras of the proof: some of the job's own, or a ring of made ones for a model that came without."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spaceport.splats.cameras import Camera, sample_evenly
from spaceport.splats.model import Gaussians

MAX_VIEWS = 8
LONGEST_SIDE = 800
RING_SIZE = (640, 480)
RING_VIEWS = 4
RING_FOCAL = 600.0
RING_ELEVATION = np.radians(35)


def select_cameras(cameras: Sequence[Camera], most: int = MAX_VIEWS, side: int = LONGEST_SIDE) -> list[Camera]:
    """At most `most` cameras, held-out ones first and each kind evenly spread over the flight, no side over `side`."""
    held_out = [camera for camera in cameras if camera.held_out]
    trained = [camera for camera in cameras if not camera.held_out]
    first = sample_evenly(held_out, most)
    selected = first + sample_evenly(trained, most - len(first))
    return [camera.rescale(min(1.0, side / max(camera.width, camera.height))) for camera in selected]


def ring_cameras(gaussians: Gaussians) -> list[Camera]:
    """Cameras around the model's visible bulk, looking at its middle from above the plane it is widest in."""
    low, high = np.quantile(gaussians.means.astype(np.float64), (0.05, 0.95), axis=0)
    centre, spread = (low + high) / 2, np.maximum(high - low, 1e-6)
    up = np.zeros(3)
    up[int(np.argmin(spread))] = -1.0
    side = np.roll(up, 1)
    distance = 1.1 * float(np.linalg.norm(spread))
    directions = [
        np.cos(RING_ELEVATION) * (np.cos(turn) * side + np.sin(turn) * np.cross(up, side)) + np.sin(RING_ELEVATION) * up
        for turn in np.arange(RING_VIEWS) * 2 * np.pi / RING_VIEWS
    ]
    return [
        look_at(centre + d * distance, centre, up, RING_SIZE, RING_FOCAL, f"ring {i}") for i, d in enumerate(directions)
    ]


def look_at(
    position: NDArray[np.float64],
    target: NDArray[np.float64],
    up: NDArray[np.float64],
    size: tuple[int, int],
    focal: float,
    name: str = "",
) -> Camera:
    """A camera at `position` with `target` in its middle; `size` in pixels, and `focal` too.

    It must not look straight along `up`.
    """
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = -pose[:3, :3] @ position
    width, height = size
    return Camera(name, width, height, focal, focal, width / 2, height / 2, pose)
