"""One reorder of PLAS: cells in groups of four (quads), the elements of each put where they are nearest to its targets.

Elements and targets are rows of 16 floats: a cache line, and a vector. Squared distances of all assignments of the same
elements differ only by their dot products with the targets, so only those are compared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spaceport.simd.jit import inline, kernel
from spaceport.simd.memory import load, load_transposed, prefetch, store
from spaceport.splats.sog.plas.blur import LANES, Cells

IMPOSSIBLE = np.float32(-1e30)
PREFETCH_AHEAD = 32  # quads whose cells are prefetched before the first of them is compared

Indices = NDArray[np.int32]


@kernel
def reorder(
    cells: Cells,
    targets: Cells,
    order: Indices,
    corners: NDArray[np.int64],
    grid: tuple[int, int],
    shuffled: Indices,
    turns: NDArray[np.int64],
    share: tuple[int, int],
) -> float:
    """Reorder in place the quads of all blocks from share[0] to share[1]; return by how much the distance fell.

    Args:
        cells: [N,16], moved together with `order` [N], the element in each cell.
        targets: [N,16].
        corners: [B,2] row and column where each block begins; it may reach over the grid's edges to the other side.
        grid: height and width.
        shuffled: [4,M,2] rows and columns of a block's cells in random order, in four quarters.
        turns: [4] by how far each quarter is turned: the quads are shuffled[j, (i + turns[j]) mod M].
        share: which quads, counted through all blocks.
    """
    quads = shuffled.shape[1]
    gained = 0.0
    for block in range(share[0] // quads, (share[1] + quads - 1) // quads):
        first, last = max(share[0] - block * quads, 0), min(share[1] - block * quads, quads)
        gained += _block(
            cells, targets, order, (corners[block, 0], corners[block, 1]), grid, shuffled, turns, (first, last)
        )
    return gained


@kernel
def _block(
    cells: Cells,
    targets: Cells,
    order: Indices,
    corner: tuple[int, int],
    grid: tuple[int, int],
    shuffled: Indices,
    turns: NDArray[np.int64],
    share: tuple[int, int],
) -> float:
    flat, goal = cells.reshape(-1), targets.reshape(-1)
    at = np.empty((PREFETCH_AHEAD, 4), np.int64)
    products, similarity = np.empty(16 * LANES, np.float32), np.empty(LANES, np.float32)
    choice = np.empty(4, np.int64)
    kept, names = np.empty(4 * LANES, np.float32), np.empty(4, np.int32)
    gained = 0.0
    for begin in range(share[0], share[1], PREFETCH_AHEAD):
        size = min(PREFETCH_AHEAD, share[1] - begin)
        _locate(at, begin, size, corner, grid, shuffled, turns)
        for quad in range(size):
            for j in range(4):
                prefetch(flat, at[quad, j] * LANES)
                prefetch(goal, at[quad, j] * LANES)
        for quad in range(size):
            here = at[quad]
            holes = max(here[0], here[1], here[2], here[3]) >= len(cells)
            if holes:
                _compare_around_holes(cells, targets, here, similarity)
            else:
                _compare(flat, goal, here, products, similarity)
            gain = _best_assignment(similarity, choice)
            if gain <= 0:
                continue
            gained += 2 * gain
            _move(flat, order, here, choice, kept, names)
    return gained


@inline
def _move(
    flat: Cells,
    order: Indices,
    here: NDArray[np.int64],
    choice: NDArray[np.int64],
    kept: NDArray[np.float32],
    names: Indices,
) -> None:
    """Put element `choice[j]` of the quad into cell `here[j]`. Nothing moves among holes."""
    for j in range(4):
        if here[j] < len(order):
            names[j] = order[here[j]]
            store(kept, j * LANES, load(flat, here[j] * LANES))
    for j in range(4):
        if choice[j] != j and here[j] < len(order):
            order[here[j]] = names[choice[j]]
            store(flat, here[j] * LANES, load(kept, choice[j] * LANES))


@inline
def _locate(
    at: NDArray[np.int64],
    begin: int,
    size: int,
    corner: tuple[int, int],
    grid: tuple[int, int],
    shuffled: Indices,
    turns: NDArray[np.int64],
) -> None:
    """The cells of `size` quads from `begin` on, into `at`."""
    height, width = grid
    for j in range(4):
        for quad in range(size):
            k = begin + quad + turns[j]
            if k >= shuffled.shape[1]:
                k -= shuffled.shape[1]
            y, x = corner[0] + shuffled[j, k, 0], corner[1] + shuffled[j, k, 1]
            at[quad, j] = (y if y < height else y - height) * width + (x if x < width else x - width)


@inline
def _compare(
    flat: Cells, goal: Cells, here: NDArray[np.int64], products: NDArray[np.float32], similarity: NDArray[np.float32]
) -> None:
    """Dot products of the elements in four cells with the targets of the quad, [4 x 4] flat into `similarity`."""
    for a in range(4):
        element = load(flat, here[a] * LANES)
        for b in range(4):
            store(products, (4 * a + b) * LANES, element * load(goal, here[b] * LANES))
    c = load_transposed(products, 0)
    first = ((c[0] + c[1]) + (c[2] + c[3])) + ((c[4] + c[5]) + (c[6] + c[7]))
    second = ((c[8] + c[9]) + (c[10] + c[11])) + ((c[12] + c[13]) + (c[14] + c[15]))
    store(similarity, 0, first + second)


@kernel
def _compare_around_holes(
    cells: Cells, targets: Cells, here: NDArray[np.int64], similarity: NDArray[np.float32]
) -> None:
    """The same with empty cells: an empty one is equally good everywhere, and no element may go into a hole."""
    for a in range(4):
        for b in range(4):
            if here[a] >= len(cells):
                similarity[4 * a + b] = 0
            elif here[b] >= len(cells):
                similarity[4 * a + b] = IMPOSSIBLE
            else:
                similarity[4 * a + b] = (cells[here[a]] * targets[here[b]]).sum()


@inline
def _best_assignment(similarity: NDArray[np.float32], choice: NDArray[np.int64]) -> float:
    """The best of the 24 assignments, as the element for each of the four cells; returns its gain over staying.

    Two elements for cells 0 and 1 leave two for cells 2 and 3: six splits, with two choices on either side.
    """
    stay = (similarity[0] + similarity[5]) + (similarity[10] + similarity[15])
    best = stay
    choice[0], choice[1], choice[2], choice[3] = 0, 1, 2, 3
    for a, b, c, d in ((0, 1, 2, 3), (0, 2, 1, 3), (0, 3, 1, 2), (1, 2, 0, 3), (1, 3, 0, 2), (2, 3, 0, 1)):
        head, swapped_head = similarity[4 * a] + similarity[4 * b + 1], similarity[4 * b] + similarity[4 * a + 1]
        tail, swapped_tail = (
            similarity[4 * c + 2] + similarity[4 * d + 3],
            similarity[4 * d + 2] + similarity[4 * c + 3],
        )
        total = max(head, swapped_head) + max(tail, swapped_tail)
        if total > best:
            best = total
            choice[0], choice[1] = (a, b) if head >= swapped_head else (b, a)
            choice[2], choice[3] = (c, d) if tail >= swapped_tail else (d, c)
    return float(best) - float(stay)


@kernel
def distance(
    cells: Cells,
    targets: Cells,
    corners: NDArray[np.int64],
    grid: tuple[int, int],
    shuffled: Indices,
    share: tuple[int, int],
) -> float:
    """Sum of squared distances between elements and targets over a share of the quads of all blocks."""
    total = 0.0
    for quad in range(share[0], share[1]):
        block, i = divmod(quad, shuffled.shape[1])
        for j in range(4):
            y, x = (corners[block, 0] + shuffled[j, i, 0]) % grid[0], (corners[block, 1] + shuffled[j, i, 1]) % grid[1]
            at = y * grid[1] + x
            if at < len(cells):
                for k in range(LANES):
                    total += (cells[at, k] - targets[at, k]) ** 2
    return total
