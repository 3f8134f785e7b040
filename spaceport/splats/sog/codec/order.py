"""The order of Gaussians in the file: neighbours in space become neighbours in the images, which then shrink better."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spaceport.progress import Progress
from spaceport.splats.model import Floats, Gaussians
from spaceport.splats.scratch import Index
from spaceport.splats.sog.attributes.positions import log_scale
from spaceport.splats.sog.attributes.rows import map_rows
from spaceport.splats.sog.codec.errors import TooMany
from spaceport.splats.sog.codec.walk import nearest_neighbour_walk
from spaceport.splats.sog.plas import sort_grid

Order = Literal["auto", "walk", "morton", "plas", "unchanged"]
"""morton: along a Z-order curve. walk: from like to like in each stretch of the curve. auto: the smaller of the two.
plas: a grid as smooth as can be. unchanged: the order in which the Gaussians come."""

LARGEST_SIDE = 16_383  # pixels of a WebP
SIDE_STEP = 4  # image sides are multiples of it, as other writers make them
# Of the weights that were tried, those that give the smallest files (docs/decisions/0007-order-in-the-file.md).
PLAS_POSITION = 10.0
WALK_POSITION, WALK_COLOUR = 0.2, 1.5  # the former divided by the median step between neighbours on the curve


def grid_width(count: int) -> int:
    """Width of the nearly square image, no higher than wide, that holds `count` Gaussians row by row.

    Raises:
        TooMany: no WebP is that large.
    """
    width = SIDE_STEP * int(np.ceil(np.sqrt(count) / SIDE_STEP))
    if width > LARGEST_SIDE:
        raise TooMany(f"{count:,} Gaussians do not fit into one SOG, whose images have {LARGEST_SIDE:,} pixels a side.")
    return width


def sort_gaussians(
    gaussians: Gaussians, q: NDArray[np.uint16], order: Order, seed: int, progress: Progress
) -> Gaussians:
    """The Gaussians in the order of the file; arguments and errors as of `file_order`."""
    return gaussians.subset(file_order(gaussians, q, order, seed, progress))


def file_order(gaussians: Gaussians, q: NDArray[np.uint16], order: Order, seed: int, progress: Progress) -> Index:
    """Which Gaussian comes where in the file. `q` [N,3] are their 16-bit log positions; higher SH are not looked at.

    Raises:
        TooMany: they do not fit into one file.
    """
    width = grid_width(len(gaussians))
    if order == "unchanged":
        return slice(None)
    curve = morton_order(q)
    if order == "morton":
        return curve
    along = gaussians.without_sh().subset(curve)
    if order == "plas":
        return np.asarray(curve[sort_grid(plas_features(along), width, progress, seed=seed).order])
    features = walk_features(along, q[curve])
    del along
    return np.asarray(curve[nearest_neighbour_walk(features)])


def walk_features(along: Gaussians, q: NDArray[np.uint16]) -> Floats:
    """What a walk measures distance by [N,9]: position, colour and size of Gaussians that are in Z-order."""
    features = np.empty((len(q), 9), np.float32)
    steps = map_rows(_distance, q[:-1], q[1:])
    step = float(np.median(steps)) if len(steps) else 0.0
    features[:, :3] = map_rows(lambda rows: rows * (WALK_POSITION / max(step, 1.0)), q)
    features[:, 3:6] = _standardise(along.sh0[:, 0]) * WALK_COLOUR
    features[:, 6:] = _standardise(along.scales)
    return features


def _distance(a: NDArray[np.uint16], b: NDArray[np.uint16]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(b.astype(np.float64) - a, axis=1))


def plas_features(gaussians: Gaussians) -> NDArray[np.float64]:
    """What PLAS sorts by [N,14]: log positions, log scales, rotation, opacity and colour, all of the same spread."""
    sign = np.where(gaussians.quats[:, :1] < 0, -1.0, 1.0)
    rest = (gaussians.scales, gaussians.quats * sign, gaussians.opacities[:, None], gaussians.sh0[:, 0])
    position = PLAS_POSITION * _standardise(log_scale(gaussians.means))
    return np.concatenate([position, *(_standardise(values) for values in rest)], axis=1)


def _standardise(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Columns [N,D] with mean zero, and a standard deviation of one over all of them. Values are cut at +-1000."""
    columns = values.astype(np.float64)
    np.clip(columns, -1e3, 1e3, out=columns)
    columns -= columns.mean(axis=0)
    columns /= max(float(columns.std()), 1e-9)
    return columns


def morton_order(q: NDArray[np.uint16]) -> NDArray[np.intp]:
    """Sort by Z-order (Morton, 1966) of 16-bit log positions [N,3]. Ties keep their order, so it is deterministic."""
    return np.argsort(map_rows(_morton_code, q), kind="stable")


def _morton_code(q: NDArray[np.uint16]) -> NDArray[np.uint64]:
    x, y, z = (_spread_bits(column) for column in q.T)
    return np.asarray(x | (y << np.uint64(1)) | (z << np.uint64(2)))


def _spread_bits(values: NDArray[np.uint16]) -> NDArray[np.uint64]:
    """Put two zero bits between any two bits."""
    bits = values.astype(np.uint64)
    for shift, mask in ((32, 0x1F00000000FFFF), (16, 0x1F0000FF0000FF), (8, 0x100F00F00F00F00F)):
        bits = (bits | (bits << np.uint64(shift))) & np.uint64(mask)
    bits = (bits | (bits << np.uint64(4))) & np.uint64(0x10C30C30C30C30C3)
    return (bits | (bits << np.uint64(2))) & np.uint64(0x1249249249249249)
