"""The targets of PLAS: a box blur of the grid, ring-shaped along its rows and mirrored along its columns.

Running sums make it as cheap for a wide box as for a narrow one. The last row may be partly filled; every row is a
ring and every column a strip of its own length, so cells without an element have no influence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spaceport.simd.jit import inline, kernel
from spaceport.simd.thread_pool import ThreadPool

LANES = 16
"""Features of a cell: one cache line of float32. Fewer are filled up with zeros."""

Cells = NDArray[np.float32]


def box_blur(cells: Cells, width: int, radius: int, pool: ThreadPool) -> Cells:
    """Mean over (2 radius + 1) squared cells of `cells` [N,16], which fill a grid `width` wide row by row.

    Where a row or column is too short for the box, the box is narrower.
    """
    rows = -(-len(cells) // width)
    along, out = np.empty_like(cells), np.empty_like(cells)
    shares = np.linspace(0, rows, pool.count + 1).astype(np.int64)
    pool.parallel_for(lambda part: _rows(cells, along, width, radius, shares[part], shares[part + 1]), pool.count)
    edges = np.linspace(0, min(width, len(cells)), pool.count + 1).astype(np.int64)
    pool.parallel_for(lambda part: _columns(along, out, width, radius, edges[part], edges[part + 1]), pool.count)
    return out


@kernel
def _rows(cells: Cells, out: Cells, width: int, radius: int, first: int, last: int) -> None:
    total = np.empty(LANES)
    for row in range(first, last):
        start = row * width
        length = min(width, len(cells) - start)
        reach = min(radius, (length - 1) // 2)
        scale = 1.0 / (2 * reach + 1)
        total[:] = 0
        for x in range(-reach, reach + 1):
            for k in range(LANES):
                total[k] += cells[start + x % length, k]
        for x in range(length):
            for k in range(LANES):
                out[start + x, k] = np.float32(total[k] * scale)
            enters, leaves = start + (x + reach + 1) % length, start + (x - reach) % length
            for k in range(LANES):
                total[k] += cells[enters, k] - cells[leaves, k]


@kernel
def _columns(cells: Cells, out: Cells, width: int, radius: int, first: int, last: int) -> None:
    total = np.empty((last - first, LANES))
    full = len(cells) // width
    rest = len(cells) - full * width
    # two strips of columns: those that reach into the last, partly filled row, and those that do not
    for begin, end, height in ((first, min(last, rest), full + 1), (max(first, rest), last, full)):
        reach = min(radius, height - 1)
        scale = 1.0 / (2 * reach + 1)
        total[:] = 0
        for y in range(-reach, reach + 1):
            for x in range(begin, end):
                for k in range(LANES):
                    total[x - first, k] += cells[_mirror(y, height) * width + x, k]
        for y in range(height):
            enters, leaves = _mirror(y + reach + 1, height), _mirror(y - reach, height)
            for x in range(begin, end):
                for k in range(LANES):
                    out[y * width + x, k] = np.float32(total[x - first, k] * scale)
                    total[x - first, k] += cells[enters * width + x, k] - cells[leaves * width + x, k]


@inline
def _mirror(y: int, height: int) -> int:
    if y < 0:
        return min(-y, height - 1)
    return max(2 * height - 2 - y, 0) if y >= height else y
