"""Front-to-back alpha blending of tiles (Kerbl et al. 2023): gsplat's `rasterize_to_pixels`, forward."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spaceport.simd.jit import inline, kernel
from spaceport.simd.lanes import LANES, Ints, Lanes
from spaceport.simd.memory import broadcast_load, load, scatter, store
from spaceport.simd.ops import broadcast, count_trailing_zeros, exp2_fast, fma, minimum, select, to_ints
from spaceport.splats.model import Floats
from spaceport.splats.render import record
from spaceport.splats.render.blocks import (
    BATCH,
    BLOCK_ORIGINS,
    BLOCKS,
    PIXELS,
    batch_values,
    intersect_batch,
    is_opaque,
    log2_alpha,
    pixel_x,
    pixel_y,
    quadratic,
)
from spaceport.splats.render.blocks import SCRATCH as _BLOCK_SCRATCH
from spaceport.splats.render.kernel_arguments import Band, BandLists, Canvas
from spaceport.splats.render.tiles import TILE_SIZE

_SCRATCH = 4 * PIXELS + _BLOCK_SCRATCH
_GAUSSIAN_COST, _TILE_COST = 2, 16
"""Of a Gaussian on a tile besides its blocks, and of a tile besides its Gaussians, in blocks."""


@inline
def clamp_alpha(p: Lanes) -> Lanes:
    """alpha = 2^p: at most MAX_ALPHA, and 0 where it is under 1/255."""
    return select(p >= -record.LOG2_255, minimum(exp2_fast(p), broadcast(record.MAX_ALPHA)), broadcast(0.0))


@inline
def _blend_tile(
    records: Floats, slots: Ints, corner: tuple[int, int], scratch: Floats, masks: npt.NDArray[np.int64]
) -> tuple[int, int]:
    """Blend `slots` into scratch: transmittances, red, green, blue. Returns how many were used, and their blocks."""
    transmittances, colour, work = scratch[:PIXELS], scratch[PIXELS : 4 * PIXELS], scratch[4 * PIXELS :]
    x, y = pixel_x(), pixel_y()
    used, blocks = len(slots), 0
    for begin in range(0, len(slots), BATCH):
        if begin > 0 and is_opaque(transmittances):
            used = begin
            break
        batch = slots[begin : min(begin + BATCH, len(slots))]
        intersect_batch(records, batch, corner, work, masks, False)
        for k in range(len(batch)):
            base = int(batch[k]) * record.SIZE
            block_values = batch_values(work, k)
            quadratic_part = quadratic(records, base, x, y)
            red, green, blue = (
                broadcast_load(records, base + record.RED),
                broadcast_load(records, base + record.GREEN),
                broadcast_load(records, base + record.BLUE),
            )
            remaining = masks[k]
            while remaining != 0:
                block = count_trailing_zeros(remaining)
                remaining &= remaining - 1
                blocks += 1
                at = block * LANES
                alpha = clamp_alpha(log2_alpha(block_values, block, quadratic_part, x, y))
                transmittance = load(transmittances, at)
                weight = alpha * transmittance
                store(transmittances, at, transmittance - weight)
                store(colour, at, fma(weight, red, load(colour, at)))
                store(colour, at + PIXELS, fma(weight, green, load(colour, at + PIXELS)))
                store(colour, at + 2 * PIXELS, fma(weight, blue, load(colour, at + 2 * PIXELS)))
    return used, blocks


@kernel
def blend(
    records: Floats,
    band_lists: BandLists,
    band: Band,
    canvas: Canvas,
    background: tuple[float, float, float],
    exposure: Floats,
) -> None:
    """Blend the tiles of a band into canvas.picture.

    Writes band_lists.used and canvas.tile_costs. With `exposure` [6] (3 gains, 3 biases; empty for none) writes
    canvas.exposed too.
    """
    lists, offsets, used = band_lists.flatten_ids, band_lists.isect_offsets, band_lists.used
    picture, exposed, columns = canvas.picture, canvas.exposed, canvas.columns
    pitch = picture.shape[1] * 3
    pixel_offsets = to_ints(pixel_y()) * pitch + to_ints(pixel_x()) * 3
    every_lane = broadcast(0.0) < 1.0
    masks, scratch = np.empty(BATCH, np.int64), np.empty(_SCRATCH, np.float32)
    for tile in range(band.first, band.end):
        row, column = tile // columns, tile % columns
        for block in range(BLOCKS):
            store(scratch, block * LANES, broadcast(1.0))
        scratch[PIXELS : 4 * PIXELS] = 0.0
        corner, k = (column * TILE_SIZE, row * TILE_SIZE), tile - band.first
        used[k], blocks = _blend_tile(records, lists[offsets[k] : offsets[k + 1]], corner, scratch, masks)
        canvas.tile_costs[tile] = blocks + _GAUSSIAN_COST * used[k] + _TILE_COST
        for block in range(BLOCKS):
            at = block * LANES
            transmittance = load(scratch, at)
            first = (row * TILE_SIZE + BLOCK_ORIGINS[block, 1]) * pitch + (
                column * TILE_SIZE + BLOCK_ORIGINS[block, 0]
            ) * 3
            for channel in range(3):
                value = fma(transmittance, broadcast(background[channel]), load(scratch, at + (channel + 1) * PIXELS))
                scatter(picture, pixel_offsets + (first + channel), value, every_lane)
                if len(exposure) != 0:
                    shown = fma(broadcast(exposure[channel]), value, broadcast(exposure[channel + 3]))
                    scatter(exposed, pixel_offsets + (first + channel), shown, every_lane)
