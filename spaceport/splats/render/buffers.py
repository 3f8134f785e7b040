"""Memory that a rasteriser keeps between calls."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from spaceport.simd.lanes import LANES, Ints
from spaceport.splats.model import Floats
from spaceport.splats.render import record
from spaceport.splats.render.interface import Params, to_parameters
from spaceport.splats.render.kernel_arguments import (
    COUNT,
    FIRST,
    FIRST_SORTED,
    Canvas,
    Gradients,
    GradSums,
    Part,
    Projection,
    TileLists,
)
from spaceport.splats.render.tiles import TILE_SIZE, plan_bands

_PARTS_PER_THREAD, _SMALLEST_PART = 8, 8192


class ModelBuffers:
    """What is sized by the number of Gaussians. Each part of the model has its own region of slots, with gaps of 16.

    A large model has more parts than threads, so that a thread whose parts are quick takes over others.
    """

    def __init__(self, count: int, threads: int) -> None:
        runs = split(count, max(threads, min(_PARTS_PER_THREAD * threads, count // _SMALLEST_PART)), LANES)
        slots = count + LANES * (len(runs) + 1)
        self.parts = [Part(first, end, first + LANES * k) for k, (first, end) in enumerate(runs)]
        regions = np.zeros((len(runs), 2), np.int64)
        regions[:, FIRST] = [part.slot for part in self.parts]
        self.projection = Projection(
            records=empty((slots * record.SIZE,)),
            rows=np.zeros(slots, np.int32),
            depth_keys=np.empty(slots, np.int32),
            tile_columns=np.empty(slots, np.int32),
            tile_rows=np.empty(slots, np.int32),
            regions=regions,
            radii=np.zeros(count + LANES, np.float32),
        )

    @property
    def visible(self) -> int:
        """How many Gaussians were visible in the last projection."""
        return int(self.projection.regions[:, COUNT].sum())


class GradBuffers:
    """Gradients by records, one set per thread, and by parameters. Rows of the model that were not visible are zero."""

    def __init__(self, params: Params, projection: Projection, threads: int) -> None:
        self.by_name = {name: zeros(array.shape) for name, array in params.items()}
        self.means2d = zeros(params["opacities"].shape)
        self.sums = GradSums(
            grad_records=zeros((threads, projection.records.size)),
            gradients=Gradients(*to_parameters(self.by_name), means2d=self.means2d),
            written=np.empty_like(projection.rows),
            counts=np.zeros(len(projection.regions), np.int64),
        )
        self.sh_degree = 0


def make_canvas(height: int, width: int) -> Canvas:
    """What is sized by the picture, sides padded to whole tiles.

    Raises:
        ValueError: for more pixels than int32 can number.
    """
    columns, rows = -(-width // TILE_SIZE), -(-height // TILE_SIZE)
    shape = (rows * TILE_SIZE, columns * TILE_SIZE, 3)
    if shape[0] * shape[1] * shape[2] >= 2**31:
        raise ValueError(f"a picture of {width} x {height} pixels is larger than the rasteriser can number")
    return Canvas(
        height=height,
        width=width,
        columns=columns,
        picture=np.zeros(shape, np.float32),
        exposed=np.zeros(shape, np.float32),
        photo=np.zeros(shape, np.float32),
        grad_picture=np.zeros(shape, np.float32),
        tile_costs=np.zeros(rows * columns, np.int32),
        band_of_tile=np.zeros(rows * columns, np.int32),
        row_ssim=np.zeros(height),
        row_l1=np.zeros(height),
        row_grad_exposure=np.zeros((height, 6)),
    )


def no_lists(threads: int) -> TileLists:
    """Lists without memory, for `plan_lists` to begin with."""
    ints, longs = np.empty(0, np.int32), np.empty(0, np.int64)
    return TileLists(
        plan=np.zeros((threads + 1, 3), np.int64),
        order=ints,
        first_keys=longs,
        second_keys=longs,
        spans=ints.reshape(0, 3),
        flatten_ids=ints,
        isect_offsets=ints,
        used=ints,
    )


def plan_lists(old: TileLists, tile_counts: Ints, visible: int) -> TileLists:
    """Lists for these counts, see `plan_bands`; the memory of `old` is used again where it is large enough.

    Raises:
        ValueError: for more intersections of tiles and Gaussians than can be listed.
    """
    intersections = plan_bands(tile_counts, visible, old.plan)
    if intersections < 0:
        raise ValueError("the Gaussians are so large that together they cover more tiles than can be listed")
    ordered, offsets, lists = int(old.plan[-1, FIRST_SORTED]), tile_counts[0].size + len(old.plan), old
    if len(old.flatten_ids) < intersections:
        size = intersections + intersections // 4
        lists = lists._replace(flatten_ids=np.empty(size, np.int32), spans=np.empty((size, 3), np.int32))
    if len(old.order) < ordered:
        size = ordered + ordered // 4
        keys = (np.empty(size, np.int64), np.empty(size, np.int64))
        lists = lists._replace(order=np.empty(size, np.int32), first_keys=keys[0], second_keys=keys[1])
    if len(old.used) < offsets:
        lists = lists._replace(isect_offsets=np.empty(offsets, np.int32), used=np.empty(offsets, np.int32))
    return lists


def empty(shape: tuple[int, ...]) -> Floats:
    """As np.empty, aligned to a cache line: a record that lies in two lines costs twice."""
    count = int(np.prod(shape))
    padded = np.empty(count + _LINE, np.float32)
    first = -(padded.ctypes.data // 4) % _LINE
    return padded[first : first + count].reshape(shape)


_LINE = 16  # floats


def zeros(shape: tuple[int, ...]) -> Floats:
    """As np.zeros, in huge pages where numpy and the system have them: np.empty asks for these, np.zeros never does.

    Gradients by records are visited in the order of tiles, which misses the TLB nearly each time with small pages.
    """
    array = empty(shape)
    array.fill(0)
    return array


def split(count: int, parts: int, step: int) -> list[tuple[int, int]]:
    """0 to `count` in about equal runs (first, end) at multiples of `step`; always at least one run."""
    blocks = -(-count // step)
    parts = max(1, min(parts, blocks))
    edges = [min(count, blocks * k // parts * step) for k in range(parts + 1)]
    return list(pairwise(edges))
