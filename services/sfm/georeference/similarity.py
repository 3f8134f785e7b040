"""Similarities between point sets, and points from rays: the mathematics of control points, without COLMAP."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MIN_POINTS: Final = 3
MIN_TRI_ANGLE: Final = np.radians(1.0)  # between the rays of a point; below it, depth is a guess
MIN_BREADTH: Final = 0.02  # second axis of the points to their first: a line leaves the rotation about it open
MAX_SAMPLES: Final = 500  # of pairs of rays, or triples of points, that are tried for a consensus
SIGMAS: Final = 3.0  # of the good points' own spread, within which another one is good


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

    @property
    def distances(self) -> Array:
        """[N]"""
        return np.asarray(np.linalg.norm(self.residuals, axis=1))


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


def triangulate_robustly(origins: Array, directions: Array, tolerances: Array) -> tuple[Array, Mask] | None:
    """The point that most rays see, and which of them [K]; None where there is none that more than half of them see.

    `tolerances` [K]: the angle in radians by which a ray may miss the point. The best of all pairs of rays, or of
    `MAX_SAMPLES` of them.
    """
    seen = np.ones(len(origins), dtype=bool)
    point = triangulate(origins, directions)
    if point is not None and _sees(point, origins, directions, tolerances).all():
        return point, seen
    best: Mask = np.zeros(len(origins), dtype=bool)
    for pair in _samples(len(origins), 2):
        guess = triangulate(origins[pair], directions[pair])
        if guess is not None and (seen := _sees(guess, origins, directions, tolerances)).sum() > best.sum():
            best = seen
    point = triangulate(origins[best], directions[best]) if 2 * best.sum() > len(best) else None
    return None if point is None else (point, best)


def fit_similarity_robustly(source: Array, target: Array, tolerances: Array) -> tuple[SimilarityFit, Mask]:
    """The similarity of most points, with the residuals of all [N,3], and which points it was fitted to [N].

    Points within `tolerances` [N] always count as good, and so do those within `SIGMAS` of the spread of most. From
    the triple with the least median residual (Rousseeuw, "Least median of squares regression", 1984). All are taken
    where fewer than four, or no more than half, agree.

    Raises:
        ValueError: as `fit_similarity`.
    """
    everything = np.ones(len(source), dtype=bool)
    fit = fit_similarity(source, target)
    if len(source) == MIN_POINTS or (fit.distances <= tolerances).all():
        return fit, everything
    order = max(len(source) // 2 + 1, MIN_POINTS) - 1
    best, spread = fit, float("inf")
    for triple in _samples(len(source), 3):
        try:
            guess = fit_similarity(source[triple], target[triple]).similarity
        except ValueError:  # on a line
            continue
        trial = SimilarityFit(guess, guess.apply(source) - target)
        if (median := float(np.sort(trial.distances)[order])) < spread:
            best, spread = trial, median
    sigma = 1.4826 * (1 + 5 / max(1, len(source) - MIN_POINTS)) * spread
    good = best.distances <= np.maximum(tolerances, SIGMAS * sigma)
    if good.sum() < MIN_POINTS or 2 * good.sum() <= len(good):
        return fit, everything
    similarity = fit_similarity(source[good], target[good]).similarity
    return SimilarityFit(similarity, similarity.apply(source) - target), good


def fit_similarity(source: Array, target: Array) -> SimilarityFit:
    """The similarity with the least squared distance from `source` to `target`, both [N,3].

    Raises:
        ValueError: fewer than three points, or all on one line; the message says so.
    """
    if len(source) < MIN_POINTS:
        raise ValueError(f"only {len(source)} control points are seen by two photos or more; 3 are needed")
    for points in (source, target):
        first, second, _ = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[1]
        if not second > MIN_BREADTH * first:
            raise ValueError("all control points lie in one place or on one line")
    (linear,), (translation,) = umeyama(source[None], target[None], np.ones((1, len(source))))
    scale = float(np.cbrt(np.linalg.det(linear)))
    similarity = Similarity(scale, linear / scale, translation)
    return SimilarityFit(similarity, similarity.apply(source) - target)


def umeyama(source: Array, target: Array, weights: Array) -> tuple[Array, Array]:
    """Similarities of least squares with weights [K,M], for K point sets [K,M,3] at once.

    Returns scaled rotations [K,3,3] and translations [K,3]. S. Umeyama, "Least-squares estimation of transformation
    parameters between two point patterns", PAMI 1991.
    """
    share = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-300)
    from_mean, to_mean = np.einsum("km,kmi->ki", share, source), np.einsum("km,kmi->ki", share, target)
    moved, wanted = source - from_mean[:, None], target - to_mean[:, None]
    left, sizes, right = np.linalg.svd(np.einsum("km,kmi,kmj->kij", share, wanted, moved))
    mirror = np.ones_like(sizes)
    mirror[:, 2] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    rotation = (left * mirror[:, None]) @ right
    spread = np.einsum("km,kmi->k", share, np.square(moved))
    scale = (sizes * mirror).sum(axis=1) / np.maximum(spread, 1e-300)
    linear = np.maximum(scale, 1e-12)[:, None, None] * rotation
    return linear, to_mean - np.einsum("kij,kj->ki", linear, from_mean)


def _widest_angle(directions: Array) -> float:
    cosines = np.clip(directions @ directions.T, -1.0, 1.0)
    return float(np.arccos(cosines.min()))


def _sees(point: Array, origins: Array, directions: Array, tolerances: Array) -> Mask:
    """Which rays [K] pass the point within their tolerance."""
    towards = point - origins
    along = np.einsum("kj,kj->k", towards, directions)
    across = np.linalg.norm(towards - along[:, None] * directions, axis=1)
    return np.asarray(np.arctan2(across, along) <= tolerances)


def _samples(count: int, size: int) -> list[list[int]]:
    """All subsets of so many of `count` things; `MAX_SAMPLES` random ones where there are more."""
    if comb(count, size) <= MAX_SAMPLES:
        return [list(subset) for subset in combinations(range(count), size)]
    random = np.random.default_rng(0)
    return [random.choice(count, size, replace=False).tolist() for _ in range(MAX_SAMPLES)]
