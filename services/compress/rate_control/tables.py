"""What each level of each attribute costs in bytes and in PSNR: the measurements that `allocation.py` decides on.

Bytes come from encoding a sample of runs of neighbours. Squared errors come from renders with one attribute changed, at
a coarse level, and with all of them at the finest; the error grows with the square of the step, above what the format
itself loses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from services.compress.rate_control.allocation import RateDistortion
from services.compress.rate_control.windows import Errors, Windows
from spaceport.progress import Progress
from spaceport.splats.model import Floats
from spaceport.splats.scratch import take
from spaceport.splats.sh import SHN_SIZES
from spaceport.splats.sog.attributes import codebook
from spaceport.splats.sog.attributes.quality import COARSENESS, FINEST, at_level
from spaceport.splats.sog.attributes.quantise import ATTRIBUTES, Prepared
from spaceport.splats.sog.codec import images
from spaceport.splats.sog.codec.encode import centroids_image, label_bytes, sh_features, to_image
from spaceport.splats.sog.palette.growth import Growth, growth_sizes
from spaceport.splats.sog.palette.palette import MAX_CENTROIDS, find_distinct, sort_centroids

COMPRESSING = "Compressing with PlayCanvas SOGS algorithm"
SAMPLE_SIZE = 16384
MEASURED_LEVELS = [0, 2, 4, 6, 8, 9, 10]  # levels whose bytes are measured; the others are interpolated
RENDERED_LEVEL = 2  # whose error is measured; the others' are taken from it
RUNS = 16  # that the sample is made of
STEP_OF_ERROR = 1.0  # step of the codebook by the palette's error per coefficient: rounding then adds a twelfth
GROWTH_SAMPLE = 131072  # Gaussians of a large model that its palette is grown from, besides those in the windows
SAMPLE_WEIGHT = 1e-3  # factor for the weights of the rest: it lies in a few places, and would pull the palette there
LARGEST_SHARE = 0.5  # of centroids by Gaussians: past it a palette saves nothing
FINER_STEPS = (1.0, 0.5, 0.0)  # of the codebook by the palette's error, tried where a target is missed; 0: the finest


@dataclass(frozen=True)
class ShOption:
    """One way to store higher SH."""

    bands: int
    centroids: Floats | None
    """[K,C*3]; None for no bands."""
    step: float
    """Step of the codebook."""
    labels: NDArray[np.int64] | None = None
    """[N] the centroid of each Gaussian, where each has its own; None where the nearest is sought."""


def sample_runs(count: int) -> NDArray[np.intp]:
    """Indices of runs of neighbours, spread over the file's order."""
    if count <= SAMPLE_SIZE:
        return np.arange(count)
    length = SAMPLE_SIZE // RUNS
    starts = np.linspace(0, count - length, RUNS).astype(np.intp)
    return (starts[:, None] + np.arange(length)).reshape(-1)


def attribute_tables(prepared: Prepared, windows: Windows) -> list[RateDistortion]:
    """One table for each of `ATTRIBUTES`, a row for each of `COARSENESS`."""
    sizes = attribute_sizes(prepared)
    shown = windows.prepared
    finest = {
        name: value for quantise in ATTRIBUTES.values() for name, value in quantise(shown, FINEST).decoded.items()
    }
    fine = windows.squared_errors(replace(shown.stored, **finest)) / len(ATTRIBUTES)
    tables = []
    for name, quantise in ATTRIBUTES.items():
        changed = quantise(shown, at_level(name, COARSENESS[RENDERED_LEVEL])).decoded
        coarse = windows.squared_errors(replace(shown.stored, **changed))
        share = np.square(np.array(COARSENESS) / COARSENESS[RENDERED_LEVEL])[:, None]
        tables.append(RateDistortion(sizes[name], fine + np.maximum(coarse - fine, 0) * share))
    return tables


def attribute_sizes(prepared: Prepared) -> dict[str, NDArray[np.float64]]:
    """Bytes of each of `ATTRIBUTES` at each of `COARSENESS` [L], from a sample; only `MEASURED_LEVELS` are measured."""
    sample = prepared.subset(sample_runs(len(prepared.stored)))
    scale = len(prepared.stored) / len(sample.stored)
    pixels = {
        (name, level, file): to_image(rows)
        for name, quantise in ATTRIBUTES.items()
        for level in MEASURED_LEVELS
        for file, rows in quantise(sample, at_level(name, COARSENESS[level])).rows.items()
    }
    encoded = images.encode_all(pixels)
    sizes = {name: np.zeros(len(COARSENESS)) for name in ATTRIBUTES}
    for (name, level, _), data in encoded.items():
        sizes[name][level] += scale * len(data)
    return {
        name: np.interp(np.arange(len(COARSENESS)), MEASURED_LEVELS, row[MEASURED_LEVELS])
        for name, row in sizes.items()
    }


class ShTable:
    """The ways to store higher SH, made by growing one palette and cutting bands off it.

    In a large model it grows on a part of the Gaussians; the one that is chosen is refined on all of them.
    """

    def __init__(self, prepared: Prepared, windows: Windows, seed: int, progress: Progress) -> None:
        self.options = [ShOption(0, None, 0.0)]
        self._prepared = prepared
        self._windows = windows
        self._progress = progress
        sample = sample_runs(len(prepared.stored))
        even = np.linspace(0, len(prepared.stored) - 1, min(GROWTH_SAMPLE, len(prepared.stored))).astype(np.intp)
        self._rows = np.union1d(even, np.concatenate([sample, windows.index]))
        self._features = take(sh_features(prepared, 3), self._rows)
        self._weights = prepared.importance[self._rows]
        pull = np.where(np.isin(self._rows, even), self._weights, self._weights * SAMPLE_WEIGHT)
        self.full_bands = prepared.stored.sh_degree
        self._band_errors = [self._errors_without(bands) for bands in range(self.full_bands)]
        self._sizes = [0.0]
        self._errors: list[Errors] = self._band_errors[:1] or [windows.no_errors]
        self._growth = Growth(self._features, pull, seed, progress)
        self._grown = 0
        self._sample = np.searchsorted(self._rows, sample)
        self._seen = np.searchsorted(self._rows, windows.index)

    @property
    def table(self) -> RateDistortion:
        """A row for each of `options`."""
        return RateDistortion(np.array(self._sizes), np.array(self._errors))

    def grow(self, is_enough: Callable[[], bool], size: int | None) -> None:
        """Add palettes, each larger than the one before, until that `is_enough`. With `size`, only that one."""
        if self.full_bands == 0:
            return
        most = min(MAX_CENTROIDS, int(len(self._features) * LARGEST_SHARE))
        sizes = [size] if size else growth_sizes(most)
        for number, count in enumerate(sizes):
            self._grow_to(count)
            self._progress.update(0.5 * number / len(sizes), COMPRESSING, palette=count)
            if self._grown >= len(self._distinct[0]) or is_enough():
                break
        if size:  # asked for: nothing else is offered
            self.options = self.options[-1:]
            self._sizes = self._sizes[-1:]
            self._errors = self._errors[-1:]

    def extend(self, size: int | None) -> None:
        """Add what is worth its bytes only where a target is missed: finer codebooks, and palettes up to the format's
        largest, or of each Gaussian's own. The last option is the finest. With `size`, only palettes of that one."""
        if self.full_bands == 0:
            return
        distinct = len(self._distinct[0])
        most = size or min(MAX_CENTROIDS, distinct)
        for count in [self._grown, *(each for each in growth_sizes(most) if each > self._grown)]:
            self._grow_to(min(count, most), FINER_STEPS)

    @cached_property
    def _distinct(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of all Gaussians' SH: the first of each distinct one, and which of them each is."""
        return find_distinct(sh_features(self._prepared, 3))

    def _grow_to(self, count: int, steps: Sequence[float] = (STEP_OF_ERROR,)) -> None:
        first, which = self._distinct
        self._grown = count
        if count >= len(first):
            features = take(sh_features(self._prepared, 3), first)
            self._add(features, which[self._rows], steps, which)
            return
        if count > len(self._growth.centroids):
            self._growth.grow(count)
        self._add(self._growth.centroids.copy(), self._growth.labels, steps)

    def _add(
        self,
        centroids: Floats,
        labels: NDArray[np.int64],
        steps: Sequence[float],
        own: NDArray[np.int64] | None = None,
    ) -> None:
        """Add one palette with all its bands, and cut down to fewer. `own`: the labels of all, where each has its own
        centroid."""
        gain = self._palette_errors(centroids, labels)
        mine, weights, labels = self._features[self._sample], self._weights[self._sample], labels[self._sample]
        squares = weights @ np.square(mine - centroids[labels], dtype=np.float64) / weights.sum()
        gain /= max(float(squares.sum()), 1e-30)
        for finer, bands in product(steps, range(1, self.full_bands + 1)):
            width = 3 * SHN_SIZES[bands]
            step = finer * float(np.sqrt(squares[:width].mean()))
            lost = self._band_errors[bands] if bands < self.full_bands else 0.0
            rounding = 1 + finer**2 / 12
            self._errors.append(lost + gain * float(squares[:width].sum()) * rounding)
            self._sizes.append(self._palette_bytes(centroids[:, :width], labels, step))
            self.options.append(ShOption(bands, centroids[:, :width], step, own))

    def _palette_bytes(self, centroids: Floats, labels: NDArray[np.int64], step: float) -> float:
        book = codebook.uniform_codebook(centroids, step)
        whole = len(labels) == len(self._prepared.stored)  # of a sample, the order of first use says nothing
        share = len(centroids) / len(labels) if whole else 0.0
        codes, ranks = sort_centroids(codebook.nearest(book, centroids), labels, share)
        encoded = images.encode_all(
            {"c": centroids_image(codes, centroids.shape[1] // 3), "l": to_image(label_bytes(ranks))}
        )
        return len(encoded["c"]) + len(encoded["l"]) * len(self._prepared.stored) / len(self._sample)

    def _errors_without(self, bands: int) -> Errors:
        """Squared errors of the pictures when only the first `bands` bands are kept."""
        stored = self._windows.prepared.stored
        return self._windows.squared_errors(replace(stored, shN=stored.shN[:, : SHN_SIZES[bands]]))

    def _palette_errors(self, centroids: Floats, labels: NDArray[np.int64]) -> Errors:
        """Squared errors of the pictures with a palette.

        Rendered at each size: the errors of a small palette, which vary with position, cancel less than the noise that
        a large one leaves.
        """
        stored = self._windows.prepared.stored
        shn = centroids[labels[self._seen]].reshape(stored.shN.shape)
        return self._windows.squared_errors(replace(stored, shN=shn))
