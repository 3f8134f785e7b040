"""A camera as kernels take it: float32 scalars with names."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spaceport.splats.cameras import Camera

_MARGIN = 0.15  # of the picture's side: how far outside of it the Jacobian still follows the mean, as in gsplat

Row = tuple[np.float32, np.float32, np.float32]
Limits = tuple[np.float32, np.float32]


class PackedCamera(NamedTuple):
    """gsplat's `viewmats` and `Ks` of one camera, and what follows from them; all float32."""

    rotation: tuple[Row, Row, Row]
    """Rows of the rotation from world to camera coordinates."""
    translation: Row
    position: Row
    """The centre of projection in world coordinates."""
    fx: np.float32
    fy: np.float32
    cx: np.float32
    cy: np.float32
    width: np.float32
    height: np.float32
    x_limits: Limits
    """The least and the greatest x/z that the Jacobian is taken at."""
    y_limits: Limits
    """The same of y/z."""
    antialiased: bool
    """Whether opacities compensate the blur of the projection."""


def pack_camera(camera: Camera, antialiased: bool = False) -> PackedCamera:
    """The camera for kernels. Focal lengths, principal point and sizes are in pixels."""
    pose = camera.world_to_camera.astype(np.float32)
    margin_x, margin_y = _MARGIN * camera.width / camera.fx, _MARGIN * camera.height / camera.fy
    return PackedCamera(
        rotation=(_row(pose[0, :3]), _row(pose[1, :3]), _row(pose[2, :3])),
        translation=_row(pose[:3, 3]),
        position=_row(camera.position.astype(np.float32)),
        fx=np.float32(camera.fx),
        fy=np.float32(camera.fy),
        cx=np.float32(camera.cx),
        cy=np.float32(camera.cy),
        width=np.float32(camera.width),
        height=np.float32(camera.height),
        x_limits=_limits(-camera.cx / camera.fx - margin_x, (camera.width - camera.cx) / camera.fx + margin_x),
        y_limits=_limits(-camera.cy / camera.fy - margin_y, (camera.height - camera.cy) / camera.fy + margin_y),
        antialiased=antialiased,
    )


def _row(values: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Row:
    x, y, z = values
    return x, y, z


def _limits(least: float, greatest: float) -> Limits:
    return np.float32(least), np.float32(greatest)
