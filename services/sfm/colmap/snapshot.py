"""A snapshot of the model for drawing it from above: cameras and points as plain numbers, readable without pycolmap."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SNAPSHOT: Final = "snapshot.npz"
MAX_POINTS: Final = 60_000  # a picture of 760 x 760 shows no more


class Snapshot(NamedTuple):
    """Names and centres [N,3] of the registered photos, points [M,3] and their colours [M,3]; units of the model."""

    names: list[str]
    centres: NDArray[np.float64]
    points: NDArray[np.float64]
    colours: NDArray[np.uint8]


def save_snapshot(model: Any, path: Path) -> None:
    """Write the cameras of a `pycolmap.Reconstruction` and at most `MAX_POINTS` of its points, evenly chosen."""
    registered = [image for image in model.images.values() if image.has_pose]
    points = list(model.points3D.values())
    points = points[:: -(-len(points) // MAX_POINTS) or 1]
    np.savez(
        path,
        names=np.array([image.name for image in registered]),
        centres=np.array([image.projection_center() for image in registered], dtype=float).reshape(-1, 3),
        points=np.array([point.xyz for point in points], dtype=float).reshape(-1, 3),
        colours=np.array([point.color for point in points], dtype=np.uint8).reshape(-1, 3),
    )


def load_snapshot(path: Path) -> Snapshot:
    """Read what `save_snapshot` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Snapshot(arrays["names"].tolist(), arrays["centres"], arrays["points"], arrays["colours"])
