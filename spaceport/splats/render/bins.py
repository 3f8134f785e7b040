"""Which Gaussians touch which tile, front to back.

Each thread owns a band: tiles that follow each other row by row. It sorts the visible that touch its rows by depth, and
fills its tiles' lists by walking that order, so the lists come out sorted. The tiles that a larger ellipse touches in a
row of tiles are found exactly, as in Speedy-Splat (Hanson et al. 2024): from its widest points within the row. For a
small one its box is as good.
"""

from __future__ import annotations

import math

import numpy as np

from spaceport.simd.jit import inline, kernel
from spaceport.simd.lanes import Ints, Longs
from spaceport.simd.memory import prefetch
from spaceport.splats.model import Floats
from spaceport.splats.render import record

TILE = 16
"""Pixels on a tile's side."""


MOST_PAIRS = 2**30
"""Of tiles and Gaussians on them. No real model comes near; a hostile one must not overflow what counts them."""

PACK = 1 << 16
"""A box of tiles is two int32: (first, last) column and (first, last) row, each as first + PACK * last."""

_TILE_LOAD = 4  # what a tile costs even when empty, in Gaussians
_AHEAD = 16
_DIGIT = 12
_BUCKETS = 1 << _DIGIT


@inline
def rows_of(band: tuple[int, int], columns: int) -> tuple[int, int]:
    """The first tile row of a band, and the one after the last."""
    return band[0] // columns, (band[1] - 1) // columns + 1


@kernel
def sort_by_depth(
    keys: Ints, tile_rows: Ints, regions: Longs, rows: tuple[int, int], order: Ints, work: tuple[Longs, Longs]
) -> int:
    """Slots whose box meets tile rows rows[0] to rows[1], by ascending key, into `order`, stable. Returns how many.

    Slots lie in `regions` [R, 2] as (first, count).

    Keys are bit patterns of positive floats, so their order is that of the depths. Radix sort with two digits: of the
    24 bits that keys of all visible need above the least, which tells depths apart to a millionth or better, as float32
    does, and orders a pair equally in every band.
    """
    first, second = work
    low, high = np.int64(2**31 - 1), np.int64(0)
    count = 0
    for region in range(len(regions)):
        for slot in range(regions[region, 0], regions[region, 0] + regions[region, 1]):
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
def count_tiles(boxes: tuple[Ints, Ints], first: int, end: int, loads: Ints) -> None:
    """How many boxes of slots first to end hold each tile, into loads [rows + 1, columns + 1] (the last ones are 0)."""
    loads[:] = 0
    columns, rows = boxes
    for slot in range(first, end):
        top, below = rows[slot] % PACK, rows[slot] // PACK + 1
        left, right = columns[slot] % PACK, columns[slot] // PACK + 1
        loads[top, left] += 1
        loads[top, right] -= 1
        loads[below, left] -= 1
        loads[below, right] += 1
    for row in range(loads.shape[0]):
        here = np.int32(0)
        for column in range(loads.shape[1]):
            here += loads[row, column]
            loads[row, column] = here if row == 0 else here + loads[row - 1, column]


@kernel
def plan_bands(loads: Ints, visible: int, plan: Longs) -> int:
    """Give each thread a band of tiles with about the same work, and its share of memory. Returns how long the lists
    may become, or -1 when that is more than MOST_PAIRS.

    `loads` [parts, rows + 1, columns + 1] are those of `count_tiles`; `visible` is the number of Gaussians. Into
    plan [T + 1, 3] goes, of each thread, the first tile, and where its shares of the lists and of the order begin; the
    last row gets the ends.
    """
    threads, rows, columns = len(plan) - 1, loads.shape[1] - 1, loads.shape[2] - 1
    before = np.zeros(rows * columns + 1, np.int64)
    for row in range(rows):
        for column in range(columns):
            here = np.int64(0)
            for part in range(len(loads)):
                here += loads[part, row, column]
            tile = row * columns + column
            before[tile + 1] = before[tile] + here
    total = int(before[rows * columns])
    if total > MOST_PAIRS:
        return -1
    tile = 0
    for thread in range(threads + 1):
        while (before[tile] + tile * _TILE_LOAD) * threads < (total + rows * columns * _TILE_LOAD) * thread:
            tile += 1
        plan[thread, 0], plan[thread, 1] = tile, before[tile]
    plan[0, 2] = 0
    for thread in range(threads):
        first, end = rows_of((plan[thread, 0], plan[thread + 1, 0]), columns)
        touching = before[end * columns] - before[first * columns]
        plan[thread + 1, 2] = plan[thread, 2] + min(visible, touching) + 1
    return total


@inline
def chord(records: Floats, base: int, low: float, high: float) -> tuple[float, float]:
    """The ellipse's extent in x, from its centre, between heights `low` and `high` from its centre."""
    reach, waist = records[base + record.REACH_Y], records[base + record.WAIST]
    slope, width = records[base + record.SLOPE], records[base + record.CHORD]
    per_reach = records[base + record.PER_REACH]
    low, high = max(low, -reach), min(high, reach)
    up, down = min(max(waist, low), high), min(max(-waist, low), high)
    one, zero = np.float32(1.0), np.float32(0.0)
    right = slope * up + width * math.sqrt(max(zero, one - up * up * per_reach))
    return slope * down - width * math.sqrt(max(zero, one - down * down * per_reach)), right


@inline
def columns_in_row(records: Floats, base: int, row: int, first: int, last: int) -> tuple[int, int]:
    """Of the tile columns first to last, those that the ellipse touches in a row of tiles."""
    low = np.float32(row * TILE) + np.float32(0.5) - records[base + record.Y]
    left, right = chord(records, base, low, low + np.float32(TILE - 1))
    x = records[base + record.X] - np.float32(0.5)
    per_tile, slack = np.float32(1 / TILE), np.float32(1e-3)
    begin = int(max(np.float32(first), (x + left - slack) * per_tile))
    end = int(min(np.float32(last), max(np.float32(-1.0), (x + right + slack) * per_tile)))
    return begin, end


@inline
def find_spans(
    records: Floats,
    order: Ints,
    boxes: tuple[Ints, Ints],
    band: tuple[int, int],
    columns: int,
    spans: Ints,
    offsets: Ints,
) -> int:
    """Runs of the band's tiles, front to back: spans [S, 3] of slot, first tile in the band, number. Returns S.

    `offsets` gets where each of the band's tiles begins in the lists that `fill` writes, and the end.
    """
    offsets[:] = 0
    found = 0
    first_row, end_row = rows_of(band, columns)
    for i in range(len(order)):
        slot = order[i]
        if i + _AHEAD < len(order):  # those that another thread wrote are far away; drawing needs them all
            prefetch(records, int(order[i + _AHEAD]) * record.SIZE)
        top, bottom = boxes[1][slot] % PACK, boxes[1][slot] // PACK
        left, right = boxes[0][slot] % PACK, boxes[0][slot] // PACK
        small = right - left < 2 and bottom - top < 2
        for row in range(max(top, first_row), min(bottom + 1, end_row)):
            begin, last = left, right
            if not small:
                begin, last = columns_in_row(records, slot * record.SIZE, row, left, right)
            begin = max(begin + row * columns, band[0]) - band[0]
            end = min(last + 1 + row * columns, band[1]) - band[0]
            if end <= begin:
                continue
            spans[found, 0], spans[found, 1], spans[found, 2] = slot, begin, end - begin
            found += 1
            offsets[begin] += 1
            offsets[end] -= 1
    here, total = np.int32(0), np.int32(0)
    for tile in range(len(offsets)):
        here += offsets[tile]
        offsets[tile] = total
        total += here
    return found


@inline
def fill(spans: Ints, found: int, offsets: Ints, cursors: Ints, lists: Ints) -> None:
    """Write the tiles' lists: the slots of the band's tile t stand from offsets[t] on, front to back."""
    cursors[:] = offsets
    for i in range(found):
        slot = spans[i, 0]
        for tile in range(spans[i, 1], spans[i, 1] + spans[i, 2]):
            lists[cursors[tile]] = slot
            cursors[tile] += 1


@kernel
def list_tiles(
    records: Floats,
    visible: tuple[Ints, Ints, Ints, Longs],
    band: tuple[int, int],
    columns: int,
    room: tuple[Ints, tuple[Longs, Longs], Ints],
    listed: tuple[Ints, Ints, Ints],
) -> None:
    """The lists of a band's tiles from `visible`: (keys, boxes' columns, boxes' rows, regions).

    `band` is the first tile and the one after the last, numbered row by row; `columns` is the picture's width in tiles.
    `room` is (order, work of the sort, spans). `listed` is (lists, offsets, used), and its `used` serves as cursors.
    """
    keys, box_columns, box_rows, regions = visible
    order, work, spans = room
    lists, offsets, used = listed
    count = sort_by_depth(keys, box_rows, regions, rows_of(band, columns), order, work)
    found = find_spans(records, order[:count], (box_columns, box_rows), band, columns, spans, offsets)
    fill(spans, found, offsets, used, lists)
