"""PLAS: Parallel Linear Assignment Sorting (Morgenstern et al., "Compact 3D Scene Representation via Self-Organizing
Gaussian Grids", arXiv 2312.13299), for CPUs and for any rectangle.

The grid is compared with a blurred copy of itself, and elements swap places until each is near what the copy shows
around it; then the blur is made narrower. Elements swap only within their block, which is about as large as the blur,
so blocks do not depend on each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spaceport.progress import Progress
from spaceport.simd.cores import usable_cores
from spaceport.simd.thread_pool import ThreadPool
from spaceport.splats.sog.plas.assign import Indices, distance, reorder
from spaceport.splats.sog.plas.blur import LANES, Cells, box_blur

MAX_PARTS = 64
SMALLEST_PART = 1024  # quads; waking a thread takes as long as some hundreds of them


@dataclass(frozen=True)
class PlasSettings:
    """How long to sort. The defaults are the paper's, with the stopping rule that its authors use for Gaussians."""

    shrink: float = 0.95
    """Each blur's radius as a share of the one before."""
    smallest_block: int = 16
    """Side of the smallest block, cells."""
    least_gain: float = 1e-4
    """The blocks move on when a reorder lowers the squared distance by less than this share."""
    positions: int = 4
    """Positions of the blocks to try at each radius, at least."""
    largest_radius: int | None = None
    """Radius of the first blur; without it, half the longer side. Smaller when the grid is in good order already."""


@dataclass(frozen=True)
class GridOrder:
    """The element in each cell [N], and how many reorders it took."""

    order: Indices
    reorders: int


def sort_grid(
    features: NDArray[np.floating],
    width: int,
    progress: Progress,
    *,
    seed: int = 0,
    settings: PlasSettings = PlasSettings(),
    threads: int | None = None,
) -> GridOrder:
    """Sort elements [N,D], D up to 16, into a grid `width` wide, filled row by row, so that neighbours are alike.

    They are sorted from the order in which they come. The same arguments give the same order for any number of threads.

    Raises:
        ValueError: more than 16 features, or values that are not finite.
    """
    count, dimensions = features.shape
    if dimensions > LANES or not np.isfinite(features).all():
        raise ValueError(f"PLAS sorts by at most {LANES} finite features, not by {dimensions}")
    sorter = _Sorter(features, width, np.random.default_rng(seed), settings, threads or usable_cores())
    radii = list(_radii(max(-(-count // width), width), settings))
    for number, radius in enumerate(radii):
        progress.update(number / len(radii), "Sorting the Gaussians into a smooth grid", radius=radius)
        sorter.sort(radius, progress)
    return GridOrder(sorter.order, sorter.reorders)


def mean_neighbour_distance(features: NDArray[np.floating], width: int) -> float:
    """Mean distance between neighbours in a full grid `width` wide: how smooth it is, less being smoother."""
    full = len(features) // width
    grid = features[: full * width].reshape(full, width, -1).astype(np.float64)
    steps = [np.linalg.norm(np.diff(grid, axis=axis), axis=2).ravel() for axis in (0, 1)]
    return float(np.concatenate(steps).mean())


def _radii(longest: int, settings: PlasSettings) -> Iterator[int]:
    radius = float(settings.largest_radius or max(1.0, longest / 2 - 1))
    while radius >= 1:
        yield int(radius)
        radius *= settings.shrink


class _Sorter:
    def __init__(
        self,
        features: NDArray[np.floating],
        width: int,
        random: np.random.Generator,
        settings: PlasSettings,
        threads: int,
    ) -> None:
        self.cells: Cells = np.zeros((len(features), LANES), np.float32)
        self.cells[:, : features.shape[1]] = features
        self.order: Indices = np.arange(len(features), dtype=np.int32)
        self.height = -(-len(features) // width)
        self.width = width
        self.random = random
        self.settings = settings
        self.reorders = 0
        self.pool = ThreadPool(threads)

    def sort(self, radius: int, progress: Progress) -> None:
        """Reorder at one radius, at several positions of the blocks, until one gains nothing."""
        targets = box_blur(self.cells, self.width, radius, self.pool)
        side = max(self.settings.smallest_block, 2 * radius + 2)
        block = min(side, self.height), min(side, self.width)
        if block[0] * block[1] < 4:
            return
        tried, improved = 0, True
        while improved or tried < self.settings.positions:
            improved = self._sort_at_one_position(targets, block, progress)
            tried += 1

    def _sort_at_one_position(self, targets: Cells, block: tuple[int, int], progress: Progress) -> bool:
        corners, shuffled = self._corners(block), self._shuffle_cells(block)
        grid, quads = (self.height, self.width), shuffled.shape[1]
        before = self._sum_over_quads(
            lambda share: distance(self.cells, targets, corners, grid, shuffled, share), corners, shuffled
        )
        improved = False
        while before > 0:
            progress.check()
            turns = self.random.integers(0, quads, 4)
            work = partial(reorder, self.cells, targets, self.order, corners, grid, shuffled, turns)
            gained = self._sum_over_quads(work, corners, shuffled)
            self.reorders += 1
            if gained < self.settings.least_gain * before:
                break
            before -= gained
            improved = True
        return improved

    def _corners(self, block: tuple[int, int]) -> NDArray[np.int64]:
        """Where blocks begin [B,2]: as many as fit side by side, from a random place on; the grid is a torus."""
        ys, xs = (
            (self.random.integers(0, size) + side * np.arange(size // side)) % size
            for side, size in zip(block, (self.height, self.width), strict=True)
        )
        return np.stack(np.meshgrid(ys, xs, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.int64)

    def _shuffle_cells(self, block: tuple[int, int]) -> Indices:
        """A block's cells in random order, in four quarters: rows and columns [4,M,2].

        The quads of one reorder take one of each quarter. Turning the quarters against each other gives the next
        reorder other quads at a fraction of what a new draw costs.
        """
        cells = self.random.permutation(np.arange(block[0] * block[1], dtype=np.int32))
        cells = cells[: len(cells) // 4 * 4].reshape(4, -1)
        return np.ascontiguousarray(np.stack(np.divmod(cells, np.int32(block[1])), axis=-1))

    def _sum_over_quads(
        self, work: Callable[[tuple[int, int]], float], corners: NDArray[np.int64], shuffled: Indices
    ) -> float:
        """The sum of `work` over all quads, in parts that depend on their number alone, added up in order."""
        count = len(corners) * shuffled.shape[1]
        parts = min(MAX_PARTS, -(-count // SMALLEST_PART))
        edges = [count * part // parts for part in range(parts + 1)]
        threads = min(self.pool.count, parts)
        sums = [0.0] * parts

        def share(thread: int) -> None:
            for part in range(thread, parts, threads):
                sums[part] = work((edges[part], edges[part + 1]))

        self.pool.parallel_for(share, threads)
        return sum(sums)
