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
from spaceport.splats.render.tiles import TILE_SIZE

BLOCK_WIDTH, BLOCK_HEIGHT = 4, 4
"""A block's pixels."""
PIXELS = TILE_SIZE * TILE_SIZE
BLOCKS = PIXELS // LANES

_lanes = np.arange(LANES)
_PATTERN = np.concatenate(
    [
        _lanes % BLOCK_WIDTH,  # a pixel's column and row in its block
        _lanes // BLOCK_WIDTH,
        _lanes % (TILE_SIZE // BLOCK_WIDTH) * BLOCK_WIDTH,  # a block's first column and row in its tile
        _lanes // (TILE_SIZE // BLOCK_WIDTH) * BLOCK_HEIGHT,
    ]
).astype(np.float32)
BLOCK_ORIGINS = np.stack([_PATTERN[2 * LANES : 3 * LANES], _PATTERN[3 * LANES :]], axis=1).astype(np.int64)
"""[16, 2] x and y of each block's first pixel in the tile."""

EX, EY, GX, GY, POWER, EXX, EXY, EYY = (LANES * k for k in range(8))
"""Where in scratch `intersect_blocks` writes its vectors for one Gaussian; they have one lane per block."""
_PER_GAUSSIAN = 8 * LANES

BATCH = 16
"""Gaussians whose blocks are computed before any of them is blended. One by one, each would wait out the latency of
that computation, as the processor cannot predict where the loop over the blocks before it ends."""
SCRATCH = BATCH * _PER_GAUSSIAN


@inline
def pixel_x() -> Lanes:
    """Each lane's column in a block."""
    return load(_PATTERN, 0)


@inline
def pixel_y() -> Lanes:
    """Each lane's row in a block."""
    return load(_PATTERN, LANES)


@inline
def intersect_blocks(records: Floats, base: int, left: float, top: float, scratch: Floats, squares: bool) -> int:
    """Bits of the blocks that a record's ellipse intersects, of the tile whose first pixel is (left, top).

    Writes into scratch, per block: the offset (EX, EY) of its first pixel from the mean, and there log2 of alpha
    (POWER) and its gradient (GX, GY); with `squares`, also the products of the offset (EXX, EXY, EYY).
    """
    radius, waist = broadcast_load(records, base + record.RADIUS_Y), broadcast_load(records, base + record.WAIST)
    slope, ellipse_extent = broadcast_load(records, base + record.SLOPE), broadcast_load(records, base + record.CHORD)
    inv_radius_y2 = broadcast_load(records, base + record.INV_RADIUS_Y2)
    ex = load(_PATTERN, 2 * LANES) + (np.float32(left) + np.float32(0.5) - records[base + record.MEAN_X])
    ey = load(_PATTERN, 3 * LANES) + (np.float32(top) + np.float32(0.5) - records[base + record.MEAN_Y])
    low, high = maximum(ey, -radius), minimum(ey + np.float32(BLOCK_HEIGHT - 1), radius)
    up, down = minimum(maximum(waist, low), high), minimum(maximum(-waist, low), high)
    zero = broadcast(0.0)
    right_end = fma(ellipse_extent, sqrt_fast(maximum(1.0 - up * up * inv_radius_y2, zero)), slope * up)
    left_end = slope * down - ellipse_extent * sqrt_fast(maximum(1.0 - down * down * inv_radius_y2, zero))
    hit = (ex <= right_end + 0.001) & (ex + np.float32(BLOCK_WIDTH - 1) >= left_end - 0.001) & (low <= high)
    xx, xy, yy = (
        broadcast_load(records, base + record.CONIC_XX),
        broadcast_load(records, base + record.CONIC_XY),
        broadcast_load(records, base + record.CONIC_YY),
    )
    gx, gy = fma(xx, ex, xy * ey), fma(xy, ex, yy * ey)
    store(scratch, EX, ex)
    store(scratch, EY, ey)
    store(scratch, GX, gx)
    store(scratch, GY, gy)
    log2_opacity = broadcast_load(records, base + record.LOG2_OPACITY)
    store(scratch, POWER, fma(broadcast(0.5), fma(gx, ex, gy * ey), log2_opacity))
    if squares:
        store(scratch, EXX, ex * ex)
        store(scratch, EXY, ex * ey)
        store(scratch, EYY, ey * ey)
    mask: int = packmask(hit)
    return mask


@inline
def intersect_batch(
    records: Floats,
    slots: Ints,
    corner: tuple[int, int],
    scratch: Floats,
    masks: npt.NDArray[np.int64],
    squares: bool,
) -> None:
    """`intersect_blocks` for up to BATCH slots, into `masks` and each one's part of scratch; see `batch_values`."""
    for k in range(len(slots)):
        base = int(slots[k]) * record.SIZE
        masks[k] = intersect_blocks(records, base, corner[0], corner[1], scratch[k * _PER_GAUSSIAN :], squares)


@inline
def batch_values(scratch: Floats, k: int) -> Floats:
    """What `intersect_batch` wrote for the k-th slot."""
    return scratch[k * _PER_GAUSSIAN :]


@inline
def quadratic(records: Floats, base: int, x: Lanes, y: Lanes) -> Lanes:
    """The part of log2 of alpha that is equal in all blocks: the quadratic of a pixel's place in its block."""
    xx, yy = broadcast_load(records, base + record.CONIC_XX), broadcast_load(records, base + record.CONIC_YY)
    return fma(0.5 * xx * x, x, fma(0.5 * yy * y, y, broadcast_load(records, base + record.CONIC_XY) * x * y))


@inline
def log2_alpha(scratch: Floats, block: int, quadratic_part: Lanes, x: Lanes, y: Lanes) -> Lanes:
    """log2 of alpha at the pixels of a block, from `batch_values` and `quadratic`."""
    return fma(
        x,
        broadcast_load(scratch, GX + block),
        fma(y, broadcast_load(scratch, GY + block), quadratic_part + broadcast_load(scratch, POWER + block)),
    )


@inline
def is_opaque(transmittances: Floats) -> bool:
    """Whether all pixels of a tile have a transmittance of at most TRANSMITTANCE_THRESHOLD."""
    most = load(transmittances, 0)
    for block in range(1, BLOCKS):
        most = maximum(most, load(transmittances, block * LANES))
    open_pixels: int = packmask(most > record.TRANSMITTANCE_THRESHOLD)
    return open_pixels == 0
