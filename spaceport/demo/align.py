"""Align estimated camera positions to the true ones: the similarity of least squared distance.

S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Alignment:
    """true = scale * rotation @ estimated + translation."""

    scale: float
    rotation: Array
    """[3, 3]"""
    translation: Array
    """[3]"""
    residuals: Array
    """[n] distance of each point from its true place after alignment, in true units."""

    def apply(self, points: Array) -> Array:
        """Map points [n, 3] from the estimated to the true frame."""
        return np.asarray(self.scale * points @ self.rotation.T + self.translation)


def align(estimated: Array, true: Array) -> Alignment:
    """The best similarity from `estimated` to `true`, both [n, 3] with rows in the same order.

    Raises:
        ValueError: when fewer than 3 points, unequal shapes, or points on one line leave the rotation open.
    """
    estimated, true = np.asarray(estimated, np.float64), np.asarray(true, np.float64)
    if estimated.shape != true.shape or estimated.ndim != 2 or estimated.shape[1] != 3 or len(true) < 3:
        raise ValueError("alignment needs two equal lists of at least three points")
    from_mean, to_mean = estimated.mean(0), true.mean(0)
    a, b = estimated - from_mean, true - to_mean
    left, sizes, right = np.linalg.svd(b.T @ a / len(a))
    if not np.isfinite(sizes).all() or sizes[1] <= 1e-12 * max(sizes[0], 1e-300):
        raise ValueError("alignment needs points that do not lie on one line")
    mirror = np.array([1.0, 1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    rotation = (left * mirror) @ right
    scale = float((sizes * mirror).sum() / (a**2).sum(1).mean())
    translation = to_mean - scale * rotation @ from_mean
    residuals = np.linalg.norm(scale * estimated @ rotation.T + translation - true, axis=1)
    return Alignment(scale, rotation, translation, residuals)
