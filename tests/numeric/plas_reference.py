"""PLAS as its paper and its authors' schedule describe it, written to be read: square grids, numpy, no speed.

Morgenstern et al., arXiv 2312.13299. What `spaceport/splats/sog/plas` is held against.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

ASSIGNMENTS = np.array(list(itertools.permutations(range(4))))

Grid = NDArray[np.float64]


def sort_square(features: NDArray[np.floating], side: int, seed: int, least_gain: float = 1e-4) -> NDArray[np.intp]:
    """The order of `features` [side x side, D] in the sorted grid, row by row."""
    random = np.random.default_rng(seed)
    grid = features.astype(np.float64).reshape(side, side, -1)
    order = np.arange(side * side).reshape(side, side)
    radius = side / 2 - 1
    while radius >= 1:
        size = min(side - 1, 2 * int(radius) + 1)
        block = max(16, min(size + 1, side) // 2 * 2)
        grid, order = _at_radius(grid, order, _blurred(grid, size), block, least_gain, random)
        radius *= 0.95
    return order.reshape(-1)


def _blurred(grid: Grid, size: int) -> Grid:
    """A Gaussian window as wide as its standard deviation, a ring along x and mirrored along y."""
    half = size // 2
    window = np.exp(-np.square(np.arange(size) - (size - 1) / 2) / (2 * size**2))
    window /= window.sum()
    ring = np.pad(grid, ((0, 0), (half, half), (0, 0)), mode="wrap")
    along_x = sum(w * ring[:, i : i + grid.shape[1]] for i, w in enumerate(window))
    mirrored = np.pad(along_x, ((half, half), (0, 0), (0, 0)), mode="reflect")
    return np.asarray(sum(w * mirrored[i : i + grid.shape[0]] for i, w in enumerate(window)))


def _at_radius(
    grid: Grid, order: NDArray[np.intp], target: Grid, block: int, least_gain: float, random: np.random.Generator
) -> tuple[Grid, NDArray[np.intp]]:
    side, tried, improved = len(grid), 0, True
    while improved or tried < 4:
        shift = tuple(random.integers(0, block, 2))
        blocks: list[Any] = [_cut(np.roll(array, shift, (0, 1)), block) for array in (grid, order[..., None], target)]
        distance, improved = np.square(blocks[0] - blocks[2]).sum(), False
        while distance > 0:
            _reorder(blocks[0], blocks[1], blocks[2], random)
            now = np.square(blocks[0] - blocks[2]).sum()
            if 1 - now / distance < least_gain:
                break
            distance, improved = now, True
        back = tuple(-s for s in shift)
        grid = np.roll(_pasted(np.roll(grid, shift, (0, 1)), blocks[0], block), back, (0, 1))
        order = np.roll(_pasted(np.roll(order[..., None], shift, (0, 1)), blocks[1], block), back, (0, 1))[..., 0]
        assert order.shape == (side, side)
        tried += 1
    return grid, order


def _reorder(cells: Grid, order: NDArray[np.intp], target: Grid, random: np.random.Generator) -> None:
    """Give each four cells of every block [B,P,D] the best of the 24 assignments, in place."""
    fours = random.permutation(cells.shape[1]).reshape(-1, 4)
    cost = np.square(cells[:, fours, None] - target[:, fours][:, :, None]).sum(axis=-1)  # element by cell
    totals = cost[:, :, ASSIGNMENTS, np.arange(4)].sum(axis=-1)
    chosen = ASSIGNMENTS[totals.argmin(axis=-1)]
    source = np.take_along_axis(np.broadcast_to(fours, chosen.shape), chosen, axis=-1).reshape(len(cells), -1, 1)
    for array in (cells, order):
        array[:, fours.reshape(-1)] = np.take_along_axis(array, source, axis=1)


def _cut(array: NDArray[np.generic], block: int) -> NDArray[np.generic]:
    count = len(array) // block
    inside = array[: count * block, : count * block].reshape(count, block, count, block, -1)
    return np.ascontiguousarray(inside.swapaxes(1, 2).reshape(count * count, block * block, -1))


def _pasted(array: NDArray[np.generic], blocks: NDArray[np.generic], block: int) -> NDArray[np.generic]:
    count, out = len(array) // block, array.copy()
    inside = blocks.reshape(count, count, block, block, -1).swapaxes(1, 2)
    out[: count * block, : count * block] = inside.reshape(count * block, count * block, -1)
    return out
