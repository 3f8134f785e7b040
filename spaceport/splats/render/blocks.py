"""A tile as 16 blocks of 16 pixels: a vector holds one value per pixel of a block, or one per block of a tile."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spaceport.simd.jit import inline
from spaceport.simd.lanes import LANES, Ints, Lanes
from spaceport.simd.memory import broadcast_load, load, store
from spaceport.simd.ops import broadcast, fma, maximum, minimum, packmask, sqrt_fast
from spaceport.splats.model import Floats
from spaceport.splats.render import record
from spaceport.splats.render.bins import TILE

WIDE, HIGH = 4, 4
"""A block's pixels."""
PIXELS = TILE * TILE
BLOCKS = PIXELS // LANES

_lanes = np.arange(LANES)
_PATTERN = np.concatenate(
    [
        _lanes % WIDE,  # a pixel's place in its block
        _lanes // WIDE,
        _lanes % (TILE // WIDE) * WIDE,  # a block's place in its tile
        _lanes // (TILE // WIDE) * HIGH,
    ]
).astype(np.float32)
PLACES = np.stack([_PATTERN[2 * LANES : 3 * LANES], _PATTERN[3 * LANES :]], axis=1).astype(np.int64)
"""[16, 2] x and y of each block's first pixel in the tile."""

EX, EY, GX, GY, PEAK, EXX, EXY, EYY = (LANES * k for k in range(8))
"""Where `touched` leaves its vectors for one Gaussian, one lane per block."""
_SHARE = 8 * LANES

BATCH = 16
"""Gaussians whose blocks are found before any of them is blended. Else each would wait for the long chain of steps that
finds its blocks, as the processor cannot guess where the loop over the blocks before it ends."""
SCRATCH = BATCH * _SHARE


@inline
def pixel_x() -> Lanes:
    """Each lane's column in a block."""
    return load(_PATTERN, 0)


@inline
def pixel_y() -> Lanes:
    """Each lane's row in a block."""
    return load(_PATTERN, LANES)


@inline
def touched(records: Floats, base: int, left: float, top: float, scratch: Floats, squares: bool) -> int:
    """Which blocks of the tile at pixel (left, top) a record's ellipse touches, as bits.

    Leaves in scratch, per block: the offset (EX, EY) of its first pixel from the ellipse's centre, and there the
    exponent (PEAK) and its gradient (GX, GY); with `squares`, also products of the offset.
    """
    reach, waist = broadcast_load(records, base + record.REACH_Y), broadcast_load(records, base + record.WAIST)
    slope, chord = broadcast_load(records, base + record.SLOPE), broadcast_load(records, base + record.CHORD)
    per_reach = broadcast_load(records, base + record.PER_REACH)
    ex = load(_PATTERN, 2 * LANES) + (np.float32(left) + np.float32(0.5) - records[base + record.X])
    ey = load(_PATTERN, 3 * LANES) + (np.float32(top) + np.float32(0.5) - records[base + record.Y])
    low, high = maximum(ey, -reach), minimum(ey + np.float32(HIGH - 1), reach)
    up, down = minimum(maximum(waist, low), high), minimum(maximum(-waist, low), high)
    zero = broadcast(0.0)
    right_end = fma(chord, sqrt_fast(maximum(1.0 - up * up * per_reach, zero)), slope * up)
    left_end = slope * down - chord * sqrt_fast(maximum(1.0 - down * down * per_reach, zero))
    hit = (ex <= right_end + 0.001) & (ex + np.float32(WIDE - 1) >= left_end - 0.001) & (low <= high)
    xx, xy, yy = (
        broadcast_load(records, base + record.XX),
        broadcast_load(records, base + record.XY),
        broadcast_load(records, base + record.YY),
    )
    gx, gy = fma(xx, ex, xy * ey), fma(xy, ex, yy * ey)
    store(scratch, EX, ex)
    store(scratch, EY, ey)
    store(scratch, GX, gx)
    store(scratch, GY, gy)
    store(scratch, PEAK, fma(broadcast(0.5), fma(gx, ex, gy * ey), broadcast_load(records, base + record.PEAK)))
    if squares:
        store(scratch, EXX, ex * ex)
        store(scratch, EXY, ex * ey)
        store(scratch, EYY, ey * ey)
    found: int = packmask(hit)
    return found


@inline
def touched_by(
    records: Floats,
    listed: Ints,
    corner: tuple[int, int],
    scratch: Floats,
    masks: npt.NDArray[np.int64],
    squares: bool,
) -> None:
    """`touched` for up to BATCH records: each has its own share of scratch."""
    for k in range(len(listed)):
        base = int(listed[k]) * record.SIZE
        masks[k] = touched(records, base, corner[0], corner[1], scratch[k * _SHARE :], squares)


@inline
def share(scratch: Floats, k: int) -> Floats:
    """What `touched_by` left for the k-th record."""
    return scratch[k * _SHARE :]


@inline
def bend(records: Floats, base: int, x: Lanes, y: Lanes) -> Lanes:
    """The part of the exponent that is equal in all blocks: the quadratic of the place within a block."""
    xx, yy = broadcast_load(records, base + record.XX), broadcast_load(records, base + record.YY)
    return fma(0.5 * xx * x, x, fma(0.5 * yy * y, y, broadcast_load(records, base + record.XY) * x * y))


@inline
def exponent(scratch: Floats, block: int, bent: Lanes, x: Lanes, y: Lanes) -> Lanes:
    """log2 of alpha at the pixels of a block."""
    return fma(
        x,
        broadcast_load(scratch, GX + block),
        fma(y, broadcast_load(scratch, GY + block), bent + broadcast_load(scratch, PEAK + block)),
    )


@inline
def finished(light: Floats) -> bool:
    """Whether every pixel of a tile is opaque."""
    most = load(light, 0)
    for block in range(1, BLOCKS):
        most = maximum(most, load(light, block * LANES))
    lit: int = packmask(most > record.OPAQUE)
    return lit == 0
