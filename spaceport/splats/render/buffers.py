"""Memory that a rasteriser keeps between calls."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spaceport.splats.model import Floats
from spaceport.splats.render import backward, chain, colour, forward, loss, record
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
        self.order: Ints = np.empty(slots, np.int32)
        self.work: tuple[Longs, Longs] = (np.empty(slots, np.int64), np.empty(slots, np.int64))
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
        self.written: Ints = np.empty(0, np.int32)
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
        self.maps = np.zeros(loss.maps_shape(height, width), np.float32)
        self.similarities, self.errors = np.zeros(height), np.zeros(height)
        self.by_exposure = np.zeros((height, 6))
        self.hits: Longs = np.zeros((2, self.tiles[1] + 1), np.int64)
        self.band_of: Ints = np.zeros(self.tiles[1], np.int32)


@dataclass
class Band:
    """One thread's share of the tile rows: its lists, and scratch that fits in its cache."""

    rows: tuple[int, int]
    spans: Ints
    found: int
    lists: Ints
    offsets: Ints
    used: Ints
    scratch: Floats

    @staticmethod
    def empty() -> Band:
        nothing = np.empty(0, np.int32)
        return Band((0, 0), nothing.reshape(0, 3), 0, nothing, nothing, nothing, np.empty(0, np.float32))

    def fit(self, rows: tuple[int, int], hits: int, columns: int, width: int) -> None:
        """Make room for `rows` of tiles which Gaussians touch `hits` times."""
        self.rows = rows
        if len(self.spans) < hits:
            self.spans = np.empty((hits + hits // 4, 3), np.int32)
        many = (rows[1] - rows[0]) * columns
        if len(self.offsets) != many + 1:
            self.offsets, self.used = np.empty(many + 1, np.int32), np.empty(many + 1, np.int32)
        need = max(forward.SCRATCH, backward.SCRATCH, chain.BLOCK + colour.SCRATCH, loss.scratch_size(width))
        if len(self.scratch) != need:
            self.scratch = np.empty(need, np.float32)

    def fit_lists(self, pairs: int) -> None:
        if len(self.lists) < pairs:
            self.lists = np.empty(pairs + pairs // 4, np.int32)


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


def balanced(loads: Longs, parts: int) -> list[tuple[int, int]]:
    """Runs of rows with about equal loads, at most `parts`, none empty."""
    total = np.concatenate([[0], np.cumsum(loads)])
    wanted = total[-1] * np.arange(1, parts) / parts
    edges = np.unique([0, *(int(np.abs(total - w).argmin()) for w in wanted), len(loads)])
    return list(pairwise(edges.tolist()))
