"""What each thread does in one iteration: blend the tiles of its band, compare its rows with the photo, take its tiles
backward, and project its parts of the model backward to gradients by parameters.

In between the threads wait at a barrier inside compiled code. Going back to Python and on to the next parallel loop,
each time through a sleep, would cost a tenth of an iteration.
"""

from __future__ import annotations

import numpy as np

from spaceport.simd.barrier import barrier_wait
from spaceport.simd.jit import kernel
from spaceport.simd.lanes import Ints
from spaceport.splats.model import Floats
from spaceport.splats.render import colour
from spaceport.splats.render.blend import blend
from spaceport.splats.render.blend_backward import blend_backward
from spaceport.splats.render.kernel_arguments import (
    COUNT,
    FIRST,
    FIRST_ID,
    FIRST_SORTED,
    FIRST_TILE,
    Band,
    BandLists,
    Canvas,
    FrameSettings,
    GradSums,
    Parameters,
    Projection,
    SortBuffers,
    TileLists,
)
from spaceport.splats.render.loss import exposure_backward, l1_ssim, scratch_size
from spaceport.splats.render.project_backward import BLOCK, BandGrads, Region, project_backward, zero_invisible
from spaceport.splats.render.tiles import isect_tiles


@kernel
def rasterize(thread: int, projection: Projection, lists: TileLists, canvas: Canvas, settings: FrameSettings) -> None:
    """List and blend the tiles of one thread."""
    plan = lists.plan
    band = Band(plan[thread, FIRST_TILE], plan[thread + 1, FIRST_TILE])
    if band.first == band.end:
        return
    band_lists = _lists_of_band(lists, thread)
    first = plan[thread, FIRST_SORTED]
    spans = lists.spans[plan[thread, FIRST_ID] :]
    buffers = SortBuffers(lists.order[first:], lists.first_keys[first:], lists.second_keys[first:], spans)
    isect_tiles(projection, band, canvas.columns, buffers, band_lists)
    blend(projection.records, band_lists, band, canvas, settings.background, settings.exposure)


@kernel
def _lists_of_band(lists: TileLists, thread: int) -> BandLists:
    """Views of a thread's share; there is one offset more than tiles."""
    plan = lists.plan
    first, end = plan[thread, FIRST_TILE] + thread, plan[thread + 1, FIRST_TILE] + thread + 1
    return BandLists(lists.flatten_ids[plan[thread, FIRST_ID] :], lists.isect_offsets[first:end], lists.used[first:end])


@kernel
def rasterize_backward(
    thread: int, projection: Projection, lists: TileLists, canvas: Canvas, grad_records: Floats
) -> None:
    """From the gradient by the picture to that by records. Here tiles are shared by what blending them took."""
    threads = len(grad_records)
    first, end = _first_tile(canvas.tile_costs, thread, threads), _first_tile(canvas.tile_costs, thread + 1, threads)
    canvas.band_of_tile[first:end] = thread
    for owner in range(threads):
        band = Band(lists.plan[owner, FIRST_TILE], lists.plan[owner + 1, FIRST_TILE])
        tiles = Band(max(first, band.first), min(end, band.end))
        blend_backward(
            projection.records, _lists_of_band(lists, owner), band.first, tiles, canvas, grad_records[thread]
        )


@kernel
def _first_tile(costs: Ints, part: int, parts: int) -> int:
    """The tile where the part-th of `parts` runs of about equal cost begins."""
    total = np.int64(0)
    for tile in range(len(costs)):
        total += costs[tile]
    before = np.int64(0)
    for tile in range(len(costs)):
        if before * parts >= total * part:
            return tile
        before += costs[tile]
    return len(costs)


@kernel
def _compare(thread: int, threads: int, canvas: Canvas, settings: FrameSettings) -> None:
    rows = (canvas.height * thread // threads, canvas.height * (thread + 1) // threads)
    exposed = len(settings.exposure) != 0
    picture = canvas.exposed if exposed else canvas.picture
    scratch = np.empty(scratch_size(canvas.width), np.float32)
    l1_ssim(picture, canvas, rows, settings.l1_weight, settings.ssim_weight, scratch)
    if exposed:
        exposure_backward(canvas, rows, settings.exposure)


@kernel
def loss_and_grads(
    thread: int,
    barrier: Ints,
    parameters: Parameters,
    projection: Projection,
    lists: TileLists,
    canvas: Canvas,
    sums: GradSums,
    settings: FrameSettings,
) -> None:
    """One thread's share of an iteration; as many threads as sums.grad_records has rows must run it side by side."""
    threads = len(sums.grad_records)
    rasterize(thread, projection, lists, canvas, settings)
    barrier_wait(barrier, threads)
    _compare(thread, threads, canvas, settings)
    barrier_wait(barrier, 2 * threads)
    rasterize_backward(thread, projection, lists, canvas, sums.grad_records)
    barrier_wait(barrier, 3 * threads)
    scratch = np.empty(BLOCK + colour.SCRATCH, np.float32)
    bands = BandGrads(sums.grad_records, canvas.band_of_tile, canvas.columns)
    for k in range(thread, len(projection.regions), threads):
        region = Region(projection.regions[k, FIRST], projection.regions[k, COUNT])
        first, count = region.first, region.length
        zero_invisible(sums.written[first : first + sums.counts[k]], projection.radii, sums.gradients)
        project_backward(
            parameters, sums.gradients, settings.sh_degree, settings.camera, region, projection, bands, scratch
        )
        sums.written[first : first + count] = projection.rows[first : first + count]
        sums.counts[k] = count
