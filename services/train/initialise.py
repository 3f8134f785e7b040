"""The first Gaussians: one isotropic, half-transparent Gaussian for each point."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from services.train.rasterisers.protocol import Tensors
from spaceport.splats.sh import SHN_SIZES, from_rgb

OPACITY: Final = 0.5
NEIGHBOURS: Final = 3
RADIUS_PER_DISTANCE: Final = 0.7
"""First scale, as a part of the mean distance to the three nearest points."""
LEAF_SIZE: Final = 512
"""Neighbours are searched among this many points that are close together."""
DISTANCE_LIMITS: Final = (0.05, 8.0)
"""Distances are clipped to these multiples of their median: duplicates and outliers would make absurd sizes."""


def gaussians_from_points(
    xyz: npt.NDArray[np.float64], rgb: npt.NDArray[np.uint8], sh_degree: int, device: torch.device
) -> Tensors:
    """Parameters for points [P,3] in the training frame with colours [P,3]."""
    count = len(xyz)
    radii = RADIUS_PER_DISTANCE * mean_neighbour_distances(xyz)
    arrays = {
        "means": xyz,
        "quats": np.tile([1.0, 0, 0, 0], (count, 1)),
        "scales": np.log(radii)[:, None].repeat(3, axis=1),
        "opacities": np.full(count, math.log(OPACITY / (1 - OPACITY))),
        "sh0": from_rgb(rgb / 255.0)[:, None, :],
        "shN": np.zeros((count, SHN_SIZES[sh_degree], 3)),
    }
    return {name: torch.tensor(value, dtype=torch.float32, device=device) for name, value in arrays.items()}


def mean_neighbour_distances(xyz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean distance [P] of each point to its three nearest, searched within leaves of a k-d tree.

    A point at a leaf's edge may miss a nearer one beyond it; a first size needs no better. O(P) memory and time.
    """
    distances = np.empty(len(xyz))
    for leaf in _kd_tree_leaves(xyz):
        squares = ((xyz[leaf, None] - xyz[None, leaf]) ** 2).sum(2)
        np.fill_diagonal(squares, np.inf)
        nearest = min(NEIGHBOURS, len(leaf) - 1)
        distances[leaf] = np.sqrt(np.partition(squares, nearest - 1, axis=1)[:, :nearest]).mean(1) if nearest else 1.0
    median = float(np.median(distances)) or 1.0
    clipped: npt.NDArray[np.float64] = np.clip(distances, DISTANCE_LIMITS[0] * median, DISTANCE_LIMITS[1] * median)
    return clipped


def _kd_tree_leaves(xyz: npt.NDArray[np.float64]) -> list[npt.NDArray[np.intp]]:
    """Split at the median of the widest axis until a group is small: the leaves of a k-d tree."""
    leaves = []
    open_groups = [np.arange(len(xyz))]
    while open_groups:
        group = open_groups.pop()
        if len(group) <= LEAF_SIZE:
            leaves.append(group)
            continue
        axis = int(np.ptp(xyz[group], axis=0).argmax())
        order = group[np.argpartition(xyz[group, axis], len(group) // 2)]
        open_groups += [order[: len(group) // 2], order[len(group) // 2 :]]
    return leaves
