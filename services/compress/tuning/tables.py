"""What each level of each attribute costs in bytes and in likeness: the measurements that `allocate.py` decides on.

Bytes come from coding a sample of runs of neighbours. Likeness comes from renders with one attribute changed, at the
coarsest level, and with all of them at the finest; between the two the squared error goes with the square of the
step, above what the format itself loses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.compress.tuning.allocate import Table
from services.compress.tuning.windows import Errors, Windows
from spaceport.progress import Progress
from spaceport.splats.sh import SHN_SIZES
from spaceport.splats.sog.attributes import codebook
from spaceport.splats.sog.attributes.quality import FINEST, LEVELS, at_level
from spaceport.splats.sog.attributes.quantise import ATTRIBUTES, Prepared
from spaceport.splats.sog.codec import images
from spaceport.splats.sog.codec.encode import entries_picture, features_of, label_rows, picture
from spaceport.splats.sog.palette import palette
from spaceport.splats.sog.palette.growth import Floats, Growth, sizes_up_to

BUSY = "Compressing with PlayCanvas SOGS algorithm"
SAMPLE = 16384
CODED = [0, 2, 4, 6, 7, 8]  # levels that are coded to know their bytes
RUNS = 16  # places that the sample is taken from
STEP_OF_ERROR = 1.0  # step of the palette's levels by its error a coefficient: rounding then adds a twelfth
GROWN_FROM = 131072  # Gaussians of a large model that its palette is grown from, besides those that are looked at
ASIDE = 1e-3  # weight of the rest: it lies in a few places, and would pull the palette there
MOST_SHARE = 0.5  # entries by Gaussians: past it a palette saves nothing


@dataclass(frozen=True)
class Colours:
    """One way to store higher SH: `bands` of them, and the entries that were found; no entries for no bands."""

    bands: int
    entries: Floats | None
    step: float


def sample_of(count: int) -> NDArray[np.intp]:
    """Indices of runs of neighbours, spread over the file's order."""
    if count <= SAMPLE:
        return np.arange(count)
    length = SAMPLE // RUNS
    starts = np.linspace(0, count - length, RUNS).astype(np.intp)
    return (starts[:, None] + np.arange(length)).reshape(-1)


def attribute_tables(prepared: Prepared, windows: Windows) -> list[Table]:
    """One table for each of `ATTRIBUTES`, a row for each of `LEVELS`."""
    sizes = attribute_sizes(prepared)
    shown = windows.prepared
    finest = {name: value for coded in ATTRIBUTES.values() for name, value in coded(shown, FINEST).decoded.items()}
    fine = windows.squared_errors(replace(shown.stored, **finest)) / len(ATTRIBUTES)
    tables = []
    for name, quantise in ATTRIBUTES.items():
        changed = quantise(shown, at_level(name, LEVELS[0])).decoded
        coarse = windows.squared_errors(replace(shown.stored, **changed))
        share = np.square(np.array(LEVELS) / LEVELS[0])[:, None]
        tables.append(Table(sizes[name], fine + np.maximum(coarse - fine, 0) * share))
    return tables


def attribute_sizes(prepared: Prepared) -> dict[str, NDArray[np.float64]]:
    """Bytes of each of `ATTRIBUTES` at each of `LEVELS` [L], by a sample; only the `CODED` are measured."""
    sample = prepared.subset(sample_of(len(prepared.stored)))
    scale = len(prepared.stored) / len(sample.stored)
    pictures = {
        (name, level, file): picture(rows)
        for name, quantise in ATTRIBUTES.items()
        for level in CODED
        for file, rows in quantise(sample, at_level(name, LEVELS[level])).rows.items()
    }
    coded = images.encode_all(pictures)
    sizes = {name: np.zeros(len(LEVELS)) for name in ATTRIBUTES}
    for (name, level, _), data in coded.items():
        sizes[name][level] += scale * len(data)
    return {name: np.interp(np.arange(len(LEVELS)), CODED, found[CODED]) for name, found in sizes.items()}


class ColourTable:
    """The ways to store higher SH, found by growing one palette and cutting bands off it.

    In a large model it grows on a part of the Gaussians; the one that is chosen is settled on all of them.
    """

    def __init__(self, prepared: Prepared, windows: Windows, seed: int, progress: Progress) -> None:
        self.options = [Colours(0, None, 0.0)]
        self._prepared, self._windows, self._progress = prepared, windows, progress
        sample = sample_of(len(prepared.stored))
        even = np.linspace(0, len(prepared.stored) - 1, min(GROWN_FROM, len(prepared.stored))).astype(np.intp)
        self._rows = np.union1d(even, np.concatenate([sample, windows.index]))
        self._features, self._weights = features_of(prepared, 3)[self._rows], prepared.weights[self._rows]
        pull = np.where(np.isin(self._rows, even), self._weights, self._weights * ASIDE)
        self.full_bands = prepared.stored.sh_degree
        self._dropped = [self._without(bands) for bands in range(self.full_bands)]
        self._sizes = [0.0]
        self._errors: list[Errors] = self._dropped[:1] or [windows.nothing]
        self._growth = Growth(self._features, pull, seed, progress)
        self._sample, self._seen = np.searchsorted(self._rows, sample), np.searchsorted(self._rows, windows.index)

    @property
    def table(self) -> Table:
        """A row for each of `options`."""
        return Table(np.array(self._sizes), np.array(self._errors))

    def grow(self, enough: Callable[[], bool], size: int | None) -> None:
        """Add palettes, each larger than the one before, until there are `enough`. With `size`, only that one."""
        if self.full_bands == 0:
            return
        features = features_of(self._prepared, 3)
        first, which = palette.distinct(features)
        most = min(palette.LARGEST, int(len(self._features) * MOST_SHARE))
        sizes = [size] if size else sizes_up_to(most)
        for number, entries in enumerate(sizes):
            if entries >= len(first):
                self._add(features[first], which[self._rows])
                break
            self._growth.grow(entries)
            self._add(self._growth.entries.copy(), self._growth.labels)
            self._progress.update(0.5 * number / len(sizes), BUSY, palette=entries)
            if enough():
                break
        if size:  # asked for by name: no other way is offered
            self.options, self._sizes, self._errors = self.options[-1:], self._sizes[-1:], self._errors[-1:]

    def _add(self, entries: Floats, labels: NDArray[np.int64]) -> None:
        """One palette with all its bands, and cut down to fewer."""
        gain = self._rendered(entries, labels)
        mine, weights, labels = self._features[self._sample], self._weights[self._sample], labels[self._sample]
        squares = weights @ np.square(mine - entries[labels], dtype=np.float64) / weights.sum()
        gain /= max(float(squares.sum()), 1e-30)
        for bands in range(1, self.full_bands + 1):
            width = 3 * SHN_SIZES[bands]
            step = STEP_OF_ERROR * float(np.sqrt(squares[:width].mean()))
            lost = self._dropped[bands] if bands < self.full_bands else 0.0
            rounding = 1 + STEP_OF_ERROR**2 / 12
            self._errors.append(lost + gain * float(squares[:width].sum()) * rounding)
            self._sizes.append(self._bytes(entries[:, :width], labels, step))
            self.options.append(Colours(bands, entries[:, :width], step))

    def _bytes(self, entries: Floats, labels: NDArray[np.int64], step: float) -> float:
        levels = codebook.uniform_codebook(entries, step)
        whole = len(labels) == len(self._prepared.stored)  # of a sample, the order of first use tells nothing
        share = len(entries) / len(labels) if whole else 0.0
        codes, ranks = palette.in_order(codebook.nearest(levels, entries), labels, share)
        shown = images.encode_all({"c": entries_picture(codes, entries.shape[1] // 3), "l": picture(label_rows(ranks))})
        return len(shown["c"]) + len(shown["l"]) * len(self._prepared.stored) / len(self._sample)

    def _without(self, bands: int) -> Errors:
        """Squared errors of the pictures when only the first `bands` bands are kept."""
        stored = self._windows.prepared.stored
        return self._windows.squared_errors(replace(stored, shN=stored.shN[:, : SHN_SIZES[bands]]))

    def _rendered(self, entries: Floats, labels: NDArray[np.int64]) -> Errors:
        """Squared errors of the pictures with a palette. Measured at each size: errors that go with the place in a
        small palette cancel less than the noise that a large one leaves."""
        stored = self._windows.prepared.stored
        shn = entries[labels[self._seen]].reshape(stored.shN.shape)
        return self._windows.squared_errors(replace(stored, shN=shn))
