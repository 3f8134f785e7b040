"""Memory that a rasteriser keeps between calls."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from spaceport.splats.model import Floats
from spaceport.splats.render import backward, forward, record
from spaceport.splats.render.bins import TILE, Ints, Longs
from spaceport.splats.render.vector import LANES


class ModelBuffers:
    """What is sized by the number of Gaussians. Slots: each part of the model has its own run, with a gap of 16."""

    def __init__(self, count: int, parts: int) -> None:
        self.parts = split(count, parts, LANES)
        slots = count + LANES * (len(self.parts) + 1)
        self.records = np.empty(slots * record.SIZE, np.float32)
        self.rows: Ints = np.zeros(slots, np.int32)
        self.keys: Ints = np.empty(slots, np.int32)
        self.boxes: tuple[Ints, Ints] = (np.empty(slots, np.int32), np.empty(slots, np.int32))
        self.radii = np.zeros(count + LANES, np.float32)
        self.regions: Longs = np.zeros((len(self.parts), 2), np.int64)
        self.regions[:, 0] = [first + LANES * k for k, (first, _) in enumerate(self.parts)]


class GradBuffers:
    """Gradients by records, one set per band, and by parameters. Rows of the model that were not visible are zero."""

    def __init__(self, params: dict[str, Floats], model: ModelBuffers, bands: int) -> None:
        self.by_records = zeros((bands, model.records.size))
        self.by_params = {name: zeros(array.shape) for name, array in params.items()}
        self.screen = zeros(params["opacities"].shape)
        self.written: list[Ints] = [np.empty(0, np.int32) for _ in model.parts]
        self.degree = 0


class FrameBuffers:
    """What is sized by the picture, sides padded to whole tiles."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.tiles = (-(-width // TILE), -(-height // TILE))
        shape = (self.tiles[1] * TILE, self.tiles[0] * TILE, 3)
        if shape[0] * shape[1] * shape[2] >= 2**31:
            raise ValueError(f"a picture of {width} x {height} pixels is larger than the rasteriser can number")
        self.picture, self.exposed, self.photo, self.by_picture = (np.zeros(shape, np.float32) for _ in range(4))
        self.similarities, self.errors = np.zeros(height), np.zeros(height)
        self.by_exposure = np.zeros((height, 6))
        self.loads: Ints = np.zeros(self.tiles[0] * self.tiles[1], np.int32)
        self.band_of: Ints = np.zeros_like(self.loads)


class Band:
    """One thread's share of the tiles: their lists, and scratch that fits in its cache."""

    def __init__(self) -> None:
        self.tiles = (0, 0)
        self.order: Ints = np.empty(0, np.int32)
        self.work: tuple[Longs, Longs] = (np.empty(0, np.int64), np.empty(0, np.int64))
        self.spans: Ints = np.empty((0, 3), np.int32)
        self.lists: Ints = np.empty(0, np.int32)
        self.offsets: Ints = np.empty(0, np.int32)
        self.used: Ints = np.empty(0, np.int32)
        self.scratch: Floats = np.empty(max(forward.SCRATCH, backward.SCRATCH), np.float32)

    def fit(self, tiles: tuple[int, int], pairs: int, listable: int) -> None:
        """Make room for the tiles tiles[0] to tiles[1], at most `pairs` Gaussians on them, `listable` different."""
        self.tiles = tiles
        if len(self.lists) < pairs:
            self.lists = np.empty(pairs + pairs // 4, np.int32)
            self.spans = np.empty((pairs + pairs // 4, 3), np.int32)
        if len(self.order) < listable:
            self.order = np.empty(listable, np.int32)
            self.work = (np.empty(listable + 1, np.int64), np.empty(listable + 1, np.int64))
        if len(self.offsets) != tiles[1] - tiles[0] + 1:
            self.offsets, self.used = (np.empty(tiles[1] - tiles[0] + 1, np.int32) for _ in range(2))

    @property
    def listed(self) -> tuple[Ints, Ints, Ints]:
        """What the kernels that walk the lists take."""
        return self.lists, self.offsets, self.used


def zeros(shape: tuple[int, ...]) -> Floats:
    """As np.zeros, in huge pages where numpy and the system have them: np.zeros never asks for these, np.empty does.

    Gradients by records are visited in the order of tiles, which misses small pages' address cache nearly each time.
    """
    array = np.empty(shape, np.float32)
    array.fill(0)
    return array


def split(count: int, parts: int, step: int) -> list[tuple[int, int]]:
    """0 to count in about equal runs whose borders are multiples of `step`; always at least one run."""
    blocks = -(-count // step)
    parts = max(1, min(parts, blocks))
    edges = [min(count, blocks * k // parts * step) for k in range(parts + 1)]
    return list(pairwise(edges))


def parts_for(count: int, threads: int) -> int:
    """In how many parts a model is worked on: many enough that threads with easy ones help with the others."""
    return max(threads, min(_MOST_PARTS * threads, count // _LEAST_PART))


_MOST_PARTS, _LEAST_PART = 8, 8192


def balanced(loads: Ints, parts: int) -> list[tuple[int, int]]:
    """Runs of tiles with about equal loads, at most `parts`, none empty."""
    total = np.cumsum(loads, dtype=np.int64)
    inner = np.searchsorted(total, total[-1] * np.arange(1, parts) / parts, side="right")
    edges = sorted({0, len(loads), *inner.tolist()})
    return list(pairwise(edges))
