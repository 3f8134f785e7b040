"""Robust means of directions, and what their scatter says of the mean's uncertainty."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.sfm.georeference.wgs84 import Array

ROUNDS: Final = 15
RAYLEIGH_MEDIAN: Final = 1.1774  # median length of a normal vector in the plane, of standard deviation 1
COMMON_SHARE: Final = 1 / 12
"""Photos of one flight err together: wind, habit, a gimbal's horizon. No mean is better than that of twelve of them."""


def mean_direction(directions: Array) -> tuple[Array, float]:
    """The robust mean [3] of unit vectors [N,3], and their scatter about it in radians on each of two axes.

    Cauchy's weights at the median angle, from the direction that has the smallest median angle to the others; so
    fewer than half of them may be wild.
    """
    starts = directions[:: len(directions) // 200 + 1]
    cosines = np.median(starts @ directions.T, axis=1)
    mean = starts[int(np.argmax(cosines))]
    scatter = 0.0
    for _ in range(ROUNDS):
        angles = np.arccos(np.clip(directions @ mean, -1.0, 1.0))
        scatter = float(np.median(angles)) / RAYLEIGH_MEDIAN
        weights = 1 / (1 + np.square(angles / max(1e-6, 2.4 * scatter)))
        total = weights @ directions
        length = float(np.linalg.norm(total))
        if length < 1e-9:
            break
        mean = total / length
    return mean, scatter


def mean_sigma(scatter: float, count: int, floor: float) -> float:
    """The standard deviation (radians) of a mean of `count` values; `floor` is an error that all of them share."""
    return float(np.sqrt(floor**2 + scatter**2 * (1 / max(1, count) + COMMON_SHARE)))
