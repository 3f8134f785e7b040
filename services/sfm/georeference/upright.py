"""Which way is up in a model without positions, estimated from its cameras. Pure numpy."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.sfm.georeference.wgs84 import Array

SAME_WAY: Final = 0.9  # length of the mean of view directions, from which on all cameras look the same way
FLAT: Final = 0.35  # third to second axis of the camera centres, up to which they lie in a plane
ALONG: Final = 0.8  # cosine between that plane's normal and the view, from which on the view is down on the flight


def estimate_up(rotations: Array, centres: Array) -> Array:
    """The upward direction [3] in the model, of unit length.

    Args:
        rotations: world to camera [N,3,3], OpenCV axes.
        centres: [N,3].

    People and gimbals hold cameras level, so the mean of the pictures' upward axes is up. A camera that looks
    straight down has no such axis: where all look the same way, at right angles to the plane in which they were
    moved, up is where they come from.
    """
    views, tops = rotations[:, 2], -rotations[:, 1]
    mean_view = views.mean(axis=0)
    view_length = float(np.linalg.norm(mean_view))
    if view_length > SAME_WAY and len(centres) >= 3:
        _, lengths, axes = np.linalg.svd(centres - centres.mean(axis=0), full_matrices=False)
        is_flat = lengths[2] <= FLAT * lengths[1]
        if is_flat and abs(float(axes[2] @ mean_view)) / view_length > ALONG:
            return np.asarray(-mean_view / view_length)
    top = tops.mean(axis=0)
    length = float(np.linalg.norm(top))
    return np.asarray(top / length if length > 1 - SAME_WAY else -mean_view / max(view_length, 1e-9))


def rotation_to_z(up: Array) -> Array:
    """The rotation [3,3] that takes the unit vector `up` to +z by the shortest way."""
    z = np.array([0.0, 0.0, 1.0])
    axis, cosine = np.cross(up, z), float(up @ z)
    if cosine < -1 + 1e-9:  # upside down: half a turn about x
        return np.diag([1.0, -1.0, -1.0])
    cross = np.array([[0.0, -axis[2], axis[1]], [axis[2], 0.0, -axis[0]], [-axis[1], axis[0], 0.0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + cosine))
