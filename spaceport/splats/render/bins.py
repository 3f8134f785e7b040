"""Which Gaussians touch which tile, front to back.

The visible are sorted by depth once. Each thread owns a band of tile rows and fills its tiles' lists by walking that
order, so the lists come out sorted. The tiles that an ellipse touches in a row of tiles are found exactly, as in
Speedy-Splat (Hanson et al. 2024): from its widest points within the row.
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

_DIGIT = 11
_BUCKETS = 1 << _DIGIT
_PASSES = 3  # 33 bits: the sign, exponent and fraction of a positive float32


@kernel
def sort_by_depth(keys: Ints, regions: npt.NDArray[np.int64], order: Ints, work: Ints) -> int:
    """Slots by ascending key, stable, into `order`. Slots lie in `regions` [R, 2] as (first, count). Radix sort."""
    histogram = np.zeros((_PASSES, _BUCKETS), np.int64)
    count = 0
    for region in range(len(regions)):
        for slot in range(regions[region, 0], regions[region, 0] + regions[region, 1]):
            key = keys[slot]
            order[count] = slot
            count += 1
            for step in range(_PASSES):
                histogram[step, (key >> (_DIGIT * step)) & (_BUCKETS - 1)] += 1
    for step in range(_PASSES):
        source, target = (order, work) if step % 2 == 0 else (work, order)
        total = 0
        for bucket in range(_BUCKETS):
            here = histogram[step, bucket]
            histogram[step, bucket] = total
            total += here
        for i in range(count):
            slot = source[i]
            digit = (keys[slot] >> (_DIGIT * step)) & (_BUCKETS - 1)
            target[histogram[step, digit]] = slot
            histogram[step, digit] += 1
    order[:count] = work[:count]
    return count


@inlined
def tile_rows(records: Floats, base: int, rows: int) -> tuple[int, int]:
    """First tile row that a visible record's box meets, and the one after its last: at least one row."""
    y, reach = records[base + record.Y], records[base + record.REACH_Y]
    first = min(rows * TILE - 1.0, max(0.0, math.ceil(y - reach - 0.5)))
    last = max(0.0, min(rows * TILE - 1.0, math.floor(y + reach - 0.5)))
    begin = int(first) // TILE
    return begin, max(int(last) // TILE, begin) + 1


@kernel
def row_loads(records: Floats, order: Ints, count: int, hits: npt.NDArray[np.int64]) -> None:
    """How many Gaussians touch each tile row, and about how many tiles they touch there: hits [2, rows + 1]."""
    hits[:] = 0
    rows = hits.shape[1] - 1
    for i in range(count):
        base = order[i] * record.SIZE
        first, last = tile_rows(records, base, rows)
        tiles = int(min(records[base + record.REACH_X], 4096.0)) // (TILE // 2) + 1
        hits[0, first] += 1
        hits[0, last] -= 1
        hits[1, first] += tiles
        hits[1, last] -= tiles
    for row in range(1, rows + 1):
        hits[0, row] += hits[0, row - 1]
        hits[1, row] += hits[1, row - 1]


@inlined
def chord(records: Floats, base: int, low: float, high: float) -> tuple[float, float]:
    """The ellipse's extent in x, from its centre, between heights `low` and `high` from its centre."""
    reach, waist = records[base + record.REACH_Y], records[base + record.WAIST]
    slope, width = records[base + record.SLOPE], records[base + record.CHORD]
    per_reach = records[base + record.PER_REACH]
    low, high = max(low, -reach), min(high, reach)
    y = min(max(waist, low), high)
    right = slope * y + width * math.sqrt(max(np.float32(0.0), np.float32(1.0) - y * y * per_reach))
    y = min(max(-waist, low), high)
    return slope * y - width * math.sqrt(max(np.float32(0.0), np.float32(1.0) - y * y * per_reach)), right


@kernel
def find_spans(
    records: Floats, order: Ints, count: int, band: tuple[int, int], tiles: tuple[int, int], spans: Ints, offsets: Ints
) -> int:
    """Runs of tiles, front to back: spans [S, 3] of slot, first tile, number. Returns S.

    `band` is the first tile row and the one after the last; `tiles` is (columns, rows) of the picture.
    `offsets` gets where each of the band's tiles begins in the lists that `fill` writes, and the end.
    """
    columns, rows = tiles
    first_tile = band[0] * columns
    many = (band[1] - band[0]) * columns
    offsets[: many + 1] = 0
    found = 0
    for i in range(count):
        slot = order[i]
        base = slot * record.SIZE
        first, last = tile_rows(records, base, rows)
        x, y = records[base + record.X], records[base + record.Y]
        for row in range(max(first, band[0]), min(last, band[1])):
            low = np.float32(row * TILE) + np.float32(0.5) - y
            left, right = chord(records, base, low, low + np.float32(TILE - 1))
            begin = max(0.0, math.ceil(x + left - 0.501))
            end = min(columns * TILE - 1.0, math.floor(x + right - 0.499))
            if end < begin:
                continue
            column = int(begin) // TILE
            number = int(end) // TILE - column + 1
            tile = row * columns + column
            spans[found, 0], spans[found, 1], spans[found, 2] = slot, tile, number
            found += 1
            offsets[tile - first_tile] += 1
            offsets[tile - first_tile + number] -= 1
    here, total = np.int64(0), np.int64(0)
    for tile in range(many + 1):
        here += offsets[tile]
        offsets[tile] = total
        total += here
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
