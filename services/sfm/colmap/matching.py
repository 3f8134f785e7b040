"""Which photos are compared with which: all, neighbours on the ground, neighbours in time, or those that look alike."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.sfm.colmap.policy import Method
from services.sfm.colmap.retrieval import Vectors, alike

Pairs = NDArray[np.int32]
Numbers = NDArray[np.int64]

CLOSEST: Final = 6
SECTORS: Final = 6
PER_SECTOR: Final = 2
OVERLAP: Final = 8
ALIKE: Final = 12
ALIKE_WITHOUT_ORDER: Final = 20
TILE: Final = 12
CHUNK: Final = 72


def pairs_for(method: Method, ground: NDArray[np.float64], vectors: Vectors | None = None) -> Pairs:
    """Pairs i < j of photo numbers [M,2], each once.

    `ground` [N,2]: metres, NaN where the position is unknown; `vectors` [N,D] of what they show, for sequential and
    retrieval. But for exhaustive, the number of pairs grows with N, not with its square.
    """
    total = len(ground)
    if method == "exhaustive":
        return _unique(np.stack(np.triu_indices(total, k=1), axis=1))
    if method == "spatial":
        lost = np.flatnonzero(np.isnan(ground).any(axis=1))
        return _unique(np.concatenate([_around(ground), _in_order(total, only=lost)]))
    if vectors is None:
        raise ValueError(f"{method} needs vectors")
    if method == "sequential":
        return _unique(np.concatenate([_in_order(total), alike(vectors, ALIKE)]))
    return _unique(alike(vectors, ALIKE_WITHOUT_ORDER))


def beyond(pairs: Pairs, known: Pairs) -> Pairs:
    """The pairs that are not among `known`."""
    seen = {(int(first), int(second)) for first, second in known}
    new = np.array([(int(first), int(second)) not in seen for first, second in pairs], dtype=bool)
    return np.asarray(pairs[new], np.int32)


def chunks(pairs: Pairs, size: int = CHUNK) -> list[Pairs]:
    """The pairs in portions of about `size`, each of few photos: every photo of a portion is indexed anew."""
    tiles = pairs // TILE
    order = np.lexsort((pairs[:, 1], pairs[:, 0], tiles[:, 1], tiles[:, 0]))
    cuts = [*range(0, len(pairs), size), len(pairs)]
    return [pairs[order[begin:end]] for begin, end in pairwise(cuts) if end > begin]


def _around(ground: NDArray[np.float64]) -> Numbers:
    """Each located photo with its closest ones, and with the closest in each direction.

    Where photos follow each other densely along a line, the closest are all of that line; the directions tie the lines
    together. Heights play no part: they differ little and mislead on slopes.
    """
    known = np.flatnonzero(~np.isnan(ground).any(axis=1))
    places, found = ground[known], [np.empty((0, 2), np.int64)]
    for index, number in enumerate(known):
        away = places - places[index]
        order = np.argsort((away**2).sum(axis=1), kind="stable")
        order = order[order != index]
        sector = ((np.arctan2(away[order, 1], away[order, 0]) / (2 * np.pi) + 0.5) * SECTORS).astype(int) % SECTORS
        ranks = np.array([np.cumsum(sector == each) for each in range(SECTORS)])[sector, np.arange(len(order))]
        near = known[order[(np.arange(len(order)) < CLOSEST) | (ranks <= PER_SECTOR)]]
        found.append(np.stack([np.full(len(near), number), near], axis=1))
    return np.concatenate(found)


def _in_order(total: int, only: Numbers | None = None) -> Numbers:
    """Each photo with the OVERLAP next ones, and with ones 16, 32, 64… further, as loops of a flight come back."""
    numbers = np.arange(total)
    steps = [*range(1, OVERLAP + 1), *(2**k for k in range(4, 12))]
    found = [np.stack([numbers[:-step], numbers[step:]], axis=1) for step in steps if step < total]
    pairs = np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64)
    return np.asarray(pairs if only is None else pairs[np.isin(pairs, only).any(axis=1)])


def _unique(pairs: Numbers) -> Pairs:
    pairs = np.sort(pairs, axis=1)
    return np.asarray(np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0), np.int32)
