"""A camera as the flat float32 array that kernels read."""

from __future__ import annotations

import numpy as np

from spaceport.splats.cameras import Camera
from spaceport.splats.model import Floats

ROTATION, SHIFT, FX, FY, CX, CY, WIDTH, HEIGHT = 0, 9, 12, 13, 14, 15, 16, 17
LEFT, RIGHT, TOP, BOTTOM = 18, 19, 20, 21
POSITION = 22
ANTIALIASED = 25
_SIZE = 26

_MARGIN = 0.15  # of the picture's side: how far outside the Jacobian still follows, as gsplat has it


def pack(camera: Camera, antialiased: bool = False) -> Floats:
    """Rotation (9), shift (3), fx, fy, cx, cy, width, height, the clamp of x/z and y/z, the camera's position (3),
    and 1 where opacities make up for the blur."""
    view = np.empty(_SIZE, np.float32)
    pose = camera.world_to_camera
    view[ROTATION:SHIFT] = pose[:3, :3].ravel()
    view[SHIFT:FX] = pose[:3, 3]
    view[FX:LEFT] = camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height
    wide, high = _MARGIN * camera.width / camera.fx, _MARGIN * camera.height / camera.fy
    view[LEFT] = -camera.cx / camera.fx - wide
    view[RIGHT] = (camera.width - camera.cx) / camera.fx + wide
    view[TOP] = -camera.cy / camera.fy - high
    view[BOTTOM] = (camera.height - camera.cy) / camera.fy + high
    view[POSITION:ANTIALIASED] = camera.position
    view[ANTIALIASED] = antialiased
    return view
