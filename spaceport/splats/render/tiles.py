"""Which Gaussians intersect which tile, front to back: gsplat's `isect_tiles`.

Each thread owns a band of consecutive tiles, row by row. It sorts the visible Gaussians on its tile rows by depth and
appends them to its tiles' lists in that order, so the lists come out sorted. The tiles that a larger ellipse intersects
in a row of tiles are computed exactly, as in Speedy-Splat (Hanson et al. 2024), from its widest points within the row.
For a small one its box is as good.
"""

from __future__ import annotations

import math

import numpy as np

from spaceport.simd.jit import inline, kernel
from spaceport.simd.lanes import Ints, Longs
from spaceport.simd.memory import prefetch
from spaceport.splats.model import Floats
from spaceport.splats.render import record
from spaceport.splats.render.kernel_arguments import (
    COUNT,
    FIRST,
    FIRST_ID,
    FIRST_SORTED,
    FIRST_TILE,
    SPAN_LENGTH,
    SPAN_SLOT,
    SPAN_TILE,
    Band,
    BandLists,
    Projection,
    SortBuffers,
)

TILE_SIZE = 16
"""Pixels on a tile's side (gsplat's `tile_size`)."""

MAX_INTERSECTIONS = 2**30
"""Of Gaussians with tiles. No real model comes near; a hostile one must not overflow the int32 offsets."""

PACK = 1 << 16
"""A box of tiles is two int32: (first, last) column and (first, last) row, each as first + PACK * last."""

_TILE_COST = 4  # of an empty tile, in Gaussians
_PREFETCH_DISTANCE = 16
_DIGIT = 12
_BUCKETS = 1 << _DIGIT


@inline
def tile_rows_of(band: Band, columns: int) -> tuple[int, int]:
    """The first tile row of a band, and the one after the last."""
    return band.first // columns, (band.end - 1) // columns + 1


@kernel
def sort_by_depth(projection: Projection, rows: tuple[int, int], buffers: SortBuffers) -> int:
    """Sort the slots whose box intersects tile rows rows[0] to before rows[1] by depth, stably, into `buffers.order`.

    Depth keys are bit patterns of positive floats, which sort as the depths do. This is a radix sort with two digits of
    12 bits: of the bits that the keys of all visible need above the least key, the highest 24. They tell depths apart
    to a millionth or better, as float32 does, and order a pair equally in every band.

    Returns:
        How many slots that are.
    """
    order, first, second = buffers.order, buffers.first_keys, buffers.second_keys
    keys, tile_rows, regions = projection.depth_keys, projection.tile_rows, projection.regions
    low, high = np.int64(2**31 - 1), np.int64(0)
    count = 0
    for region in range(len(regions)):
        for slot in range(regions[region, FIRST], regions[region, FIRST] + regions[region, COUNT]):
            key = np.int64(keys[slot])
            low, high = min(low, key), max(high, key)
            second[count] = (key << 32) | slot
            box = tile_rows[slot]
            count += (box % PACK < rows[1]) & (box // PACK >= rows[0])
    shift = 0
    while (high - low) >> shift >= _BUCKETS * _BUCKETS:
        shift += 1
    histogram = np.zeros((2, _BUCKETS), np.int64)
    for i in range(count):
        key = ((second[i] >> 32) - low) >> shift
        histogram[0, key & (_BUCKETS - 1)] += 1
        histogram[1, key >> _DIGIT] += 1
    for step in range(2):
        total = 0
        for bucket in range(_BUCKETS):
            here = histogram[step, bucket]
            histogram[step, bucket] = total
            total += here
    for i in range(count):
        digit = (((second[i] >> 32) - low) >> shift) & (_BUCKETS - 1)
        first[histogram[0, digit]] = second[i]
        histogram[0, digit] += 1
    for i in range(count):
        digit = ((first[i] >> 32) - low) >> (shift + _DIGIT)
        order[histogram[1, digit]] = first[i] & (2**32 - 1)
        histogram[1, digit] += 1
    return count


@inline
def count_tiles(projection: Projection, first: int, end: int, tile_counts: Ints) -> None:
    """Count into `tile_counts` [rows + 1, columns + 1] how many boxes of slots first to before end cover each tile.

    The last row and the last column come out zero.
    """
    tile_counts[:] = 0
    columns, rows = projection.tile_columns, projection.tile_rows
    for slot in range(first, end):
        top, below = rows[slot] % PACK, rows[slot] // PACK + 1
        left, right = columns[slot] % PACK, columns[slot] // PACK + 1
        tile_counts[top, left] += 1
        tile_counts[top, right] -= 1
        tile_counts[below, left] -= 1
        tile_counts[below, right] += 1
    for row in range(tile_counts.shape[0]):
        here = np.int32(0)
        for column in range(tile_counts.shape[1]):
            here += tile_counts[row, column]
            tile_counts[row, column] = here if row == 0 else here + tile_counts[row - 1, column]


@kernel
def plan_bands(tile_counts: Ints, visible: int, plan: Longs) -> int:
    """Give each thread a band of tiles with about the same work, and its share of the memory for lists.

    Args:
        tile_counts: [parts, rows + 1, columns + 1] of `count_tiles`.
        visible: Gaussians.
        plan: [threads + 1, 3] is written, see `TileLists`; the last row gets the ends.

    Returns:
        How many entries the lists may have in all, or -1 when that is more than MAX_INTERSECTIONS.
    """
    threads, rows, columns = len(plan) - 1, tile_counts.shape[1] - 1, tile_counts.shape[2] - 1
    before = np.zeros(rows * columns + 1, np.int64)
    for row in range(rows):
        for column in range(columns):
            here = np.int64(0)
            for part in range(len(tile_counts)):
                here += tile_counts[part, row, column]
            tile = row * columns + column
            before[tile + 1] = before[tile] + here
    total = int(before[rows * columns])
    if total > MAX_INTERSECTIONS:
        return -1
    tile = 0
    for thread in range(threads + 1):
        while (before[tile] + tile * _TILE_COST) * threads < (total + rows * columns * _TILE_COST) * thread:
            tile += 1
        plan[thread, FIRST_TILE], plan[thread, FIRST_ID] = tile, before[tile]
    plan[0, FIRST_SORTED] = 0
    for thread in range(threads):
        first, end = tile_rows_of(Band(plan[thread, FIRST_TILE], plan[thread + 1, FIRST_TILE]), columns)
        touching = before[end * columns] - before[first * columns]
        plan[thread + 1, FIRST_SORTED] = plan[thread, FIRST_SORTED] + min(visible, touching) + 1
    return total


@inline
def ellipse_extent(records: Floats, base: int, low: float, high: float) -> tuple[float, float]:
    """The ellipse's extent in x, from its centre, between heights `low` and `high` from its centre."""
    radius, waist = records[base + record.RADIUS_Y], records[base + record.WAIST]
    slope, width = records[base + record.SLOPE], records[base + record.CHORD]
    inv_radius_y2 = records[base + record.INV_RADIUS_Y2]
    low, high = max(low, -radius), min(high, radius)
    up, down = min(max(waist, low), high), min(max(-waist, low), high)
    one, zero = np.float32(1.0), np.float32(0.0)
    right = slope * up + width * math.sqrt(max(zero, one - up * up * inv_radius_y2))
    return slope * down - width * math.sqrt(max(zero, one - down * down * inv_radius_y2)), right


@inline
def columns_in_row(records: Floats, base: int, row: int, first: int, last: int) -> tuple[int, int]:
    """Of the tile columns first to last, the first and the last that the ellipse intersects in a row of tiles."""
    low = np.float32(row * TILE_SIZE) + np.float32(0.5) - records[base + record.MEAN_Y]
    left, right = ellipse_extent(records, base, low, low + np.float32(TILE_SIZE - 1))
    x = records[base + record.MEAN_X] - np.float32(0.5)
    inv_tile, slack = np.float32(1 / TILE_SIZE), np.float32(1e-3)
    begin = int(max(np.float32(first), (x + left - slack) * inv_tile))
    end = int(min(np.float32(last), max(np.float32(-1.0), (x + right + slack) * inv_tile)))
    return begin, end


@inline
def find_spans(projection: Projection, order: Ints, band: Band, columns: int, spans: Ints, offsets: Ints) -> int:
    """Write the runs of the band's tiles under each Gaussian of `order` into `spans`, see `SortBuffers`.

    `offsets` [tiles + 1] gets where each tile's list begins, and the end of the last.

    Returns:
        How many spans there are.
    """
    records, tile_columns, tile_rows = projection.records, projection.tile_columns, projection.tile_rows
    offsets[:] = 0
    count = 0
    first_row, end_row = tile_rows_of(band, columns)
    for i in range(len(order)):
        slot = order[i]
        if i + _PREFETCH_DISTANCE < len(order):  # another thread's are far away, and blending needs them all
            prefetch(records, int(order[i + _PREFETCH_DISTANCE]) * record.SIZE)
        top, bottom = tile_rows[slot] % PACK, tile_rows[slot] // PACK
        left, right = tile_columns[slot] % PACK, tile_columns[slot] // PACK
        small = right - left < 2 and bottom - top < 2
        for row in range(max(top, first_row), min(bottom + 1, end_row)):
            begin, last = left, right
            if not small:
                begin, last = columns_in_row(records, slot * record.SIZE, row, left, right)
            begin = max(begin + row * columns, band.first) - band.first
            end = min(last + 1 + row * columns, band.end) - band.first
            if end <= begin:
                continue
            spans[count, SPAN_SLOT], spans[count, SPAN_TILE], spans[count, SPAN_LENGTH] = slot, begin, end - begin
            count += 1
            offsets[begin] += 1
            offsets[end] -= 1
    here, total = np.int32(0), np.int32(0)
    for tile in range(len(offsets)):
        here += offsets[tile]
        offsets[tile] = total
        total += here
    return count


@inline
def fill_lists(spans: Ints, count: int, band_lists: BandLists) -> None:
    """Write the lists of the band's tiles, front to back. `band_lists.used` serves as cursors."""
    cursors = band_lists.used
    cursors[:] = band_lists.isect_offsets
    for i in range(count):
        slot = spans[i, SPAN_SLOT]
        for tile in range(spans[i, SPAN_TILE], spans[i, SPAN_TILE] + spans[i, SPAN_LENGTH]):
            band_lists.flatten_ids[cursors[tile]] = slot
            cursors[tile] += 1


@kernel
def isect_tiles(projection: Projection, band: Band, columns: int, buffers: SortBuffers, band_lists: BandLists) -> None:
    """Write the lists of a band's tiles. `columns` is the picture's width in tiles."""
    visible = sort_by_depth(projection, tile_rows_of(band, columns), buffers)
    order, offsets = buffers.order[:visible], band_lists.isect_offsets
    spans = find_spans(projection, order, band, columns, buffers.spans, offsets)
    fill_lists(buffers.spans, spans, band_lists)
