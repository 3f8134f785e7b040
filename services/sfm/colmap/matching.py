"""Which pairs of photos are matched: all, neighbours on the ground, neighbours in time, or those that look alike."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.sfm.colmap.policy import MatchingMethod
from services.sfm.colmap.retrieval import Descriptors, most_similar_pairs

Pairs = NDArray[np.int32]
Numbers = NDArray[np.int64]

NEAREST: Final = 6
SECTORS: Final = 6
NEAREST_PER_SECTOR: Final = 2
OVERLAP: Final = 8
SIMILAR: Final = 12
SIMILAR_WITHOUT_ORDER: Final = 20
TILE: Final = 12
PORTION: Final = 72


def select_pairs(method: MatchingMethod, ground: NDArray[np.float64], descriptors: Descriptors | None = None) -> Pairs:
    """Pairs i < j of photo numbers [M,2], each once.

    `ground` [N,2]: metres, NaN where the position is unknown; `descriptors` [N,D]: global ones, for sequential and
    retrieval. But for exhaustive, the number of pairs grows with N, not with its square.
    """
    total = len(ground)
    if method == "exhaustive":
        return _unique(np.stack(np.triu_indices(total, k=1), axis=1))
    if method == "spatial":
        not_located = np.flatnonzero(np.isnan(ground).any(axis=1))
        return _unique(np.concatenate([_spatial_pairs(ground), _sequential_pairs(total, only=not_located)]))
    if descriptors is None:
        raise ValueError(f"{method} needs global descriptors")
    if method == "sequential":
        return _unique(np.concatenate([_sequential_pairs(total), most_similar_pairs(descriptors, SIMILAR)]))
    return _unique(most_similar_pairs(descriptors, SIMILAR_WITHOUT_ORDER))


def exclude_pairs(pairs: Pairs, known: Pairs) -> Pairs:
    """The pairs that are not among `known`."""
    seen = {(int(first), int(second)) for first, second in known}
    new = np.array([(int(first), int(second)) not in seen for first, second in pairs], dtype=bool)
    return np.asarray(pairs[new], np.int32)


def split_pairs(pairs: Pairs, size: int = PORTION) -> list[Pairs]:
    """The pairs in portions of about `size`, each of few photos: every photo of a portion is indexed anew."""
    tiles = pairs // TILE
    order = np.lexsort((pairs[:, 1], pairs[:, 0], tiles[:, 1], tiles[:, 0]))
    cuts = [*range(0, len(pairs), size), len(pairs)]
    return [pairs[order[begin:end]] for begin, end in pairwise(cuts) if end > begin]


def _spatial_pairs(ground: NDArray[np.float64]) -> Numbers:
    """Each located photo with its nearest ones, and with the nearest in each direction.

    Where photos follow each other densely along a line, the nearest are all of that line; the directions tie the lines
    together. Heights are not used: they differ little and mislead on slopes.
    """
    located = np.flatnonzero(~np.isnan(ground).any(axis=1))
    points = ground[located]
    pairs = [np.empty((0, 2), np.int64)]
    for index, number in enumerate(located):
        offsets = points - points[index]
        order = np.argsort((offsets**2).sum(axis=1), kind="stable")
        order = order[order != index]
        angle = np.arctan2(offsets[order, 1], offsets[order, 0])
        sector = ((angle / (2 * np.pi) + 0.5) * SECTORS).astype(int) % SECTORS
        ranks = np.array([np.cumsum(sector == each) for each in range(SECTORS)])[sector, np.arange(len(order))]
        near = located[order[(np.arange(len(order)) < NEAREST) | (ranks <= NEAREST_PER_SECTOR)]]
        pairs.append(np.stack([np.full(len(near), number), near], axis=1))
    return np.concatenate(pairs)


def _sequential_pairs(total: int, only: Numbers | None = None) -> Numbers:
    """Each photo with the OVERLAP next ones, and with those 16, 32, 64… further, as loops of a flight come back."""
    numbers = np.arange(total)
    steps = [*range(1, OVERLAP + 1), *(2**k for k in range(4, 12))]
    parts = [np.stack([numbers[:-step], numbers[step:]], axis=1) for step in steps if step < total]
    pairs = np.concatenate(parts) if parts else np.empty((0, 2), dtype=np.int64)
    return np.asarray(pairs if only is None else pairs[np.isin(pairs, only).any(axis=1)])


def _unique(pairs: Numbers) -> Pairs:
    pairs = np.sort(pairs, axis=1)
    return np.asarray(np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0), np.int32)
