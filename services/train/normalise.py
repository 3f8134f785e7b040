"""Normalisation of world space: the frame that is trained in, centred on the cameras and divided by the scene's extent.

As in gsplat's `datasets/normalize.py`, but without a rotation: so SH coefficients and quaternions mean the same in both
frames, and the exported model is metric and lies exactly where the reconstruction does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from spaceport.splats.cameras import Camera
from spaceport.splats.frame import Z_UP
from spaceport.splats.model import Gaussians

EXTENT_MARGIN: Final = 1.1
"""The extent reaches this much beyond the farthest camera, as in 3DGS."""
MIN_EXTENT_PER_DEPTH: Final = 0.2
"""Cameras that hardly move (a panorama) would make the extent tiny; it is at least this part of the median depth."""


@dataclass(frozen=True)
class SceneTransform:
    """world = centre + extent * training.

    Args:
        centre: [3] float64, world units.
        extent: world units per training unit.
    """

    centre: npt.NDArray[np.float64]
    extent: float

    def transform_points(self, xyz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """World points [N,3] in the training frame."""
        points: npt.NDArray[np.float64] = (xyz - self.centre) / self.extent
        return points

    def transform_camera(self, camera: Camera) -> Camera:
        """The same view of the training frame: same rotation, same pixels."""
        matrix = camera.world_to_camera.copy()
        matrix[:3, 3] = (matrix[:3, :3] @ self.centre + matrix[:3, 3]) / self.extent
        return replace(camera, world_to_camera=matrix)

    def to_world(self, gaussians: Gaussians) -> Gaussians:
        """Trained Gaussians in world units."""
        means = gaussians.means.astype(np.float64) * self.extent + self.centre
        scales = gaussians.scales + np.float32(math.log(self.extent))
        return replace(gaussians, means=means.astype(np.float32), scales=scales, frame=Z_UP)


def transform_from_cameras(cameras: list[Camera], xyz: npt.NDArray[np.float64]) -> SceneTransform:
    """The transform for these cameras and points [P,3] (world units).

    Raises:
        ValueError: cameras and points are all in one place.
    """
    positions = np.stack([camera.position for camera in cameras])
    centre = positions.mean(0)
    radius = float(np.linalg.norm(positions - centre, axis=1).max())
    depth = float(np.median(np.linalg.norm(xyz - centre, axis=1)))
    extent = max(EXTENT_MARGIN * radius, MIN_EXTENT_PER_DEPTH * depth)
    if not (math.isfinite(extent) and extent > 0):
        raise ValueError("cameras and points are all in one place")
    return SceneTransform(centre, extent)
