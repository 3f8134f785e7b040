"""Similarities between point sets, and points from rays: the mathematics of control points, without COLMAP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MIN_POINTS: Final = 3
MIN_TRI_ANGLE: Final = np.radians(1.0)  # between the rays of a point; below it, depth is a guess
MIN_BREADTH: Final = 0.02  # second axis of the points to their first: a line leaves the rotation about it open


@dataclass(frozen=True, eq=False)
class Similarity:
    """target = scale * rotation @ source + translation; `rotation` [3,3], `translation` [3]."""

    scale: float
    rotation: Array
    translation: Array

    def apply(self, points: Array) -> Array:
        """Map points [N,3]."""
        return np.asarray(self.scale * points @ self.rotation.T + self.translation)


@dataclass(frozen=True, eq=False)
class SimilarityFit:
    """A similarity, and by how much each point misses its target after it [N,3]."""

    similarity: Similarity
    residuals: Array


def triangulate(origins: Array, directions: Array) -> Array | None:
    """The point [3] nearest to all rays; None where they are fewer than two, nearly parallel, or meet behind a camera.

    `origins` [K,3], `directions` [K,3] unit vectors. Minimises the sum of squared distances to the rays (Slabaugh,
    Schafer and Livingston, "Optimal ray intersection", 2001).
    """
    if len(origins) < 2 or _widest_angle(directions) < MIN_TRI_ANGLE:
        return None
    across = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    point = np.linalg.solve(across.sum(axis=0), np.einsum("kij,kj->i", across, origins))
    ahead = np.einsum("kj,kj->k", point - origins, directions)
    return np.asarray(point) if (ahead > 0).all() else None


def fit_similarity(source: Array, target: Array) -> SimilarityFit:
    """The similarity with the least squared distance from `source` to `target`, both [N,3].

    S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 1991.

    Raises:
        ValueError: fewer than three points, or all on one line; the message says so.
    """
    if len(source) < MIN_POINTS:
        raise ValueError(f"only {len(source)} control points are seen by two photos or more; 3 are needed")
    from_mean, to_mean = source.mean(axis=0), target.mean(axis=0)
    from_centred, to_centred = source - from_mean, target - to_mean
    for points in (from_centred, to_centred):
        first, second, _ = np.linalg.svd(points, full_matrices=False)[1]
        if not second > MIN_BREADTH * first:
            raise ValueError("all control points lie in one place or on one line")
    left, sizes, right = np.linalg.svd(to_centred.T @ from_centred / len(source))
    mirror = np.array([1.0, 1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    rotation = (left * mirror) @ right
    scale = float((sizes * mirror).sum() / np.square(from_centred).sum(axis=1).mean())
    similarity = Similarity(scale, rotation, to_mean - scale * rotation @ from_mean)
    return SimilarityFit(similarity, similarity.apply(source) - target)


def _widest_angle(directions: Array) -> float:
    cosines = np.clip(directions @ directions.T, -1.0, 1.0)
    return float(np.arccos(cosines.min()))
