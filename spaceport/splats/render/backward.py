"""The gradient of the picture by each record, front to back like the drawing itself.

With T the light left before a Gaussian, c its colour, g the loss's gradient by the pixel and S = g · (what lies behind
it), the loss changes with its alpha by T g·c - S / (1 - alpha). S begins as g · (final pixel) and loses g · (weight c)
at each step, so nothing of the drawing must be stored or walked in reverse.
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
from spaceport.splats.render.bins import TILE
from spaceport.splats.render.blocks import (
    BATCH,
    BLOCKS,
    EX,
    EXX,
    EXY,
    EY,
    EYY,
    PIXELS,
    PLACES,
    bend,
    exponent,
    pixel_x,
    pixel_y,
    share,
    touched_by,
)
from spaceport.splats.render.blocks import SCRATCH as _BLOCK_SCRATCH

_SCRATCH = 5 * PIXELS + _BLOCK_SCRATCH
_BEHIND, _RED, _GREEN, _BLUE = PIXELS, 2 * PIXELS, 3 * PIXELS, 4 * PIXELS


@inline
def _pull(
    records: Floats,
    listed: Ints,
    corner: tuple[int, int],
    scratch: Floats,
    masks: npt.NDArray[np.int64],
    grads: Floats,
) -> None:
    """Add to `grads` what one tile's pixels say of the listed."""
    work = scratch[5 * PIXELS :]
    x, y = pixel_x(), pixel_y()
    for begin in range(0, len(listed), BATCH):
        batch = listed[begin : min(begin + BATCH, len(listed))]
        for k in range(len(batch)):
            prefetch_write(grads, int(batch[k]) * record.SIZE)
        touched_by(records, batch, corner, work, masks, True)
        for k in range(len(batch)):
            base = int(batch[k]) * record.SIZE
            if masks[k] != 0:
                found = _pull_one(records, base, masks[k], scratch, share(work, k), x, y)
                store(grads, base, load(grads, base) + found)


@inline
def _pull_one(records: Floats, base: int, todo: int, scratch: Floats, places: Floats, x: Lanes, y: Lanes) -> Lanes:
    """What the blocks `todo` say of one record, summed over their pixels."""
    bent = bend(records, base, x, y)
    red, green, blue = (
        broadcast_load(records, base + record.RED),
        broadcast_load(records, base + record.GREEN),
        broadcast_load(records, base + record.BLUE),
    )
    zero = broadcast(0.0)
    u, ux, uy, uxx, uxy, uyy = zero, zero, zero, zero, zero, zero
    by_red, by_green, by_blue = zero, zero, zero
    while todo != 0:
        block = count_trailing_zeros(todo)
        todo &= todo - 1
        at = block * LANES
        p = exponent(places, block, bent, x, y)
        raw = exp2_fast(p)
        alpha = select(p >= -record.CUT, minimum(raw, broadcast(record.MOST)), zero)
        through = load(scratch, at)
        weight = alpha * through
        store(scratch, at, through - weight)
        g_red, g_green, g_blue = load(scratch, at + _RED), load(scratch, at + _GREEN), load(scratch, at + _BLUE)
        shown = weight * fma(red, g_red, fma(green, g_green, blue * g_blue))
        behind = load(scratch, at + _BEHIND) - shown
        store(scratch, at + _BEHIND, behind)
        pull = select(raw < record.MOST, shown - divide_fast(alpha * behind, 1.0 - alpha), zero)
        u = u + pull
        ux = fma(pull, broadcast_load(places, EX + block), ux)
        uy = fma(pull, broadcast_load(places, EY + block), uy)
        uxx = fma(pull, broadcast_load(places, EXX + block), uxx)
        uxy = fma(pull, broadcast_load(places, EXY + block), uxy)
        uyy = fma(pull, broadcast_load(places, EYY + block), uyy)
        by_red = fma(weight, g_red, by_red)
        by_green = fma(weight, g_green, by_green)
        by_blue = fma(weight, g_blue, by_blue)
    return _gathered((u, ux, uy, uxx, uxy, uyy), (by_red, by_green, by_blue), x, y)


@inline
def _gathered(
    moments: tuple[Lanes, Lanes, Lanes, Lanes, Lanes, Lanes],
    colours: tuple[Lanes, Lanes, Lanes],
    x: Lanes,
    y: Lanes,
) -> Lanes:
    """Moments about block corners to moments of pixels (a pixel is x, y further), each summed over the lanes."""
    u, ux, uy, uxx, uxy, uyy = moments
    sum_x, sum_y = fma(x, u, ux), fma(y, u, uy)
    sum_xx, sum_yy = fma(x, ux + sum_x, uxx), fma(y, uy + sum_y, uyy)
    sum_xy = fma(x, sum_y, fma(y, ux, uxy))
    return reduce_add9((u, sum_x, sum_y, sum_xx, sum_xy, sum_yy, colours[0], colours[1], colours[2]))


@kernel
def pull_back(
    records: Floats,
    listed: tuple[Ints, Ints, Ints],
    tiles: tuple[int, int, int],
    columns: int,
    pictures: tuple[Floats, Floats],
    grads: Floats,
) -> None:
    """Sum, per record, what pixels say: see record.py for the layout of `grads`, which must begin as zero.

    `tiles` are the first tile of the band that `listed` is of, and of its tiles the first to walk and the one after the
    last. `pictures` are the drawn one and the loss's gradient by it, both [H', W', 3].
    """
    lists, offsets, used = listed
    picture, by_picture = pictures
    masks, scratch = np.empty(BATCH, np.int64), np.empty(_SCRATCH, np.float32)
    pitch = picture.shape[1] * 3
    places = to_ints(pixel_y()) * pitch + to_ints(pixel_x()) * 3
    for tile in range(tiles[1], tiles[2]):
        row, column, k = tile // columns, tile % columns, tile - tiles[0]
        if used[k] == 0:
            continue
        for block in range(BLOCKS):
            at = block * LANES
            first = (row * TILE + PLACES[block, 1]) * pitch + (column * TILE + PLACES[block, 0]) * 3
            behind = broadcast(0.0)
            for channel in range(3):
                gradient = gather(by_picture, places + (first + channel))
                behind = fma(gradient, gather(picture, places + (first + channel)), behind)
                store(scratch, at + (channel + 2) * PIXELS, gradient)
            store(scratch, at, broadcast(1.0))
            store(scratch, at + _BEHIND, behind)
        listed_here = lists[offsets[k] : offsets[k] + used[k]]
        _pull(records, listed_here, (column * TILE, row * TILE), scratch, masks, grads)
