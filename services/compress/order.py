"""The order of Gaussians in the file: neighbours in space become neighbours in the images, which then shrink better."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from services.compress.plas import sort_grid
from services.compress.positions import log_scale
from spaceport.pipeline.progress import Progress
from spaceport.splats.model import Gaussians

Order = Literal["morton", "plas", "given"]
"""morton: along a Z-order curve. plas: a grid as smooth as can be. given: as the Gaussians come."""

SIDE_STEP = 4  # image sides are multiples of it, as other writers have them
POSITION_WEIGHT = 10.0  # of the weights that were tried, the one with which PLAS gives the smallest files


def grid_width(count: int) -> int:
    """Width of the nearly square image that holds `count` Gaussians row by row."""
    return SIDE_STEP * int(np.ceil(np.sqrt(count) / SIDE_STEP))


def arranged(gaussians: Gaussians, q: NDArray[np.uint16], order: Order, seed: int, progress: Progress) -> Gaussians:
    """The Gaussians in the order of the file. `q` [N,3] are their 16-bit log positions."""
    if order == "given":
        return gaussians
    along = gaussians.subset(morton_order(q))
    if order == "morton":
        return along
    found = sort_grid(plas_features(along), grid_width(len(along)), progress, seed=seed)
    return along.subset(found.order)


def plas_features(gaussians: Gaussians) -> NDArray[np.float64]:
    """What PLAS sorts by [N,14]: log positions, log scales, rotation, opacity and colour, all of like spread."""
    sign = np.where(gaussians.quats[:, :1] < 0, -1.0, 1.0)
    parts = (log_scale(gaussians.means), gaussians.scales, gaussians.quats * sign, gaussians.opacities, gaussians.sh0)
    columns = [np.asarray(part, np.float64).reshape(len(gaussians), -1) for part in parts]
    scaled = [(column - column.mean(axis=0)) / (column.std() + 1e-9) for column in columns]
    scaled[0] *= POSITION_WEIGHT
    return np.concatenate(scaled, axis=1)


def morton_order(q: NDArray[np.uint16]) -> NDArray[np.intp]:
    """Sort by Z-order (Morton, 1966) of 16-bit log positions [N,3]. Ties keep their order, so it is deterministic."""
    code = _spread(q[:, 0]) | (_spread(q[:, 1]) << np.uint64(1)) | (_spread(q[:, 2]) << np.uint64(2))
    return np.argsort(code, kind="stable")


def _spread(values: NDArray[np.uint16]) -> NDArray[np.uint64]:
    """Put two zero bits between any two bits."""
    bits = values.astype(np.uint64)
    for shift, mask in ((32, 0x1F00000000FFFF), (16, 0x1F0000FF0000FF), (8, 0x100F00F00F00F00F)):
        bits = (bits | (bits << np.uint64(shift))) & np.uint64(mask)
    bits = (bits | (bits << np.uint64(4))) & np.uint64(0x10C30C30C30C30C3)
    return (bits | (bits << np.uint64(2))) & np.uint64(0x1249249249249249)
