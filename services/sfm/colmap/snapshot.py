"""What COLMAP's process leaves for the drawing of the top view: cameras and points as plain numbers in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

PLACED: Final = "placed.npz"
MOST_POINTS: Final = 60_000  # a picture of 760 x 760 shows no more


class Placed(NamedTuple):
    """Names and centres [N,3] of the placed photos, points [M,3] and their colours [M,3]; units of the model."""

    names: list[str]
    centres: NDArray[np.float64]
    points: NDArray[np.float64]
    colours: NDArray[np.uint8]


def save_placed(model: Any, path: Path) -> None:
    """Write the cameras of a pycolmap model and an even share of its points."""
    placed = [image for image in model.images.values() if image.has_pose]
    points = list(model.points3D.values())
    points = points[:: -(-len(points) // MOST_POINTS) or 1]
    np.savez(
        path,
        names=np.array([image.name for image in placed]),
        centres=np.array([image.projection_center() for image in placed], dtype=float).reshape(-1, 3),
        points=np.array([point.xyz for point in points], dtype=float).reshape(-1, 3),
        colours=np.array([point.color for point in points], dtype=np.uint8).reshape(-1, 3),
    )


def load_placed(path: Path) -> Placed:
    """Read what `save_placed` wrote."""
    with np.load(path, allow_pickle=False) as held:
        return Placed(held["names"].tolist(), held["centres"], held["points"], held["colours"])
