"""A camera as kernels take it: one float32 array, and the names of its places.

An array and not a NamedTuple of scalars, because then LLVM contracts the sums of `world_to_camera` and of the Jacobian
in another order: renders move by 2e-7, and trainings by more.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from spaceport.splats.cameras import Camera
from spaceport.splats.model import Floats

PackedCamera = Floats
"""[26] gsplat's `viewmats` and `Ks` of one camera, and what follows from them; the names below are its places."""

R00: Final = 0
R01: Final = 1
R02: Final = 2
R10: Final = 3
R11: Final = 4
R12: Final = 5
R20: Final = 6
R21: Final = 7
R22: Final = 8
"""The rotation from world to camera coordinates."""
TX: Final = 9
TY: Final = 10
TZ: Final = 11
"""Its translation."""
FX: Final = 12
FY: Final = 13
CX: Final = 14
CY: Final = 15
"""Focal lengths and principal point in pixels."""
WIDTH: Final = 16
HEIGHT: Final = 17
X_MIN: Final = 18
X_MAX: Final = 19
Y_MIN: Final = 20
Y_MAX: Final = 21
"""The least and the greatest x/z and y/z that the Jacobian is taken at."""
POSITION_X: Final = 22
POSITION_Y: Final = 23
POSITION_Z: Final = 24
"""The centre of projection in world coordinates."""
ANTIALIASED: Final = 25
"""1 where opacities compensate the blur of the projection, else 0."""
_SIZE: Final = 26

_MARGIN = 0.15  # of the picture's side: how far outside of it the Jacobian still follows the mean, as in gsplat


def pack_camera(camera: Camera, antialiased: bool = False) -> PackedCamera:
    """The camera for kernels. Focal lengths, principal point and sizes are in pixels."""
    packed = np.empty(_SIZE, np.float32)
    pose = camera.world_to_camera
    packed[R00:TX] = pose[:3, :3].ravel()
    packed[TX:FX] = pose[:3, 3]
    packed[FX:X_MIN] = camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height
    margin_x, margin_y = _MARGIN * camera.width / camera.fx, _MARGIN * camera.height / camera.fy
    packed[X_MIN] = -camera.cx / camera.fx - margin_x
    packed[X_MAX] = (camera.width - camera.cx) / camera.fx + margin_x
    packed[Y_MIN] = -camera.cy / camera.fy - margin_y
    packed[Y_MAX] = (camera.height - camera.cy) / camera.fy + margin_y
    packed[POSITION_X:ANTIALIASED] = camera.position
    packed[ANTIALIASED] = antialiased
    return packed
