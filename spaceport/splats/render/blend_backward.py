"""The gradient of the loss by each record: gsplat's `rasterize_to_pixels`, backward, but front to back.

With T the transmittance before a Gaussian, c its colour, g the gradient of the loss by the pixel and S = g · (what lies
behind the Gaussian), d loss / d alpha = T g·c - S / (1 - alpha). S begins as g · (final pixel) and loses g · (weight c)
at each step, so the forward pass stores nothing and the lists are not walked in reverse.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spaceport.simd.jit import inline, kernel
from spaceport.simd.lanes import LANES, Ints, Lanes
from spaceport.simd.memory import broadcast_load, gather, load, prefetch_write, store
from spaceport.simd.ops import (
    broadcast,
    count_trailing_zeros,
    divide_fast,
    exp2_fast,
    fma,
    minimum,
    reduce_add9,
    select,
    to_ints,
)
from spaceport.splats.model import Floats
from spaceport.splats.render import record
from spaceport.splats.render.blocks import (
    BATCH,
    BLOCK_ORIGINS,
    BLOCKS,
    EX,
    EXX,
    EXY,
    EY,
    EYY,
    PIXELS,
    batch_values,
    intersect_batch,
    log2_alpha,
    pixel_x,
    pixel_y,
    quadratic,
)
from spaceport.splats.render.blocks import SCRATCH as _BLOCK_SCRATCH
from spaceport.splats.render.kernel_arguments import Band, BandLists, Canvas
from spaceport.splats.render.tiles import TILE_SIZE

_SCRATCH = 5 * PIXELS + _BLOCK_SCRATCH
_BEHIND, _RED, _GREEN, _BLUE = PIXELS, 2 * PIXELS, 3 * PIXELS, 4 * PIXELS


@inline
def _blend_backward_tile(
    records: Floats,
    slots: Ints,
    corner: tuple[int, int],
    scratch: Floats,
    masks: npt.NDArray[np.int64],
    grads: Floats,
) -> None:
    """Add to `grads` the sums of `slots` over the pixels of one tile."""
    work = scratch[5 * PIXELS :]
    x, y = pixel_x(), pixel_y()
    for begin in range(0, len(slots), BATCH):
        batch = slots[begin : min(begin + BATCH, len(slots))]
        for k in range(len(batch)):
            prefetch_write(grads, int(batch[k]) * record.SIZE)
        intersect_batch(records, batch, corner, work, masks, True)
        for k in range(len(batch)):
            base = int(batch[k]) * record.SIZE
            if masks[k] != 0:
                sums = _blend_backward_gaussian(records, base, masks[k], scratch, batch_values(work, k), x, y)
                store(grads, base, load(grads, base) + sums)


@inline
def _blend_backward_gaussian(
    records: Floats, base: int, remaining: int, scratch: Floats, block_values: Floats, x: Lanes, y: Lanes
) -> Lanes:
    """The sums of one record over the pixels of the blocks that the bits of `remaining` name."""
    quadratic_part = quadratic(records, base, x, y)
    red, green, blue = (
        broadcast_load(records, base + record.RED),
        broadcast_load(records, base + record.GREEN),
        broadcast_load(records, base + record.BLUE),
    )
    zero = broadcast(0.0)
    u, ux, uy, uxx, uxy, uyy = zero, zero, zero, zero, zero, zero
    grad_red, grad_green, grad_blue = zero, zero, zero
    while remaining != 0:
        block = count_trailing_zeros(remaining)
        remaining &= remaining - 1
        at = block * LANES
        p = log2_alpha(block_values, block, quadratic_part, x, y)
        raw = exp2_fast(p)
        alpha = select(p >= -record.LOG2_255, minimum(raw, broadcast(record.MAX_ALPHA)), zero)
        transmittance = load(scratch, at)
        weight = alpha * transmittance
        store(scratch, at, transmittance - weight)
        g_red, g_green, g_blue = load(scratch, at + _RED), load(scratch, at + _GREEN), load(scratch, at + _BLUE)
        contribution = weight * fma(red, g_red, fma(green, g_green, blue * g_blue))
        behind = load(scratch, at + _BEHIND) - contribution
        store(scratch, at + _BEHIND, behind)
        grad_p = select(raw < record.MAX_ALPHA, contribution - divide_fast(alpha * behind, 1.0 - alpha), zero)
        u = u + grad_p
        ux = fma(grad_p, broadcast_load(block_values, EX + block), ux)
        uy = fma(grad_p, broadcast_load(block_values, EY + block), uy)
        uxx = fma(grad_p, broadcast_load(block_values, EXX + block), uxx)
        uxy = fma(grad_p, broadcast_load(block_values, EXY + block), uxy)
        uyy = fma(grad_p, broadcast_load(block_values, EYY + block), uyy)
        grad_red = fma(weight, g_red, grad_red)
        grad_green = fma(weight, g_green, grad_green)
        grad_blue = fma(weight, g_blue, grad_blue)
    return _reduce_moments((u, ux, uy, uxx, uxy, uyy), (grad_red, grad_green, grad_blue), x, y)


@inline
def _reduce_moments(
    moments: tuple[Lanes, Lanes, Lanes, Lanes, Lanes, Lanes],
    colours: tuple[Lanes, Lanes, Lanes],
    x: Lanes,
    y: Lanes,
) -> Lanes:
    """Moments about the blocks' first pixels to moments of pixels (each x, y further), summed over the lanes."""
    u, ux, uy, uxx, uxy, uyy = moments
    sum_x, sum_y = fma(x, u, ux), fma(y, u, uy)
    sum_xx, sum_yy = fma(x, ux + sum_x, uxx), fma(y, uy + sum_y, uyy)
    sum_xy = fma(x, sum_y, fma(y, ux, uxy))
    return reduce_add9((u, sum_x, sum_y, sum_xx, sum_xy, sum_yy, colours[0], colours[1], colours[2]))


@kernel
def blend_backward(
    records: Floats,
    band_lists: BandLists,
    first_tile: int,
    tiles: Band,
    canvas: Canvas,
    grads: Floats,
) -> None:
    """Add to `grads` [slots * 16], laid out as record.py says, the sums over the pixels of `tiles`.

    `tiles` are some of those of the band that `band_lists` is of and that begins with `first_tile`.
    """
    lists, offsets, used = band_lists.flatten_ids, band_lists.isect_offsets, band_lists.used
    picture, grad_picture, columns = canvas.picture, canvas.grad_picture, canvas.columns
    masks, scratch = np.empty(BATCH, np.int64), np.empty(_SCRATCH, np.float32)
    pitch = picture.shape[1] * 3
    pixel_offsets = to_ints(pixel_y()) * pitch + to_ints(pixel_x()) * 3
    for tile in range(tiles.first, tiles.end):
        row, column, k = tile // columns, tile % columns, tile - first_tile
        if used[k] == 0:
            continue
        for block in range(BLOCKS):
            at = block * LANES
            first = (row * TILE_SIZE + BLOCK_ORIGINS[block, 1]) * pitch + (
                column * TILE_SIZE + BLOCK_ORIGINS[block, 0]
            ) * 3
            behind = broadcast(0.0)
            for channel in range(3):
                gradient = gather(grad_picture, pixel_offsets + (first + channel))
                behind = fma(gradient, gather(picture, pixel_offsets + (first + channel)), behind)
                store(scratch, at + (channel + 2) * PIXELS, gradient)
            store(scratch, at, broadcast(1.0))
            store(scratch, at + _BEHIND, behind)
        slots = lists[offsets[k] : offsets[k] + used[k]]
        _blend_backward_tile(records, slots, (column * TILE_SIZE, row * TILE_SIZE), scratch, masks, grads)
