"""Centroids of a palette that grows: weighted k-means that can be stopped and resumed at any size.

Lloyd's k-means (Lloyd, 1982) at one size, then new centroids drawn where the weighted error is largest (the D^2
sampling of k-means++, Arthur and Vassilvitskii, 2007), and again. When one flat search would take too long, features
and centroids are split into coarse groups, and each group goes on by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spaceport.progress import Progress
from spaceport.simd.jit import kernel
from spaceport.splats.model import Floats
from spaceport.splats.scratch import folder_of, free_pages, take
from spaceport.splats.sog.attributes.rows import map_rows
from spaceport.splats.sog.palette.faiss_import import faiss

SMALLEST_SIZE = 256
FLAT_LIMIT = 600_000_000  # Gaussians x centroids above which one flat search a round takes too long
GROUPS = 256
GROUPING_SAMPLE = 65536  # Gaussians that the coarse groups are fitted to
GROUPING_ROUNDS = 4
ROUNDS = 2  # of k-means at each size
SEARCHED_ROWS = 131_072  # of features on disk, at a time; a multiple of what faiss multiplies at once
FULL_SPHERE = 4 * np.pi

Labels = NDArray[np.int64]


def growth_sizes(limit: int) -> list[int]:
    """The sizes a palette grows through, each 1.41 times the one before, and `limit` at last."""
    sizes = [round(SMALLEST_SIZE * 2 ** (i / 2)) for i in range(17)]
    return [size for size in sizes if size < limit] + [limit] if limit > SMALLEST_SIZE else [SMALLEST_SIZE]


def colour_error(features: Floats, centroids: Floats, labels: Labels, weights: NDArray[np.float64]) -> float:
    """Weighted root mean square error of colour over all directions and channels, in units of full white, of features
    [N,D] stored as those of the centroids [K,D] that their labels [N] name."""

    def squared_errors(features: Floats, labels: Labels) -> NDArray[np.float64]:
        return np.asarray(np.square(features - centroids[labels]).sum(axis=1, dtype=np.float64))

    squares = map_rows(squared_errors, features, labels)
    return float(np.sqrt((squares * weights).sum() / weights.sum() / FULL_SPHERE / 3))


class Growth:
    """Centroids [K,D] for `features` [N,D] with `weights` [N]; none at first without `centroids`.

    The same arguments and calls give the same centroids.
    """

    def __init__(
        self,
        features: Floats,
        weights: NDArray[np.float64],
        seed: int,
        progress: Progress,
        centroids: Floats | None = None,
    ) -> None:
        self._features = features
        self._weights = weights
        self._progress = progress
        self._random = np.random.default_rng(seed)
        self.coarse: Floats | None = None
        """Centres of the coarse groups, once there are any."""
        self._members: list[Labels] = [np.arange(len(features))]
        self._grouped: Floats | None = None
        self._squares = np.ones(len(features))
        self.labels: Labels = np.zeros(len(features), np.int64)
        """The centroid that each feature was assigned to in the last round: `centroids` are the means of these."""
        self.centroids: Floats = np.empty((0, features.shape[1]), np.float32)
        self._group_of_centroid = np.empty(0, np.int64)
        if centroids is not None:
            self._add(np.ascontiguousarray(centroids))

    @property
    def error(self) -> float:
        """Weighted root mean square colour error before the last round, in units of full white."""
        total = float((self._squares * self._weights).sum())
        return float(np.sqrt(total / float(self._weights.sum()) / FULL_SPHERE / 3))

    def grow(self, size: int) -> None:
        """Draw features as new centroids, with probability proportional to weight x squared error, and refine all."""
        mass = self._weights * self._squares
        count = size - len(self.centroids)
        chosen = self._random.choice(len(mass), size=max(0, count), replace=False, p=_probabilities(mass))
        self._add(take(self._features, chosen))
        self.refine(ROUNDS)

    def refine(self, rounds: int) -> None:
        """Rounds of Lloyd's k-means at the present size."""
        for _ in range(rounds):
            for group, rows, members in self._groups():
                self._progress.check()
                features = self._features_of(group, rows)
                weights = self._weights if self.coarse is None else self._weights[rows]
                near, squares = _nearest(self.centroids[members], features)
                self.centroids[members] = _means(self.centroids[members], near, squares, features, weights)
                self._squares[rows] = squares
                self.labels[rows] = members[near]
                free_pages(features)

    def _add(self, centroids: Floats) -> None:
        """Add centroids to the groups they lie in. Every group that has features has a centroid then."""
        if self.coarse is None and len(self._features) * (len(self.centroids) + len(centroids)) > FLAT_LIMIT:
            self._split_into_groups()
        if self.coarse is None:
            groups = np.zeros(len(centroids), np.int64)
        else:
            groups, _ = _nearest(self.coarse, centroids)
            covered = np.union1d(groups, self._group_of_centroid)
            left = [g for g, members in enumerate(self._members) if len(members) and g not in covered]
            firsts = take(self._features, np.array([self._members[g][0] for g in left], np.int64))
            kept = max(0, len(centroids) - len(left))  # they replace others: the size must be as asked
            centroids = np.concatenate([centroids[:kept], firsts])
            groups = np.concatenate([groups[:kept], left]).astype(np.int64)
        self.centroids = np.concatenate([self.centroids, centroids])
        self._group_of_centroid = np.concatenate([self._group_of_centroid, groups])

    def _split_into_groups(self) -> None:
        sample = self._random.permutation(len(self._features))[:GROUPING_SAMPLE]
        sampled = take(self._features, sample)
        coarse = sampled[:GROUPS]
        for _ in range(GROUPING_ROUNDS):
            near, squares = _nearest(coarse, sampled)
            coarse = _means(coarse, near, squares, sampled, self._weights[sample])
        self.coarse = coarse
        near, _ = _nearest(coarse, self._features)
        order = np.argsort(near, kind="stable")
        self._members = np.split(order, np.searchsorted(near[order], np.arange(1, len(coarse))))
        if folder_of(self._features) is not None:  # where it takes long to gather a group each time
            self._grouped = take(self._features, order)
        if len(self.centroids):
            self._group_of_centroid, _ = _nearest(coarse, self.centroids)

    def _groups(self) -> Iterator[tuple[slice, Labels, Labels]]:
        """Of each group with centroids and features: its place among all, its features, and its centroids."""
        order = np.argsort(self._group_of_centroid, kind="stable")
        parts = np.split(order, np.searchsorted(self._group_of_centroid[order], np.arange(1, len(self._members))))
        ends = np.cumsum([len(members) for members in self._members])
        groups = zip(ends, self._members, parts, strict=True)
        return ((slice(end - len(m), end), m, e) for end, m, e in groups if len(m) and len(e))

    def _features_of(self, group: slice, rows: Labels) -> Floats:
        """The features of a group, by its place among all and by their rows."""
        if self.coarse is None:
            return self._features
        return self._features[rows] if self._grouped is None else self._grouped[group]


def _probabilities(mass: NDArray[np.float64]) -> NDArray[np.float64]:
    mass = np.maximum(mass, mass.max() * 1e-9 + 1e-300)  # enough candidates even when most errors are zero
    return np.asarray(mass / mass.sum())


def _nearest(centroids: Floats, features: Floats) -> tuple[Labels, NDArray[np.float64]]:
    index = faiss.IndexFlatL2(features.shape[1])
    index.add(np.ascontiguousarray(centroids))
    labels, squares = search_nearest(index, features)
    return labels, np.maximum(squares.astype(np.float64), 0)


def search_nearest(index: faiss.Index, features: Floats) -> tuple[Labels, Floats]:
    """For each of `features` [N,D], which of the index is nearest, and its squared distance."""
    if folder_of(features) is None:
        squares, labels = index.search(np.ascontiguousarray(features), 1)
        return labels[:, 0], squares[:, 0]
    count = len(features)
    labels, squares = np.empty(count, np.int64), np.empty(count, np.float32)
    ends = [*range(SEARCHED_ROWS, count - SEARCHED_ROWS + 1, SEARCHED_ROWS), count]  # faiss searches a few another way
    for first, end in pairwise([0, *ends]):
        nearest = index.search(features[first:end], 1)
        squares[first:end], labels[first:end] = (part[:, 0] for part in nearest)
        free_pages(features[first:end])
    return labels, squares


def _means(
    centroids: Floats, labels: Labels, squares: NDArray[np.float64], features: Floats, weights: NDArray[np.float64]
) -> Floats:
    """Weighted means of the features of each centroid; one without features moves to a feature of large error."""
    mass, sums = np.zeros(len(centroids)), np.zeros(centroids.shape)
    _accumulate(labels, weights, features, mass, sums)
    empty = np.flatnonzero(mass == 0)
    moved = (sums / np.where(mass > 0, mass, 1)[:, None]).astype(np.float32)
    if len(empty):
        worst = np.argsort(-(weights * squares), kind="stable")[: len(empty)]
        moved[empty[: len(worst)]] = features[worst]
    return moved


@kernel
def _accumulate(
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
