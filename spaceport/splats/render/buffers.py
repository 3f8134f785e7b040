"""Memory that a rasteriser keeps between calls."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from spaceport.simd.lanes import LANES, Ints
from spaceport.splats.model import Floats
from spaceport.splats.render import record
from spaceport.splats.render.bins import TILE, plan_bands
from spaceport.splats.render.iteration import Canvas, Lists, Sums, Visible
from spaceport.splats.render.step import Params, arrays_of

_MOST_PARTS, _LEAST_PART = 8, 8192


class ModelBuffers:
    """What is sized by the number of Gaussians. Slots: each part of the model has its own run, with a gap of 16.

    There are more parts than threads in a large model, so that who has easy ones helps with the others.
    """

    def __init__(self, count: int, threads: int) -> None:
        self.parts = split(count, max(threads, min(_MOST_PARTS * threads, count // _LEAST_PART)), LANES)
        slots = count + LANES * (len(self.parts) + 1)
        regions = np.zeros((len(self.parts), 2), np.int64)
        regions[:, 0] = [first + LANES * k for k, (first, _) in enumerate(self.parts)]
        self.visible = Visible(
            records=empty((slots * record.SIZE,)),
            rows=np.zeros(slots, np.int32),
            keys=np.empty(slots, np.int32),
            columns=np.empty(slots, np.int32),
            tile_rows=np.empty(slots, np.int32),
            regions=regions,
            radii=np.zeros(count + LANES, np.float32),
        )


class GradBuffers:
    """Gradients by records, one set per thread, and by parameters. Rows of the model that were not visible are zero."""

    def __init__(self, params: Params, visible: Visible, threads: int) -> None:
        self.by_params = {name: zeros(array.shape) for name, array in params.items()}
        self.screen = zeros(params["opacities"].shape)
        self.sums = Sums(
            by_records=zeros((threads, visible.records.size)),
            outputs=(*arrays_of(self.by_params), self.screen),
            written=np.empty_like(visible.rows),
            counts=np.zeros(len(visible.regions), np.int64),
        )
        self.degree = 0


def make_canvas(height: int, width: int) -> Canvas:
    """What is sized by the picture, sides padded to whole tiles.

    Raises:
        ValueError: for more pixels than int32 can number.
    """
    columns, rows = -(-width // TILE), -(-height // TILE)
    shape = (rows * TILE, columns * TILE, 3)
    if shape[0] * shape[1] * shape[2] >= 2**31:
        raise ValueError(f"a picture of {width} x {height} pixels is larger than the rasteriser can number")
    picture, exposed, photo, by_picture = (np.zeros(shape, np.float32) for _ in range(4))
    loads, band_of = np.zeros(rows * columns, np.int32), np.zeros(rows * columns, np.int32)
    by_rows = (np.zeros(height), np.zeros(height), np.zeros((height, 6)))
    return Canvas(height, width, columns, picture, exposed, photo, by_picture, loads, band_of, *by_rows)


def no_lists(threads: int) -> Lists:
    nothing, work = np.empty(0, np.int32), np.empty(0, np.int64)
    plan = np.zeros((threads + 1, 3), np.int64)
    return Lists(plan, nothing, work, work, nothing.reshape(0, 3), nothing, nothing, nothing)


def plan_lists(old: Lists, loads: Ints, visible: int) -> Lists:
    """Lists for these loads, see `plan_bands`; the memory of `old` is used again where it is enough.

    Raises:
        ValueError: for more pairs of tiles and Gaussians than can be listed.
    """
    listed = plan_bands(loads, visible, old.plan)
    if listed < 0:
        raise ValueError("the Gaussians are so large that together they cover more tiles than can be listed")
    ordered, offsets, lists = int(old.plan[-1, 2]), loads[0].size + len(old.plan), old
    if len(old.lists) < listed:
        room = listed + listed // 4
        lists = lists._replace(lists=np.empty(room, np.int32), spans=np.empty((room, 3), np.int32))
    if len(old.order) < ordered:
        room = ordered + ordered // 4
        work = (np.empty(room, np.int64), np.empty(room, np.int64))
        lists = lists._replace(order=np.empty(room, np.int32), first_work=work[0], second_work=work[1])
    if len(old.used) < offsets:
        lists = lists._replace(offsets=np.empty(offsets, np.int32), used=np.empty(offsets, np.int32))
    return lists


def empty(shape: tuple[int, ...]) -> Floats:
    """As np.empty, beginning with a cache line: a record that lies in two costs twice."""
    count = int(np.prod(shape))
    spare = np.empty(count + _LINE, np.float32)
    first = -(spare.ctypes.data // 4) % _LINE
    return spare[first : first + count].reshape(shape)


_LINE = 16  # floats


def zeros(shape: tuple[int, ...]) -> Floats:
    """As np.zeros, in huge pages where numpy and the system have them: np.zeros never asks for these, np.empty does.

    Gradients by records are visited in the order of tiles, which misses small pages' address cache nearly each time.
    """
    array = empty(shape)
    array.fill(0)
    return array


def split(count: int, parts: int, step: int) -> list[tuple[int, int]]:
    """0 to count in about equal runs whose borders are multiples of `step`; always at least one run."""
    blocks = -(-count // step)
    parts = max(1, min(parts, blocks))
    edges = [min(count, blocks * k // parts * step) for k in range(parts + 1)]
    return list(pairwise(edges))
