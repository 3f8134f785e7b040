"""What each thread does with the visible: draw its band, compare its rows, pull gradients back through its tiles, and
bring its parts of the model to gradients by parameters.

Threads meet in between, inside compiled code. To send them back to Python and on to the next piece of work, each time
through a sleep, would cost a tenth of an iteration.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spaceport.simd.barrier import barrier_wait
from spaceport.simd.jit import kernel
from spaceport.simd.lanes import Ints, Longs
from spaceport.splats.model import Floats
from spaceport.splats.render import colour
from spaceport.splats.render.backward import pull_back
from spaceport.splats.render.bins import list_tiles
from spaceport.splats.render.chain import BLOCK, Outputs, Params, chain, forget
from spaceport.splats.render.forward import draw
from spaceport.splats.render.loss import Doubles, compare, expose_back, scratch_size


class Visible(NamedTuple):
    """Records and what belongs to each, in the slots that `regions` [R, 2] name as (first, count)."""

    records: Floats
    rows: Ints
    keys: Ints
    columns: Ints
    tile_rows: Ints
    regions: Longs
    radii: Floats


class Lists(NamedTuple):
    """Tiles' lists. Thread k has tiles plan[k, 0] to plan[k + 1, 0], and its shares of lists and order begin at
    plan[k, 1] and plan[k, 2]."""

    plan: Longs
    order: Ints
    first_work: Longs
    second_work: Longs
    spans: Ints
    lists: Ints
    offsets: Ints
    used: Ints


class Canvas(NamedTuple):
    """The picture and all that has its size. `loads` and `band_of` are by tile, the last three by row."""

    height: int
    width: int
    columns: int
    picture: Floats
    exposed: Floats
    photo: Floats
    by_picture: Floats
    loads: Ints
    band_of: Ints
    similarities: Doubles
    errors: Doubles
    by_exposure: Doubles


class Sums(NamedTuple):
    """Where gradients are gathered: by records per thread, then by parameters. Of region r, the first count[r] of
    `written` from its first slot on are the rows that the last call wrote."""

    by_records: Floats
    outputs: Outputs
    written: Ints
    counts: Longs


class Task(NamedTuple):
    """What is asked for: `weights` as `compare` has them, `exposure` as `draw` has it."""

    eye: Floats
    degree: int
    background: tuple[float, float, float]
    exposure: Floats
    weights: tuple[float, float]


@kernel
def show(part: int, visible: Visible, lists: Lists, canvas: Canvas, task: Task) -> None:
    """List and draw the tiles of thread `part`."""
    plan = lists.plan
    band = (plan[part, 0], plan[part + 1, 0])
    if band[0] == band[1]:
        return
    listed = _of_band(lists, part)
    place = plan[part, 2]
    room = (lists.order[place:], (lists.first_work[place:], lists.second_work[place:]), lists.spans[plan[part, 1] :])
    found = (visible.keys, visible.columns, visible.tile_rows, visible.regions)
    list_tiles(visible.records, found, band, canvas.columns, room, listed)
    look, pictures = (task.background, task.exposure), (canvas.picture, canvas.exposed)
    draw(visible.records, listed, band, canvas.columns, look, pictures, canvas.loads)


@kernel
def _of_band(lists: Lists, part: int) -> tuple[Ints, Ints, Ints]:
    """A band's (lists, offsets, used); one offset more than tiles."""
    first, end = lists.plan[part, 0] + part, lists.plan[part + 1, 0] + part + 1
    return lists.lists[lists.plan[part, 1] :], lists.offsets[first:end], lists.used[first:end]


@kernel
def pull(part: int, visible: Visible, lists: Lists, canvas: Canvas, by_records: Floats) -> None:
    """From the gradient by the picture to that by records. Here tiles are shared by what drawing them took."""
    threads = len(by_records)
    first, last = _run(canvas.loads, part, threads), _run(canvas.loads, part + 1, threads)
    canvas.band_of[first:last] = part
    for band in range(threads):
        begin, end = lists.plan[band, 0], lists.plan[band + 1, 0]
        tiles, pictures = (begin, max(first, begin), min(last, end)), (canvas.picture, canvas.by_picture)
        pull_back(visible.records, _of_band(lists, band), tiles, canvas.columns, pictures, by_records[part])


@kernel
def _run(loads: Ints, part: int, parts: int) -> int:
    """The tile where the part-th of `parts` runs with about equal loads begins."""
    total = np.int64(0)
    for tile in range(len(loads)):
        total += loads[tile]
    before = np.int64(0)
    for tile in range(len(loads)):
        if before * parts >= total * part:
            return tile
        before += loads[tile]
    return len(loads)


@kernel
def _compare(part: int, threads: int, canvas: Canvas, task: Task) -> None:
    rows = (canvas.height * part // threads, canvas.height * (part + 1) // threads)
    exposed = len(task.exposure) != 0
    shown = canvas.exposed if exposed else canvas.picture
    size, sums = (canvas.height, canvas.width), (canvas.similarities, canvas.errors)
    scratch = np.empty(scratch_size(canvas.width), np.float32)
    compare((shown, canvas.photo, canvas.by_picture), size, rows, task.weights, sums, scratch)
    if exposed:
        expose_back(canvas.picture, canvas.by_picture, rows, task.exposure, canvas.by_exposure)


@kernel
def learn(
    part: int, barrier: Ints, params: Params, visible: Visible, lists: Lists, canvas: Canvas, sums: Sums, task: Task
) -> None:
    """Draw, compare and differentiate, with the other threads, of whom there are as many as sums.by_records has."""
    threads = len(sums.by_records)
    show(part, visible, lists, canvas, task)
    barrier_wait(barrier, threads)
    _compare(part, threads, canvas, task)
    barrier_wait(barrier, 2 * threads)
    pull(part, visible, lists, canvas, sums.by_records)
    barrier_wait(barrier, 3 * threads)
    scratch = np.empty(BLOCK + colour.SCRATCH, np.float32)
    drawn = (visible.records, visible.rows, (visible.columns, visible.tile_rows))
    bands = (sums.by_records, canvas.band_of, canvas.columns)
    for region in range(part, len(visible.regions), threads):
        first, count = visible.regions[region]
        forget(sums.written[first : first + sums.counts[region]], visible.radii, sums.outputs)
        chain(params, sums.outputs, task.degree, task.eye, (first, count), drawn, bands, scratch)
        sums.written[first : first + count] = visible.rows[first : first + count]
        sums.counts[region] = count
