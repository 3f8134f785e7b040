"""Which Gaussians touch which tile, front to back.

The visible are sorted by depth once. Each thread owns a band of tile rows and fills its tiles' lists by walking that
order, so the lists come out sorted. The tiles that a larger ellipse touches in a row of tiles are found exactly, as in
Speedy-Splat (Hanson et al. 2024): from its widest points within the row. For a small one its box is as good.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from spaceport.splats.model import Floats
from spaceport.splats.render import record
from spaceport.splats.render.jit import inlined, kernel

TILE = 16
"""Pixels on a tile's side."""

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]

MOST_PAIRS = 2**30
"""Of tiles and Gaussians on them. No real model comes near; a hostile one must not overflow what counts them."""

PACK = 1 << 16
"""A box of tiles is two int32: (first, last) column and (first, last) row, each as first + PACK * last."""

_DIGIT = 12
_BUCKETS = 1 << _DIGIT


@kernel
def sort_by_depth(keys: Ints, regions: Longs, order: Ints, work: tuple[Longs, Longs]) -> int:
    """Slots by ascending key into `order`, stable. Slots lie in `regions` [R, 2] as (first, count).

    Keys are bit patterns of positive floats, so their order is that of the depths. Radix sort with two digits: of the
    24 bits that keys need above the least, which tells depths apart to a millionth or better, as float32 does.
    """
    first, second = work
    low, high = np.int64(2**31 - 1), np.int64(0)
    count = 0
    for region in range(len(regions)):
        for slot in range(regions[region, 0], regions[region, 0] + regions[region, 1]):
            key = np.int64(keys[slot])
            low, high = min(low, key), max(high, key)
            second[count] = (key << 32) | slot
            count += 1
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


@kernel
def row_loads(boxes: tuple[Ints, Ints], regions: Longs, hits: Longs) -> None:
    """How many Gaussians touch each tile row, and how many tiles of their boxes lie there: hits [2, rows + 1]."""
    hits[:] = 0
    columns, rows = boxes
    for region in range(len(regions)):
        for slot in range(regions[region, 0], regions[region, 0] + regions[region, 1]):
            first, last = rows[slot] % PACK, rows[slot] // PACK
            tiles = columns[slot] // PACK - columns[slot] % PACK + 1
            hits[0, first] += 1
            hits[0, last + 1] -= 1
            hits[1, first] += tiles
            hits[1, last + 1] -= tiles
    for row in range(1, hits.shape[1]):
        hits[0, row] += hits[0, row - 1]
        hits[1, row] += hits[1, row - 1]


@inlined
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


@inlined
def columns_in_row(records: Floats, base: int, row: int, first: int, last: int) -> tuple[int, int]:
    """Of the tile columns first to last, those that the ellipse touches in a row of tiles."""
    low = np.float32(row * TILE) + np.float32(0.5) - records[base + record.Y]
    left, right = chord(records, base, low, low + np.float32(TILE - 1))
    x = records[base + record.X] - np.float32(0.5)
    per_tile, slack = np.float32(1 / TILE), np.float32(1e-3)
    begin = int(max(np.float32(first), (x + left - slack) * per_tile))
    end = int(min(np.float32(last), max(np.float32(-1.0), (x + right + slack) * per_tile)))
    return begin, end


@kernel
def find_spans(
    records: Floats,
    order: Ints,
    boxes: tuple[Ints, Ints],
    band: tuple[int, int],
    columns: int,
    spans: Ints,
    offsets: Ints,
) -> int:
    """Runs of tiles, front to back: spans [S, 3] of slot, first tile, number. Returns S; negative when the lists would
    be too long for int32.

    `band` is the first tile row and the one after the last; `columns` is the picture's width in tiles.
    `offsets` gets where each of the band's tiles begins in the lists that `fill` writes, and the end.
    """
    first_tile = band[0] * columns
    offsets[:] = 0
    found = 0
    for i in range(len(order)):
        slot = order[i]
        first_row, last_row = boxes[1][slot] % PACK, boxes[1][slot] // PACK
        if first_row >= band[1] or last_row < band[0]:
            continue
        left, right = boxes[0][slot] % PACK, boxes[0][slot] // PACK
        small = right - left < 2 and last_row - first_row < 2
        for row in range(max(first_row, band[0]), min(last_row + 1, band[1])):
            begin, end = left, right
            if not small:
                begin, end = columns_in_row(records, slot * record.SIZE, row, left, right)
                if end < begin:
                    continue
            tile = row * columns + begin - first_tile
            spans[found, 0], spans[found, 1], spans[found, 2] = slot, tile + first_tile, end - begin + 1
            found += 1
            offsets[tile] += 1
            offsets[tile + end - begin + 1] -= 1
    here, total = np.int64(0), np.int64(0)
    for tile in range(len(offsets)):
        here += offsets[tile]
        offsets[tile] = total
        total += here
        if total > MOST_PAIRS:
            return -1
    return found


@kernel
def fill(spans: Ints, found: int, first_tile: int, offsets: Ints, cursors: Ints, lists: Ints) -> None:
    """Write the tiles' lists: the slots of tile t stand from offsets[t - first_tile] on, front to back."""
    cursors[: len(offsets)] = offsets
    for i in range(found):
        slot = spans[i, 0]
        for tile in range(spans[i, 1] - first_tile, spans[i, 1] - first_tile + spans[i, 2]):
            lists[cursors[tile]] = slot
            cursors[tile] += 1
