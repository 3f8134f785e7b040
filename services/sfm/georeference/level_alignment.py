"""Aligns a model whose up is known: positions decide only about place, scale and north. Pure numpy.

Four degrees of freedom, and a fifth for height. A full similarity takes the tilt from positions too; where they lie
on a line or are bad, it is wrong by any angle, and nothing in the model shows it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.sfm.georeference.similarity import Similarity, SimilarityFit
from services.sfm.georeference.upright import rotation_to_z
from services.sfm.georeference.wgs84 import Array

ComplexArray = NDArray[np.complex128]

MAX_PAIRS: Final = 2_000  # of positions that are tried; more find no better start
ROUNDS: Final = 20


def level_similarity(centres: Array, up: Array, targets: Array, seed: int = 0) -> SimilarityFit:
    """The similarity that takes `centres` [N,3] to `targets`, and the unit vector `up` [3] to z.

    `targets` are metres east, north and up [N,3], or east and north alone [N,2]: heights then begin at the median of
    the centres. A row whose height is NaN counts for east and north. East and north are fitted with Cauchy's weights
    at their median error, from the pair of positions that leaves the smallest median error, so fewer than half of the
    positions may be wild. Height has the same scale, and the median offset.

    Residuals [N,3] of targets without height are 0 upward.

    Raises:
        ValueError: the positions lie in one place.
    """
    level = centres @ rotation_to_z(up).T
    source, target = _complex(level), _complex(targets)
    turn, shift = _fit_robustly(source, target, seed)
    scale = abs(turn)
    cosine, sine = turn.real / scale, turn.imag / scale
    yaw = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    heights = targets[:, 2] - scale * level[:, 2] if targets.shape[1] > 2 else np.full(len(targets), np.nan)
    known = np.isfinite(heights)
    lift = float(np.median(heights[known])) if known.any() else -scale * float(np.median(level[:, 2]))
    similarity = Similarity(scale, yaw @ rotation_to_z(up), np.array([shift.real, shift.imag, lift]))
    residuals = similarity.apply(centres)
    residuals[:, :2] -= targets[:, :2]
    residuals[:, 2] = np.where(known, lift - heights, 0.0)
    return SimilarityFit(similarity, residuals)


def _complex(points: Array) -> ComplexArray:
    """The first two coordinates as complex numbers [N]: a planar similarity is then one product and one sum."""
    return np.asarray(points[:, 0] + 1j * points[:, 1])


def _fit_robustly(
    source: ComplexArray,
    target: ComplexArray,
    seed: int,
) -> tuple[complex, complex]:
    """`turn` and `shift` with target = turn * source + shift, by least median and then reweighted least squares."""
    first, second = _pairs(len(source), seed)
    base, wanted = source[second] - source[first], target[second] - target[first]
    far = np.abs(base) > 1e-9 * max(1e-12, float(np.abs(source - source.mean()).max()))
    if not far.any() or not np.abs(wanted[far]).any():
        raise ValueError("all positions lie in one place")
    turns = wanted[far] / base[far]
    shifts = target[first[far]] - turns * source[first[far]]
    medians = [
        float(np.median(np.abs(turn * source + shift - target))) for turn, shift in zip(turns, shifts, strict=True)
    ]
    best = int(np.argmin(medians))
    turn, shift = complex(turns[best]), complex(shifts[best])
    for _ in range(ROUNDS):
        errors = np.abs(turn * source + shift - target)
        weights = 1 / (1 + np.square(errors / max(1e-9, 2 * float(np.median(errors)))))
        turn, shift = _fit(source, target, weights)
    if not abs(turn) > 0:
        raise ValueError("all positions lie in one place")
    return turn, shift


def _fit(
    source: ComplexArray,
    target: ComplexArray,
    weights: Array,
) -> tuple[complex, complex]:
    """Weighted least squares; Umeyama's similarity in the plane."""
    weights = weights / weights.sum()
    source_mean, target_mean = weights @ source, weights @ target
    moved = source - source_mean
    turn = (weights * moved.conj()) @ (target - target_mean) / (weights @ np.square(np.abs(moved)))
    return complex(turn), complex(target_mean - turn * source_mean)


def _pairs(count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first, second = np.triu_indices(count, 1)
    if len(first) > MAX_PAIRS:
        chosen = np.random.default_rng(seed).choice(len(first), MAX_PAIRS, replace=False)
        first, second = first[chosen], second[chosen]
    return first, second
