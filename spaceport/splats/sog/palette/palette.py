"""The SH palette: vector quantisation of the higher bands, weighted by how much of the picture each Gaussian covers.

`growth.py` finds the entries. Here they become the palette of a file: levels, codes, labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spaceport.progress import Progress
from spaceport.splats.sh import SHN_SIZES
from spaceport.splats.sog.attributes import codebook
from spaceport.splats.sog.attributes.blocks import by_blocks
from spaceport.splats.sog.palette.growth import Floats, Growth, Labels, colour_error, sizes_up_to
from spaceport.splats.sog.palette.kmeans import faiss

LARGEST = 65536
EXACT = 1024  # so few different features are kept as they are
FIRST_USE = 0.13  # entries by Gaussians above which the order of first use takes fewer bytes, seen from 0.03 to 0.5
NEIGHBOURS = 4  # coarse groups searched for the final label


@dataclass(frozen=True)
class Palette:
    """`entries` [K,C*3] as decoded (levels of `levels`), `codes` [K,C*3] their bytes, `labels` [N]."""

    levels: NDArray[np.float64]
    codes: NDArray[np.uint8]
    labels: Labels
    error: float

    @cached_property
    def entries(self) -> Floats:
        return self.levels[self.codes].astype(np.float32)


@dataclass(frozen=True)
class Goal:
    """When the palette is large enough: at `size` entries; without it, at a colour error of `error`, or at `most`."""

    error: float
    size: int | None
    rounds: int
    step: float
    seed: int
    most: int = LARGEST


def used_coefficients(shn: NDArray[np.float32]) -> int:
    """How many SH coefficients per channel (0, 3, 8 or 15) are left when bands that are all zero are dropped."""
    used = np.flatnonzero(np.any(shn != 0, axis=(0, 2)))
    last = int(used[-1]) + 1 if len(used) else 0
    return next(size for size in SHN_SIZES if size >= last)


def distinct(features: Floats) -> tuple[Labels, Labels]:
    """Where in `features` [N,D] each different row stands first [K], and which of those each row is [N]. By a 64-bit
    hash of each row."""
    factors = np.random.default_rng(0).integers(0, 2**63, features.shape[1], np.uint64) * 2 + 1

    def hashed(features: Floats) -> NDArray[np.uint64]:
        hashes = np.zeros(len(features), np.uint64)
        for column, factor in zip(features.T, factors, strict=True):
            bits = (column + np.float32(0)).view(np.uint32)  # -0 becomes 0
            hashes = (hashes ^ bits) * factor
            hashes ^= hashes >> np.uint64(29)
        return hashes

    _, first, which = np.unique(by_blocks(hashed, features), return_index=True, return_inverse=True)
    return first, which.reshape(-1)


def fit(features: Floats, weights: NDArray[np.float64], goal: Goal, progress: Progress) -> Palette:
    """Make the palette of `features` [N,D] with `weights` [N]. The same arguments give the same palette."""
    first, which = distinct(features)
    if len(first) <= (goal.size or EXACT):
        return finished(features[first], which, features, weights, goal.step)
    limit = min(goal.size or max(goal.most, sizes_up_to(LARGEST)[0]), LARGEST)
    growth = Growth(features, weights, goal.seed, progress)
    for size in [goal.size] if goal.size else sizes_up_to(limit):
        if size >= len(first):
            return finished(features[first], which, features, weights, goal.step)
        growth.grow(size)
        if goal.size is None and growth.error <= goal.error:
            break
    growth.rounds(goal.rounds)
    return finished(growth.entries, None, features, weights, goal.step, growth.coarse)


def finished(
    entries: Floats,
    labels: Labels | None,
    features: Floats,
    weights: NDArray[np.float64],
    step: float,
    coarse: Floats | None = None,
) -> Palette:
    """Quantise entries [K,D] to levels `step` apart, find labels unless they are known, and put in order of use."""
    levels = codebook.uniform_codebook(entries, step)
    codes = codebook.nearest(levels, entries)
    if labels is None:
        codes = np.unique(codes, axis=0)
        labels = nearest(levels[codes].astype(np.float32), features, coarse)
    used, labels = np.unique(labels, return_inverse=True)
    codes, labels = in_order(codes[used], labels.reshape(-1), len(used) / len(labels))
    error = colour_error(features, levels[codes].astype(np.float32), labels, weights)
    return Palette(levels, codes, labels, error)


def in_order(codes: NDArray[np.uint8], labels: Labels, share: float) -> tuple[NDArray[np.uint8], Labels]:
    """Put entries in the order that codes labels in the fewest bytes; `share` is how many entries a Gaussian has.

    Few: the most used ones first, so that the labels' high byte is mostly small. Many: as the file first uses them,
    so that labels climb as one goes through it.
    """
    if share > FIRST_USE:
        used, first = np.unique(labels, return_index=True)
        place = np.full(len(codes), len(labels))
        place[used] = first
    else:
        place = -np.bincount(labels, minlength=len(codes))
    order = np.argsort(place, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return codes[order], rank[labels]


def nearest(entries: Floats, features: Floats, coarse: Floats | None = None) -> Labels:
    """The nearest entry of each feature; with `coarse` groups only entries of the nearest groups are looked at."""
    index: faiss.Index = faiss.IndexFlatL2(features.shape[1])
    if coarse is not None:
        index = faiss.IndexIVFFlat(index, features.shape[1], len(coarse))
        index.quantizer.add(coarse)
        index.is_trained = True
        index.nprobe = NEIGHBOURS
    index.add(np.ascontiguousarray(entries))
    return np.asarray(index.search(np.ascontiguousarray(features), 1)[1][:, 0], np.int64)
