"""Front-to-back blending of tiles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spaceport.simd.jit import inline, kernel
from spaceport.simd.lanes import LANES, Ints, Lanes
from spaceport.simd.memory import broadcast_load, load, scatter, store
from spaceport.simd.ops import broadcast, count_trailing_zeros, exp2_fast, fma, minimum, select, to_ints
from spaceport.splats.model import Floats
from spaceport.splats.render import record
from spaceport.splats.render.bins import TILE
from spaceport.splats.render.blocks import (
    BATCH,
    BLOCKS,
    PIXELS,
    PLACES,
    bend,
    exponent,
    finished,
    pixel_x,
    pixel_y,
    share,
    touched_by,
)
from spaceport.splats.render.blocks import SCRATCH as _BLOCK_SCRATCH

_SCRATCH = 4 * PIXELS + _BLOCK_SCRATCH
_PAIR_LOAD, _TILE_LOAD = 2, 16
"""What a Gaussian costs on a tile besides its blocks, and a tile besides its Gaussians, in blocks."""


@inline
def alpha_of(p: Lanes) -> Lanes:
    """Opacity at exponent p: at most 0.999, and 0 where it is under 1/255."""
    return select(p >= -record.CUT, minimum(exp2_fast(p), broadcast(record.MOST)), broadcast(0.0))


@inline
def _blend(
    records: Floats, listed: Ints, corner: tuple[int, int], scratch: Floats, masks: npt.NDArray[np.int64]
) -> tuple[int, int]:
    """Blend the listed into scratch: light left, red, green, blue. Returns how many were used, and their blocks."""
    light, colour, work = scratch[:PIXELS], scratch[PIXELS : 4 * PIXELS], scratch[4 * PIXELS :]
    x, y = pixel_x(), pixel_y()
    used, blocks = len(listed), 0
    for begin in range(0, len(listed), BATCH):
        if begin > 0 and finished(light):
            used = begin
            break
        batch = listed[begin : min(begin + BATCH, len(listed))]
        touched_by(records, batch, corner, work, masks, False)
        for k in range(len(batch)):
            base = int(batch[k]) * record.SIZE
            places = share(work, k)
            bent = bend(records, base, x, y)
            red, green, blue = (
                broadcast_load(records, base + record.RED),
                broadcast_load(records, base + record.GREEN),
                broadcast_load(records, base + record.BLUE),
            )
            todo = masks[k]
            while todo != 0:
                block = count_trailing_zeros(todo)
                todo &= todo - 1
                blocks += 1
                at = block * LANES
                alpha = alpha_of(exponent(places, block, bent, x, y))
                through = load(light, at)
                weight = alpha * through
                store(light, at, through - weight)
                store(colour, at, fma(weight, red, load(colour, at)))
                store(colour, at + PIXELS, fma(weight, green, load(colour, at + PIXELS)))
                store(colour, at + 2 * PIXELS, fma(weight, blue, load(colour, at + 2 * PIXELS)))
    return used, blocks


@kernel
def draw(
    records: Floats,
    listed: tuple[Ints, Ints, Ints],
    band: tuple[int, int],
    columns: int,
    look: tuple[tuple[float, float, float], Floats],
    pictures: tuple[Floats, Floats],
    loads: Ints,
) -> None:
    """Draw tiles band[0] to band[1] into pictures[0] [H', W', 3], sides padded to whole tiles.

    `listed` is (lists, offsets, used) of the band; used[tile] gets how many entries were blended. `loads` [tiles] gets
    what the tile cost, in blocks. `look` is (background, exposure): with exposure (3 gains, 3 biases; else empty)
    pictures[1] gets the exposed picture.
    """
    lists, offsets, used = listed
    background, exposure = look
    picture, exposed = pictures
    pitch = picture.shape[1] * 3
    places = to_ints(pixel_y()) * pitch + to_ints(pixel_x()) * 3
    every = broadcast(0.0) < 1.0
    masks, scratch = np.empty(BATCH, np.int64), np.empty(_SCRATCH, np.float32)
    for tile in range(band[0], band[1]):
        row, column = tile // columns, tile % columns
        for block in range(BLOCKS):
            store(scratch, block * LANES, broadcast(1.0))
        scratch[PIXELS : 4 * PIXELS] = 0.0
        corner, k = (column * TILE, row * TILE), tile - band[0]
        used[k], blocks = _blend(records, lists[offsets[k] : offsets[k + 1]], corner, scratch, masks)
        loads[tile] = blocks + _PAIR_LOAD * used[k] + _TILE_LOAD
        for block in range(BLOCKS):
            at = block * LANES
            light = load(scratch, at)
            first = (row * TILE + PLACES[block, 1]) * pitch + (column * TILE + PLACES[block, 0]) * 3
            for channel in range(3):
                value = fma(light, broadcast(background[channel]), load(scratch, at + (channel + 1) * PIXELS))
                scatter(picture, places + (first + channel), value, every)
                if len(exposure) != 0:
                    shown = fma(broadcast(exposure[channel]), value, broadcast(exposure[channel + 3]))
                    scatter(exposed, places + (first + channel), shown, every)
