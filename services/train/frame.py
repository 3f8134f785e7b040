"""The frame that training works in: moved to the cameras' centre and divided by the scene's extent.

Only a shift and one factor, no rotation: so SH coefficients and quaternions mean the same in both frames, and the
exported model is metric and placed exactly as the reconstruction was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from spaceport.splats.cameras import Camera
from spaceport.splats.model import Gaussians

MARGIN = 1.1
"""The extent reaches this much beyond the farthest camera, as in 3DGS."""
LEAST_OF_DEPTH = 0.2
"""Cameras that hardly move (a panorama) would make the extent tiny; it is at least this part of the median depth."""


@dataclass(frozen=True)
class Frame:
    """world = centre + extent * training.

    Args:
        centre: [3] float64, world units.
        extent: world units per training unit.
    """

    centre: npt.NDArray[np.float64]
    extent: float

    def points_in(self, xyz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """World points [N,3] in the training frame."""
        inside: npt.NDArray[np.float64] = (xyz - self.centre) / self.extent
        return inside

    def camera_in(self, camera: Camera) -> Camera:
        """The same view of the training frame: same rotation, same pixels."""
        matrix = camera.world_to_camera.copy()
        matrix[:3, 3] = (matrix[:3, :3] @ self.centre + matrix[:3, 3]) / self.extent
        return replace(camera, world_to_camera=matrix)

    def gaussians_out(self, gaussians: Gaussians) -> Gaussians:
        """Trained Gaussians in world units."""
        means = gaussians.means.astype(np.float64) * self.extent + self.centre
        scales = gaussians.scales + np.float32(math.log(self.extent))
        return replace(gaussians, means=means.astype(np.float32), scales=scales)


def choose_frame(cameras: list[Camera], xyz: npt.NDArray[np.float64]) -> Frame:
    """The frame for these cameras and points [P,3] (world units).

    Raises:
        ValueError: cameras and points lie all in one place.
    """
    centres = np.stack([camera.position for camera in cameras])
    centre = centres.mean(0)
    reach = float(np.linalg.norm(centres - centre, axis=1).max())
    depth = float(np.median(np.linalg.norm(xyz - centre, axis=1)))
    extent = max(MARGIN * reach, LEAST_OF_DEPTH * depth)
    if not (math.isfinite(extent) and extent > 0):
        raise ValueError("cameras and points lie all in one place")
    return Frame(centre, extent)
