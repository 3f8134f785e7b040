"""Which photos are compared with which: all, neighbours on the ground, or neighbours in the order of names."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["spatial", "exhaustive", "sequential"]
Pairs = NDArray[np.int32]

LOCATED_SHARE: Final = 0.9  # of the photos must have a position before positions decide
MIN_SPREAD_M: Final = 1.0  # closer together than this, all positions are one and say nothing
EXHAUSTIVE_UP_TO: Final = 150  # 11,175 pairs: five minutes on two cores
NEIGHBOURS: Final = 20  # a grid flown with 80 % overlap has 20 photos that see the same ground
OVERLAP: Final = 10
KEYFRAMES: Final = 50  # compared all with all, to close loops
TILE: Final = 12
CHUNK: Final = 72


def choose(wanted: str, total: int, located: int, spread_m: float) -> Method:
    """The method for `total` photos of which `located` have a position, spread over `spread_m` metres.

    `wanted` is the option: what it names is taken, except spatial without positions.
    """
    has_gps = located >= max(2, LOCATED_SHARE * total) and spread_m >= MIN_SPREAD_M
    if has_gps and wanted in ("auto", "spatial"):
        return "spatial"
    if wanted == "sequential":
        return "sequential"
    return "exhaustive" if wanted == "exhaustive" or total <= EXHAUSTIVE_UP_TO else "sequential"


def pairs_for(method: Method, ground: NDArray[np.float64]) -> Pairs:
    """Pairs i < j of photo numbers [M,2], each once, for photos at `ground` [N,2] in metres (NaN: position unknown)."""
    total = len(ground)
    if method == "exhaustive":
        return _unique(np.stack(np.triu_indices(total, k=1), axis=1))
    if method == "sequential":
        return _unique(np.concatenate([_in_order(np.arange(total)), _keyframes(total)]))
    lost = np.flatnonzero(np.isnan(ground).any(axis=1))
    return _unique(np.concatenate([_nearest(ground), _in_order(np.arange(total), only=lost)]))


def chunks(pairs: Pairs, size: int = CHUNK) -> list[Pairs]:
    """The pairs in portions of about `size`, each of few photos: every photo of a portion is indexed anew."""
    tiles = pairs // TILE
    order = np.lexsort((pairs[:, 1], pairs[:, 0], tiles[:, 1], tiles[:, 0]))
    cuts = [*range(0, len(pairs), size), len(pairs)]
    return [pairs[order[begin:end]] for begin, end in pairwise(cuts) if end > begin]


def _nearest(ground: NDArray[np.float64]) -> Pairs:
    """Each located photo with its nearest ones on the ground plane; heights differ little and mislead on slopes."""
    known = np.flatnonzero(~np.isnan(ground).any(axis=1))
    places, found = ground[known], []
    take = min(NEIGHBOURS + 1, len(known))
    for number, place in zip(known, places, strict=True):
        near = np.argsort(((places - place) ** 2).sum(axis=1), kind="stable")[:take]
        found.append(np.stack([np.full(take, number), known[near]], axis=1))
    return np.concatenate(found) if found else np.empty((0, 2), dtype=np.int32)


def _in_order(numbers: NDArray[np.int64], only: NDArray[np.int64] | None = None) -> Pairs:
    """Each photo with the OVERLAP next ones, and with ones 16, 32, 64… further, as loops of a flight come back."""
    steps = [*range(1, OVERLAP + 1), *(2**k for k in range(4, 12))]
    found = [np.stack([numbers[:-step], numbers[step:]], axis=1) for step in steps if step < len(numbers)]
    pairs = np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64)
    return np.asarray(pairs if only is None else pairs[np.isin(pairs, only).any(axis=1)])


def _keyframes(total: int) -> Pairs:
    frames = np.arange(0, total, max(1, -(-total // KEYFRAMES)))
    first, second = np.triu_indices(len(frames), k=1)
    return np.stack([frames[first], frames[second]], axis=1)


def _unique(pairs: Pairs) -> Pairs:
    pairs = np.sort(pairs, axis=1)
    return np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0).astype(np.int32)
