"""Up from planes: in which the cameras were moved, and in which most points lie."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.sfm.georeference.up.evidence import UpEvidence
from services.sfm.georeference.up.photos import PosedPhotos
from services.sfm.georeference.wgs84 import Array

FLIGHT: Final = "plane of the flight"
GROUND: Final = "plane of the ground"

LEVEL_FLIGHT: Final = np.radians(1.5)
WAVERING: Final = 0.02  # of a flight's length, by which its height wavers at least
GROUND_SLOPE: Final = np.radians(4.0)  # usual
MIN_GROUND_SHARE: Final = 0.2
THICKNESS: Final = 0.03  # of the ground, to the distance of most points from their middle
SAMPLES: Final = 300
ROUNDS: Final = 15
MOSTLY: Final = 0.85


def flight_evidence(photos: PosedPhotos) -> UpEvidence | None:
    """The normal of the plane in which the cameras were moved: flights keep their height, and people their own.

    Not where they climb at a facade, nor where the flight is one line: the rotation about it is open.
    """
    if len(photos.centres) < 4:
        return None
    offsets, weights = photos.centres - np.median(photos.centres, axis=0), np.ones(len(photos.centres))
    for _ in range(ROUNDS):
        moved = offsets - weights @ offsets / weights.sum()
        squares, columns = np.linalg.eigh((weights[:, None] * moved).T @ moved / weights.sum())
        misses = np.abs(moved @ columns[:, 0])
        weights = 1 / (1 + np.square(misses / max(1e-9, 4 * float(np.median(misses)))))
    thickness, second, first = np.sqrt(np.maximum(squares, 0.0))
    if not first > 0:
        return None
    by_chance = thickness * (1 + 2 / np.sqrt(len(offsets)))
    ratios = np.minimum(0.99, max(by_chance, WAVERING * first) / np.array([second, first]).clip(1e-12))
    sigmas = np.hypot(LEVEL_FLIGHT, ratios / (1 - ratios**2) * np.sqrt(1 / len(offsets) + 1 / 4))
    return UpEvidence(FLIGHT, columns[:, 0], columns.T[1:], sigmas, 0.5, signed=False)


def ground_evidence(photos: PosedPhotos, seed: int = 0) -> UpEvidence | None:
    """The normal of the plane in which most points lie, on the side of the cameras; None where there is no such plane.

    By RANSAC, then least squares over its inliers. It may be a slope or a facade.
    """
    points = photos.points
    if len(points) < 20:
        return None
    offsets = points - np.median(points, axis=0)
    extent = float(np.percentile(np.linalg.norm(offsets, axis=1), 70))
    near = np.linalg.norm(offsets, axis=1) < 3 * extent
    fit = _plane(offsets[near], THICKNESS * extent, seed)
    if fit is None:
        return None
    normal, middle, axes, share = fit
    above = (photos.centres - np.median(points, axis=0) - middle) @ normal
    if np.median(above) < 0:
        normal, above = -normal, -above
    reliability = 0.3 + 0.5 * float(np.clip((share - 0.3) / 0.4, 0.0, 1.0))
    signed = bool((above > 0).mean() > MOSTLY)
    return UpEvidence(GROUND, normal, axes, np.full(2, GROUND_SLOPE), reliability, signed)


def _plane(points: Array, thickness: float, seed: int) -> tuple[Array, Array, Array, float] | None:
    """Normal [3], a point of it [3], two axes within it [2,3], and the share of `points` [M,3] that lie in it."""
    corners = points[np.random.default_rng(seed).integers(0, len(points), (SAMPLES, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    usable = lengths > 1e-12
    if not usable.any():
        return None
    normals, corners = normals[usable] / lengths[usable, None], corners[usable]
    heights = points @ normals.T - np.einsum("sj,sj->s", normals, corners[:, 0])
    best = int(np.argmax((np.abs(heights) < thickness).sum(axis=0)))
    inliers = np.abs(heights[:, best]) < thickness
    for _ in range(5):
        middle = points[inliers].mean(axis=0)
        axes = np.linalg.svd(points[inliers] - middle, full_matrices=False)[2]
        inliers = np.abs((points - middle) @ axes[2]) < thickness
        if inliers.sum() < 3:
            return None
    share = float(inliers.mean())
    return (axes[2], middle, axes[:2], share) if share >= MIN_GROUND_SHARE else None
