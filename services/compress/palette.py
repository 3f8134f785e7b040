"""The SH palette: vector quantisation of the higher bands, weighted by how much of the picture each Gaussian covers.

The palette grows: Lloyd's k-means (Lloyd, 1982) at one size, then as many new entries again, drawn where the weighted
error is largest (the D^2 sampling of k-means++, Arthur and Vassilvitskii, 2007), until the error is small enough.
Large inputs are cut into coarse groups first, and each group grows its share of the palette.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from services.compress import codebook
from spaceport.pipeline.progress import Progress

LARGEST = 65536
START = 1024
FLAT_LIMIT = 1_500_000_000  # Gaussians x entries above which one flat search a round takes too long
GROUPS = 256
SAMPLE = 65536  # Gaussians that the coarse groups are fitted to
GROWING_ROUNDS = 4
NEIGHBOURS = 8  # coarse groups searched for the final label
FULL_SPHERE = 4 * np.pi

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Palette:
    """`entries` [K,C*3] as decoded (levels of `levels`), `codes` [K,C*3] their bytes, `labels` [N]."""

    levels: NDArray[np.float64]
    codes: NDArray[np.uint8]
    labels: Labels
    error: float

    @property
    def entries(self) -> Floats:
        return self.levels[self.codes].astype(np.float32)


def used_coefficients(shn: NDArray[np.float32]) -> int:
    """How many SH coefficients per channel (0, 3, 8 or 15) are left when bands that are all zero are dropped."""
    used = np.flatnonzero(np.any(shn != 0, axis=(0, 2)))
    last = int(used[-1]) + 1 if len(used) else 0
    return next(size for size in (0, 3, 8, 15) if size >= last)


@dataclass(frozen=True)
class Goal:
    """When the palette is large enough: at `size` entries; without it, at a colour error of `error`, or at `most`."""

    error: float
    size: int | None
    rounds: int
    step: float
    seed: int
    most: int = LARGEST


def fit(features: Floats, weights: NDArray[np.float64], goal: Goal, progress: Progress) -> Palette:
    """Make the palette of `features` [N,D] with `weights` [N]. The same arguments give the same palette."""
    distinct, inverse = np.unique(features, axis=0, return_inverse=True)
    if len(distinct) <= min(goal.size or START, LARGEST):
        return _finished(distinct, inverse.reshape(-1), features, weights, goal)
    growth = _Growth(features, weights, goal, progress)
    if growth.run(len(distinct)):
        return _finished(growth.entries, None, features, weights, goal, growth.coarse)
    return _finished(distinct, inverse.reshape(-1), features, weights, goal)


def colour_error(features: Floats, entries: Floats, weights: NDArray[np.float64]) -> float:
    """Weighted root mean square error of colour over all directions and channels, in units of full white."""
    squares = np.square(features - entries).sum(axis=1, dtype=np.float64)
    return float(np.sqrt((squares * weights).sum() / weights.sum() / FULL_SPHERE / 3))


def _finished(
    entries: Floats,
    labels: Labels | None,
    features: Floats,
    weights: NDArray[np.float64],
    goal: Goal,
    coarse: Floats | None = None,
) -> Palette:
    levels = codebook.uniform_codebook(entries, goal.step)
    codes = codebook.nearest(levels, entries)
    if labels is None:
        codes = np.unique(codes, axis=0)
        labels = _search(levels[codes].astype(np.float32), features, coarse)
    used, labels = np.unique(labels, return_inverse=True)
    codes, labels = _by_use(codes[used], labels.reshape(-1))
    error = colour_error(features, levels[codes[labels]].astype(np.float32), weights)
    return Palette(levels, codes, labels, error)


def _by_use(codes: NDArray[np.uint8], labels: Labels) -> tuple[NDArray[np.uint8], Labels]:
    """Most used entries first: the labels' high byte is then mostly small, which the coder rewards."""
    order = np.argsort(-np.bincount(labels, minlength=len(codes)), kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return codes[order], rank[labels]


def _search(entries: Floats, features: Floats, coarse: Floats | None) -> Labels:
    """The nearest entry of each feature; with `coarse` groups only entries of the nearest groups are looked at."""
    index: faiss.Index = faiss.IndexFlatL2(features.shape[1])
    if coarse is not None:
        index = faiss.IndexIVFFlat(index, features.shape[1], len(coarse))
        index.quantizer.add(coarse)
        index.is_trained = True
        index.nprobe = NEIGHBOURS
    index.add(entries)
    return np.asarray(index.search(features, 1)[1][:, 0], np.int64)


class _Growth:
    """A palette on its way up. Entry k lies in one coarse group and competes only there."""

    def __init__(self, features: Floats, weights: NDArray[np.float64], goal: Goal, progress: Progress) -> None:
        self.features, self.weights, self.goal, self.progress = features, weights, goal, progress
        self.random = np.random.default_rng(goal.seed)
        self.limit = min(goal.size or max(goal.most, START), LARGEST)
        self.coarse: Floats | None = None
        self.members: list[Labels] = [np.arange(len(features))]
        if len(features) * self.limit > FLAT_LIMIT:
            self._cut()
        self.entries = np.empty((0, features.shape[1]), np.float32)
        self.group_of_entry = np.empty(0, np.int64)
        self.labels = np.zeros(len(features), np.int64)
        self.squares = np.ones(len(features))

    def run(self, distinct: int) -> bool:
        """Grow until the goal is met; False when that would take as many entries as there are `distinct` features."""
        size = min(START, self.limit)
        self._add(size)
        while True:
            self._rounds(GROWING_ROUNDS)
            error = float(np.sqrt((self.squares * self.weights).sum() / self.weights.sum() / FULL_SPHERE / 3))
            fraction = np.log2(size / 512) / np.log2(self.limit / 512) if self.limit > 512 else 0.5
            self.progress.update(min(1.0, float(fraction)), "Compressing with PlayCanvas SOGS algorithm", palette=size)
            done = size >= self.limit if self.goal.size else error <= self.goal.error or size >= self.limit
            if done:
                break
            grown = min(size * 2, self.limit)
            if grown >= distinct:
                return False
            self._add(grown - size)
            size = grown
        self._rounds(max(0, self.goal.rounds - GROWING_ROUNDS))
        return True

    def _cut(self) -> None:
        sample = self.random.permutation(len(self.features))[:SAMPLE]
        sampled = self.features[sample]
        start = sampled[self.random.permutation(len(sampled))[:GROUPS]]
        coarse = start
        for _ in range(GROWING_ROUNDS):
            near, squares = _nearest(coarse, sampled)
            coarse = _means(coarse, near, squares, sampled, self.weights[sample])
        self.coarse = coarse
        near, _ = _nearest(coarse, self.features)
        self.group = near
        order = np.argsort(near, kind="stable")
        self.members = np.split(order, np.searchsorted(near[order], np.arange(1, len(coarse))))

    def _add(self, count: int) -> None:
        """Draw `count` features as new entries, with probability in proportion to weight x squared error."""
        mass = self.weights * self.squares
        chosen = self.random.choice(len(mass), size=count, replace=False, p=_probabilities(mass))
        if len(self.entries) == 0 and self.coarse is not None:  # no group may stay without an entry
            firsts = np.array([m[0] for m in self.members if len(m)])
            chosen = np.union1d(chosen[: max(0, count - len(firsts))], firsts)
        groups = self.group[chosen] if self.coarse is not None else np.zeros(len(chosen), np.int64)
        self.entries = np.concatenate([self.entries, self.features[chosen]])
        self.group_of_entry = np.concatenate([self.group_of_entry, groups])

    def _rounds(self, count: int) -> None:
        for _ in range(count):
            for features, entries in self._groups():
                self.progress.check()
                mine = self.features if self.coarse is None else self.features[features]
                weights = self.weights if self.coarse is None else self.weights[features]
                near, squares = _nearest(self.entries[entries], mine)
                self.entries[entries] = _means(self.entries[entries], near, squares, mine, weights)
                self.squares[features] = squares

    def _groups(self) -> Iterator[tuple[Labels, Labels]]:
        order = np.argsort(self.group_of_entry, kind="stable")
        parts = np.split(order, np.searchsorted(self.group_of_entry[order], np.arange(1, len(self.members))))
        return ((m, e) for m, e in zip(self.members, parts, strict=True) if len(m) and len(e))


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
    mass = np.bincount(labels, weights, len(entries))
    sums = np.stack([np.bincount(labels, weights * column, len(entries)) for column in features.T], axis=1)
    empty = np.flatnonzero(mass == 0)
    moved = (sums / np.where(mass > 0, mass, 1)[:, None]).astype(np.float32)
    if len(empty):
        worst = np.argsort(-(weights * squares), kind="stable")[: len(empty)]
        moved[empty[: len(worst)]] = features[worst]
    return moved
