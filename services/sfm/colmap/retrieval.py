"""Image retrieval: which photos look alike, by one VLAD descriptor for each, whose vocabulary is the set's own.

VLAD: Jégou, Douze, Schmid and Pérez, "Aggregating local descriptors into a compact image representation" (CVPR 2010),
with the signed square root and the normalisation within each centre of Arandjelović and Zisserman (CVPR 2013).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

CENTRES: Final = 32
ROUNDS: Final = 8
SAMPLE: Final = 40_000  # descriptors that the centres are fitted to
PER_PHOTO: Final = 1000  # descriptors aggregated: more tell little more about what is alike
BLOCK: Final = 256  # photos compared with all others at once: bounds the memory

Descriptors = NDArray[np.float32]
ReadDescriptors = Callable[[int], NDArray[np.uint8]]


def global_descriptors(read: ReadDescriptors, total: int, seed: int) -> Descriptors:
    """[total, CENTRES * 128] of unit length, or zero for a photo without features.

    `read` returns the SIFT descriptors [n, 128] of a photo by its number; one photo's at a time is held in memory.
    """
    random = np.random.default_rng(seed)
    share = max(1, SAMPLE // max(1, total))
    centres = _fit_centres(np.concatenate([_sample(read(number), share, random) for number in range(total)]), random)
    return np.stack([_aggregate(_sample(read(number), PER_PHOTO, random), centres) for number in range(total)])


def most_similar_pairs(descriptors: Descriptors, count: int) -> NDArray[np.int64]:
    """Pairs [M,2]: each photo with the `count` others that are most like it."""
    total = len(descriptors)
    pairs = [np.empty((0, 2), np.int64)]
    for begin in range(0, total, BLOCK):
        similarity = descriptors[begin : begin + BLOCK] @ descriptors.T
        rows = np.arange(len(similarity))
        similarity[rows, begin + rows] = -np.inf
        best = np.argsort(-similarity, axis=1, kind="stable")[:, : min(count, total - 1)]
        pairs.append(np.stack([np.repeat(begin + rows, best.shape[1]), best.ravel()], axis=1))
    return np.concatenate(pairs)


def _sample(descriptors: NDArray[np.uint8], count: int, random: np.random.Generator) -> Descriptors:
    if len(descriptors) > count:
        descriptors = descriptors[random.choice(len(descriptors), count, replace=False)]
    return (descriptors / 512).astype(np.float32)  # COLMAP's bytes are 512 times a vector of unit length


def _fit_centres(sample: Descriptors, random: np.random.Generator) -> Descriptors:
    """k-means (Lloyd 1982) from random members; a centre that is nearest to none stays where it is."""
    if len(sample) < CENTRES:
        return np.zeros((CENTRES, 128), np.float32)
    centres = sample[random.choice(len(sample), CENTRES, replace=False)]
    for _ in range(ROUNDS):
        nearest = _nearest(sample, centres)
        for number in range(CENTRES):
            if (nearest == number).any():
                centres[number] = sample[nearest == number].mean(axis=0)
    return centres


def _nearest(descriptors: Descriptors, centres: Descriptors) -> NDArray[np.int64]:
    return np.asarray(np.argmin((centres**2).sum(axis=1) - 2 * descriptors @ centres.T, axis=1))


def _aggregate(descriptors: Descriptors, centres: Descriptors) -> Descriptors:
    residuals = np.zeros_like(centres)
    nearest = _nearest(descriptors, centres)
    np.add.at(residuals, nearest, descriptors - centres[nearest])
    residuals = np.sign(residuals) * np.sqrt(np.abs(residuals))
    residuals /= np.maximum(np.linalg.norm(residuals, axis=1, keepdims=True), 1e-12)
    flat = residuals.ravel()
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-12), np.float32)
