"""Entries for a palette that grows: weighted k-means that can be stopped and gone on with at any size.

Lloyd's k-means (Lloyd, 1982) at one size, then new entries drawn where the weighted error is largest (the D^2 sampling
of k-means++, Arthur and Vassilvitskii, 2007), and again. When one flat search would take too long, features and entries
are cut into coarse groups, and each group goes on by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from spaceport.progress import Progress
from spaceport.simd.jit import kernel
from spaceport.splats.sog.attributes.blocks import by_blocks
from spaceport.splats.sog.palette.kmeans import faiss

START = 256
FLAT_LIMIT = 600_000_000  # Gaussians x entries above which one flat search a round takes too long
GROUPS = 256
SAMPLE = 65536  # Gaussians that the coarse groups are fitted to
GROUPING_ROUNDS = 4
ROUNDS = 2  # at each size, as sizes grow by the root of two
FULL_SPHERE = 4 * np.pi

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


def sizes_up_to(limit: int) -> list[int]:
    """The sizes a palette grows through, each 1.41 times the one before, and `limit` at last."""
    sizes = [round(START * 2 ** (i / 2)) for i in range(17)]
    return [size for size in sizes if size < limit] + [limit] if limit > START else [START]


def colour_error(features: Floats, entries: Floats, labels: Labels, weights: NDArray[np.float64]) -> float:
    """Weighted root mean square error of colour over all directions and channels, in units of full white, of features
    [N,D] stored as those of the entries [K,D] that their labels [N] name."""

    def squared(features: Floats, labels: Labels) -> NDArray[np.float64]:
        return np.asarray(np.square(features - entries[labels]).sum(axis=1, dtype=np.float64))

    squares = by_blocks(squared, features, labels)
    return float(np.sqrt((squares * weights).sum() / weights.sum() / FULL_SPHERE / 3))


class Growth:
    """Entries [K,D] for `features` [N,D] with `weights` [N]; none at first unless `entries` are given.

    The same arguments and calls give the same entries.
    """

    def __init__(
        self,
        features: Floats,
        weights: NDArray[np.float64],
        seed: int,
        progress: Progress,
        entries: Floats | None = None,
    ) -> None:
        self._features, self._weights, self._progress = features, weights, progress
        self._random = np.random.default_rng(seed)
        self.coarse: Floats | None = None
        """Centres of the coarse groups, once there are any."""
        self._members: list[Labels] = [np.arange(len(features))]
        self._squares = np.ones(len(features))
        self.labels: Labels = np.zeros(len(features), np.int64)
        """Which entry each feature was part of in the last round: `entries` are the means of just these."""
        self.entries: Floats = np.empty((0, features.shape[1]), np.float32)
        self._group_of_entry = np.empty(0, np.int64)
        if entries is not None:
            self._put(np.ascontiguousarray(entries))

    @property
    def error(self) -> float:
        """Weighted root mean square colour error before the last round, in units of full white."""
        total = float((self._squares * self._weights).sum())
        return float(np.sqrt(total / float(self._weights.sum()) / FULL_SPHERE / 3))

    def grow(self, size: int) -> None:
        """Draw features as new entries, with probability in proportion to weight x squared error, and settle them."""
        mass = self._weights * self._squares
        count = size - len(self.entries)
        chosen = self._random.choice(len(mass), size=max(0, count), replace=False, p=_probabilities(mass))
        self._put(self._features[chosen])
        self.rounds(ROUNDS)

    def rounds(self, count: int) -> None:
        """Lloyd rounds at the present size."""
        for _ in range(count):
            for features, entries in self._groups():
                self._progress.check()
                mine = self._features if self.coarse is None else self._features[features]
                weights = self._weights if self.coarse is None else self._weights[features]
                near, squares = _nearest(self.entries[entries], mine)
                self.entries[entries] = _means(self.entries[entries], near, squares, mine, weights)
                self._squares[features], self.labels[features] = squares, entries[near]

    def _put(self, entries: Floats) -> None:
        """Add entries to the groups they lie in. Every group that has features has an entry then."""
        if self.coarse is None and len(self._features) * (len(self.entries) + len(entries)) > FLAT_LIMIT:
            self._cut()
        if self.coarse is None:
            groups = np.zeros(len(entries), np.int64)
        else:
            groups, _ = _nearest(self.coarse, entries)
            served = np.union1d(groups, self._group_of_entry)
            left = [g for g, members in enumerate(self._members) if len(members) and g not in served]
            firsts = self._features[[self._members[g][0] for g in left]]
            kept = max(0, len(entries) - len(left))  # they take the place of others: the size is a promise
            entries = np.concatenate([entries[:kept], firsts])
            groups = np.concatenate([groups[:kept], left]).astype(np.int64)
        self.entries = np.concatenate([self.entries, entries])
        self._group_of_entry = np.concatenate([self._group_of_entry, groups])

    def _cut(self) -> None:
        sample = self._random.permutation(len(self._features))[:SAMPLE]
        sampled = self._features[sample]
        coarse = sampled[:GROUPS]
        for _ in range(GROUPING_ROUNDS):
            near, squares = _nearest(coarse, sampled)
            coarse = _means(coarse, near, squares, sampled, self._weights[sample])
        self.coarse = coarse
        near, _ = _nearest(coarse, self._features)
        order = np.argsort(near, kind="stable")
        self._members = np.split(order, np.searchsorted(near[order], np.arange(1, len(coarse))))
        if len(self.entries):
            self._group_of_entry, _ = _nearest(coarse, self.entries)

    def _groups(self) -> Iterator[tuple[Labels, Labels]]:
        order = np.argsort(self._group_of_entry, kind="stable")
        parts = np.split(order, np.searchsorted(self._group_of_entry[order], np.arange(1, len(self._members))))
        return ((m, e) for m, e in zip(self._members, parts, strict=True) if len(m) and len(e))


def _probabilities(mass: NDArray[np.float64]) -> NDArray[np.float64]:
    mass = np.maximum(mass, mass.max() * 1e-9 + 1e-300)  # enough candidates even when most errors are zero
    return np.asarray(mass / mass.sum())


def _nearest(entries: Floats, features: Floats) -> tuple[Labels, NDArray[np.float64]]:
    index = faiss.IndexFlatL2(features.shape[1])
    index.add(np.ascontiguousarray(entries))
    squares, labels = index.search(np.ascontiguousarray(features), 1)
    return labels[:, 0], np.maximum(squares[:, 0].astype(np.float64), 0)


def _means(
    entries: Floats, labels: Labels, squares: NDArray[np.float64], features: Floats, weights: NDArray[np.float64]
) -> Floats:
    """Weighted means of the features of each entry; an entry that nobody chose moves to a badly served feature."""
    mass, sums = np.zeros(len(entries)), np.zeros(entries.shape)
    _sum_up(labels, weights, features, mass, sums)
    empty = np.flatnonzero(mass == 0)
    moved = (sums / np.where(mass > 0, mass, 1)[:, None]).astype(np.float32)
    if len(empty):
        worst = np.argsort(-(weights * squares), kind="stable")[: len(empty)]
        moved[empty[: len(worst)]] = features[worst]
    return moved


@kernel
def _sum_up(
    labels: Labels,
    weights: NDArray[np.float64],
    features: Floats,
    mass: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Add each feature, times its weight, to the row of `sums` that its label names, and its weight to `mass`."""
    for i in range(len(labels)):
        label, weight = labels[i], weights[i]
        mass[label] += weight
        for k in range(features.shape[1]):
            sums[label, k] += weight * features[i, k]
