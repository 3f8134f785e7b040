"""The SH palette: vector quantisation of the higher bands, weighted by how much of the picture each Gaussian covers.

`growth.py` finds the centroids. Here they become the palette of a file: codebook, codes, labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spaceport.progress import Progress
from spaceport.splats.model import Floats
from spaceport.splats.scratch import row_blocks, take
from spaceport.splats.sh import SHN_SIZES
from spaceport.splats.sog.attributes import codebook
from spaceport.splats.sog.attributes.rows import map_rows
from spaceport.splats.sog.palette.faiss_import import faiss
from spaceport.splats.sog.palette.growth import Growth, Labels, colour_error, growth_sizes, search_nearest

MAX_CENTROIDS = 65536
EXACT = 1024  # so few distinct features are kept as they are
FIRST_USE_SHARE = 0.13  # of centroids by Gaussians, above which the order of first use takes fewer bytes
NEIGHBOURS = 4  # coarse groups searched for the final label


@dataclass(frozen=True)
class Palette:
    """The palette of a file."""

    codebook: NDArray[np.float64]
    """[256]"""
    codes: NDArray[np.uint8]
    """Indices into the codebook [K,C*3], of each centroid."""
    labels: Labels
    """The centroid of each Gaussian [N]."""
    error: float
    """Weighted root mean square colour error, in units of full white."""

    @cached_property
    def centroids(self) -> Floats:
        """[K,C*3] as decoded."""
        return self.codebook[self.codes].astype(np.float32)


@dataclass(frozen=True)
class PaletteSettings:
    """How to fit a palette: of `size` centroids; without it, until the colour error is `error`, or of `max_size`."""

    error: float
    size: int | None
    rounds: int
    """Rounds of k-means at the full size."""
    step: float
    """Step of the codebook; 0 makes it as small as 256 levels allow."""
    seed: int
    max_size: int = MAX_CENTROIDS


def used_coefficients(shn: NDArray[np.float32]) -> int:
    """How many SH coefficients per channel (0, 3, 8 or 15) are left when bands that are all zero are dropped."""
    is_used = np.zeros(shn.shape[1], bool)
    for rows in row_blocks(shn):
        is_used |= np.any(shn[rows] != 0, axis=(0, 2))
    used = np.flatnonzero(is_used)
    last = int(used[-1]) + 1 if len(used) else 0
    return next(size for size in SHN_SIZES if size >= last)


def find_distinct(features: Floats) -> tuple[Labels, Labels]:
    """Index of the first of each distinct row of `features` [N,D], [K], and which of those each row equals [N].

    By a 64-bit hash of each row.
    """
    factors = np.random.default_rng(0).integers(0, 2**63, features.shape[1], np.uint64) * 2 + 1

    def hash_rows(features: Floats) -> NDArray[np.uint64]:
        hashes = np.zeros(len(features), np.uint64)
        for column, factor in zip(features.T, factors, strict=True):
            bits = (column + np.float32(0)).view(np.uint32)  # -0 becomes 0
            hashes = (hashes ^ bits) * factor
            hashes ^= hashes >> np.uint64(29)
        return hashes

    _, first, which = np.unique(map_rows(hash_rows, features), return_index=True, return_inverse=True)
    return first, which.reshape(-1)


def fit_palette(
    features: Floats, weights: NDArray[np.float64], settings: PaletteSettings, progress: Progress
) -> Palette:
    """Make the palette of `features` [N,D] with `weights` [N]. The same arguments give the same palette."""
    first, which = find_distinct(features)
    if len(first) <= (settings.size or EXACT):
        return quantise_palette(take(features, first), which, features, weights, settings.step)
    limit = min(settings.size or max(settings.max_size, growth_sizes(MAX_CENTROIDS)[0]), MAX_CENTROIDS)
    growth = Growth(features, weights, settings.seed, progress)
    for size in [settings.size] if settings.size else growth_sizes(limit):
        if size >= len(first):
            return quantise_palette(take(features, first), which, features, weights, settings.step)
        growth.grow(size)
        if settings.size is None and growth.error <= settings.error:
            break
    growth.refine(settings.rounds)
    return quantise_palette(growth.centroids, None, features, weights, settings.step, growth.coarse)


def quantise_palette(
    centroids: Floats,
    labels: Labels | None,
    features: Floats,
    weights: NDArray[np.float64],
    step: float,
    coarse: Floats | None = None,
) -> Palette:
    """Quantise centroids [K,D] to a codebook of `step`, find labels unless they are known, and sort by use."""
    book = codebook.uniform_codebook(centroids, step)
    codes = codebook.nearest(book, centroids)
    if labels is None:
        codes = np.unique(codes, axis=0)
        labels = nearest_centroid(book[codes].astype(np.float32), features, coarse)
    used, labels = np.unique(labels, return_inverse=True)
    codes, labels = sort_centroids(codes[used], labels.reshape(-1), len(used) / len(labels))
    error = colour_error(features, book[codes].astype(np.float32), labels, weights)
    return Palette(book, codes, labels, error)


def sort_centroids(codes: NDArray[np.uint8], labels: Labels, share: float) -> tuple[NDArray[np.uint8], Labels]:
    """Put centroids in the order that codes labels in the fewest bytes; `share` is how many centroids a Gaussian has.

    Few: the most used ones first, so that the labels' high byte is mostly small. Many: as the file first uses them,
    so that labels climb as one goes through it.
    """
    if share > FIRST_USE_SHARE:
        used, first = np.unique(labels, return_index=True)
        key = np.full(len(codes), len(labels))
        key[used] = first
    else:
        key = -np.bincount(labels, minlength=len(codes))
    order = np.argsort(key, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return codes[order], rank[labels]


def nearest_centroid(centroids: Floats, features: Floats, coarse: Floats | None = None) -> Labels:
    """The nearest centroid of each feature; with `coarse` groups, only centroids of the nearest groups are searched."""
    index: faiss.Index = faiss.IndexFlatL2(features.shape[1])
    if coarse is not None:
        index = faiss.IndexIVFFlat(index, features.shape[1], len(coarse))
        index.quantizer.add(coarse)
        index.is_trained = True
        index.nprobe = NEIGHBOURS
    index.add(np.ascontiguousarray(centroids))
    return search_nearest(index, features)[0]
