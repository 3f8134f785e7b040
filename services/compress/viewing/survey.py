"""A survey as its flight needs it: where its cameras are, what each looks at, and which way is up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spaceport.splats.cameras import Camera, sample_evenly
from spaceport.splats.model import Gaussians

Array = NDArray[np.float64]

MAX_CAMERAS: Final = 400
MAX_GAUSSIANS: Final = 20_000
SHOWN_LOGIT: Final = -1.4  # opacity 0.2; fainter ones say little of where surfaces are
FEWEST_IN_VIEW: Final = 10


@dataclass(frozen=True, eq=False)
class Survey:
    """Cameras in the order of the photos, N of them. Coordinates are the model's."""

    positions: Array
    """[N,3]"""
    targets: Array
    """[N,3] the point on each camera's axis that is as far away as what it sees."""
    up: Array
    """[3] unit vector."""

    @property
    def distances(self) -> Array:
        """[N] from each camera to what it looks at."""
        return np.asarray(np.linalg.norm(self.targets - self.positions, axis=1))

    def level(self, vectors: Array) -> Array:
        """[..., 3] without what is along `up`."""
        level: Array = vectors - (vectors @ self.up)[..., None] * self.up
        return level


def make_survey(gaussians: Gaussians, cameras: Sequence[Camera], up: Array) -> Survey:
    """What the cameras look at in a model.

    Args:
        gaussians: the model; not empty.
        cameras: at least one.
        up: unit vector [3].
    """
    selected = sample_evenly(list(cameras), MAX_CAMERAS)
    points = _shown_points(gaussians)
    depths = np.array([_median_depth(points, camera) for camera in selected])
    seen = depths[np.isfinite(depths)]
    depths[~np.isfinite(depths)] = np.median(seen) if len(seen) else _size(points)
    positions = np.array([camera.position for camera in selected])
    axes = np.array([camera.world_to_camera[2, :3] for camera in selected])
    return Survey(positions, positions + depths[:, None] * axes, up)


def up_from_cameras(cameras: Sequence[Camera]) -> Array:
    """The direction [3] at right angles to all cameras' horizontals, on the side that their pictures' tops are on."""
    rights = np.array([camera.world_to_camera[0, :3] for camera in cameras])
    up = np.linalg.eigh(rights.T @ rights)[1][:, 0]
    tops = -sum(camera.world_to_camera[1, :3] + camera.world_to_camera[2, :3] for camera in cameras)
    return np.asarray(up if float(up @ tops) >= 0 else -up)


def _shown_points(gaussians: Gaussians) -> Array:
    """[P,3] a sample of the opaque Gaussians' centres, or of all where none is opaque."""
    shown = np.flatnonzero(gaussians.opacities > SHOWN_LOGIT)
    rows = shown if len(shown) else np.arange(len(gaussians))
    return gaussians.means[rows[:: -(-len(rows) // MAX_GAUSSIANS)]].astype(np.float64)


def _median_depth(points: Array, camera: Camera) -> float:
    """Of what is in the middle half of a camera's picture; NaN where hardly anything is."""
    u, v, depth = camera.project(points)
    middle = (np.abs(u / camera.width - 0.5) < 0.25) & (np.abs(v / camera.height - 0.5) < 0.25)
    inside = depth[middle & (depth > 0)]
    return float(np.median(inside)) if len(inside) >= FEWEST_IN_VIEW else np.nan


def _size(points: Array) -> float:
    low, high = np.quantile(points, (0.05, 0.95), axis=0)
    return max(float(np.linalg.norm(high - low)), 1e-3)
