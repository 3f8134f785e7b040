"""The similarity from camera centres to positions of which up to four tenths may be wrong. Pure numpy."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.sfm.georeference.similarity import Similarity, umeyama
from services.sfm.georeference.wgs84 import Array

SAMPLE: Final = 3
MAX_SAMPLES: Final = 1_500  # with four tenths wrong, one of five is clean
MAX_RESIDUALS: Final = 200_000  # at once
MIN_AGREEING: Final = 5
ROUNDS: Final = 30
OUTLIER_SIGMAS: Final = 6.0  # of thousands of good positions, none lies so far off
MEDIAN_OF_NORM: Final = {2: 1.1774, 3: 1.5382}  # of the length of a vector of D standard normal numbers

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class RobustFit:
    """A similarity, by how much each point misses its target after it [N,3], and which of them decided [N].

    `sigma` is the standard deviation of good residuals in units of the ones that were expected, at least 1.
    """

    similarity: Similarity
    residuals: Array
    inliers: Mask
    sigma: float


def fit_robust_similarity(source: Array, target: Array, std: Array, seed: int = 0) -> RobustFit:
    """Fit `source` to `target`, both [N,3]; `std` [N,3] is what a coordinate of a target is expected to be off by.

    Least median of squares over samples of three (Rousseeuw 1984), then Umeyama's least squares with Tukey's weights.
    `inliers` are within `OUTLIER_SIGMAS` of the larger of what was expected and what the better half shows.

    Raises:
        ValueError: fewer than three points, or all in one place.
    """
    if len(source) < SAMPLE or not (np.ptp(source, axis=0).any() and np.ptp(target, axis=0).any()):
        raise ValueError("the positions are too few, or all in one place")
    samples = _samples(len(source), seed)
    starts = umeyama(source[samples], target[samples], np.ones((len(samples), SAMPLE)))
    best = int(np.argmin(_middles(starts, source, target, std)))
    linear, shift = starts[0][best], starts[1][best]
    weights_of_std = 1 / np.square(std).mean(axis=1)
    for _ in range(ROUNDS):
        norm = np.linalg.norm((source @ linear.T + shift - target) / std, axis=1)
        ratio = norm / (OUTLIER_SIGMAS * robust_sigma(norm, 3, 7))
        weights = np.square(1 - np.minimum(1, ratio) ** 2) * weights_of_std
        (linear,), (shift,) = umeyama(source[None], target[None], weights[None])
    residuals = source @ linear.T + shift - target
    norm = np.linalg.norm(residuals / std, axis=1)
    sigma = robust_sigma(norm, 3, 7)
    scale = float(np.cbrt(np.linalg.det(linear)))
    return RobustFit(Similarity(scale, linear / scale, shift), residuals, norm <= OUTLIER_SIGMAS * sigma, sigma)


def robust_sigma(norms: Array, dimensions: int, parameters: int) -> float:
    """The standard deviation of a coordinate, at least 1, from the lengths [N] of residuals in expected deviations.

    From their median, enlarged for the parameters that were fitted to them (Rousseeuw and Leroy 1987, chapter 5).
    """
    count = len(norms)
    freedom = max(1.0, dimensions * count - parameters) / (dimensions * count)
    correction = (1 + 5 / max(1, count - parameters / dimensions)) / np.sqrt(freedom)
    return max(1.0, float(correction * _middle(norms) / MEDIAN_OF_NORM[dimensions]))


def _middle(norms: Array) -> Array:
    """The median along the last axis [..., N], of at least `MIN_AGREEING`: three points fit by themselves."""
    place = min(max(norms.shape[-1] // 2, MIN_AGREEING - 1), norms.shape[-1] - 1)
    return np.asarray(np.partition(norms, place, axis=-1)[..., place])


def _middles(starts: tuple[Array, Array], source: Array, target: Array, std: Array) -> Array:
    """The median residual in expected deviations after each of the similarities [K], few at once to save memory."""
    portion = max(1, MAX_RESIDUALS // len(source))
    middles = []
    for begin in range(0, len(starts[0]), portion):
        linear, shift = (part[begin : begin + portion] for part in starts)
        moved = np.einsum("kij,nj->kni", linear, source) + shift[:, None]
        middles.append(_middle(np.linalg.norm((moved - target) / std, axis=2)))
    return np.concatenate(middles)


def _samples(count: int, seed: int) -> NDArray[np.int64]:
    """Samples of three different numbers below `count` [K,3]: all of them, or as many as are tried."""
    if comb(count, SAMPLE) <= MAX_SAMPLES:
        return np.array(list(combinations(range(count), SAMPLE)))
    drawn = np.random.default_rng(seed).integers(0, count, (2 * MAX_SAMPLES, SAMPLE))
    different = (drawn[:, 0] != drawn[:, 1]) & (drawn[:, 0] != drawn[:, 2]) & (drawn[:, 1] != drawn[:, 2])
    return np.asarray(drawn[different][:MAX_SAMPLES])
