"""Where a model is, and what stands in the way of a look at it: its bulk, and a coarse grid of how opaque it is.

All of it is measured on an even sample of the Gaussians that are finite and opaque enough to be seen, so that it costs
the same for a model of any size. Far floaters, up to about a third of the model, change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spaceport.splats.formats.html import likely_up
from spaceport.splats.frame import Vec3
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes import opacity
from spaceport.splats.sog.attributes.rotations import matrices, normalise

Array = NDArray[np.float64]

SAMPLE_SIZE = 16384  # Gaussians
LOG_SCALES = (-30.0, 30.0)  # beyond which a size is taken for these
SHOWN_ALPHA = 0.2  # fainter ones say little of where surfaces are
REACH = 4.0  # times the median distance from the middle; what is farther away is taken for a floater
BULK = (0.05, 0.95)  # quantiles of the positions along each axis
CELLS = 64  # of the grid, along each axis
GRID_SIDE = 2.6  # of the bulk's diagonal: the orbit lies inside
SPREAD = 1.5  # standard deviations from a Gaussian's middle to where it is entered into the grid as well
FREE = 0.05  # optical thickness of a cell and its neighbours, below which a visitor could be there
HEADROOM = 0.25  # of the diagonal: what lies so high above the bulk's lower side counts as inside of land too


@dataclass(frozen=True, eq=False)
class Bulk:
    """The box that holds most of what is seen of a model."""

    low: Array
    """[3]"""
    high: Array
    """[3]"""
    up: Array
    """[3] unit vector; a guess, where the model does not say."""

    @property
    def middle(self) -> Array:
        """[3]"""
        return (self.low + self.high) / 2

    @property
    def diagonal(self) -> float:
        return float(np.linalg.norm(self.high - self.low))


class Density:
    """What is seen of a model, in cells.

    Raises:
        ValueError: the model holds no finite Gaussian.
    """

    def __init__(self, gaussians: Gaussians) -> None:
        rows, stride = _sample(gaussians)
        sample = gaussians.subset(rows)
        self._means = sample.means.astype(np.float64)
        self._sigmas = np.exp(np.clip(sample.scales.astype(np.float64), *LOG_SCALES))
        self._quats = sample.quats
        self._alphas = stride * opacity.alpha(sample.opacities)
        self.bulk = self._find_bulk(sample.frame.up or likely_up(sample))
        self.cell = GRID_SIDE * self.bulk.diagonal / CELLS
        """Side of a cell, scene units."""
        self._corner = self.bulk.middle - CELLS * self.cell / 2

    def _find_bulk(self, up: Vec3) -> Bulk:
        middle = np.array([_quantiles(column, self._alphas, (0.5,))[0] for column in self._means.T])
        distances = np.linalg.norm(self._means - middle, axis=1)
        near = distances <= REACH * _quantiles(distances, self._alphas, (0.5,))[0]
        weights = self._alphas[near]
        edges = np.array([_quantiles(column, weights, BULK) for column in self._means[near].T])
        size = float(np.median(self._sigmas[near].max(axis=1)))
        smallest = max(size, float(np.abs(middle).max()) * 1e-6, 1e-9)  # one Gaussian is a point, and has a size
        low, high = edges[:, 0] - smallest, edges[:, 1] + smallest
        return Bulk(low, high, np.array(up) / np.linalg.norm(up))

    @cached_property
    def _thickness(self) -> Array:
        """Optical thickness of each cell [64,64,64] to a look through it."""
        a, b, c = self._sigmas.T
        area = 2 * np.pi / 3 * (a * b + b * c + c * a)
        each = self._alphas * np.minimum(area / self.cell**2, 2 * len(_OFFSETS)) / len(_OFFSETS)
        axes = matrices(normalise(self._quats)) * np.minimum(SPREAD * self._sigmas, CELLS * self.cell)[:, None]
        points = self._means[:, None] + np.einsum("nij,pj->npi", axes, _OFFSETS)
        index, inside = self._indices(points)
        weights = np.broadcast_to(each[:, None], inside.shape)[inside]
        return np.bincount(index[inside], weights, CELLS**3).astype(np.float64).reshape(CELLS, CELLS, CELLS)

    @cached_property
    def _crowd(self) -> Array:
        """How many Gaussians, by their opacity, lie in and around each cell [64,64,64]."""
        index, inside = self._indices(self._means)
        crowd = np.bincount(index[inside], self._alphas[inside], CELLS**3).astype(np.float64)
        return _blur(crowd.reshape(CELLS, CELLS, CELLS))

    def _indices(self, points: Array) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Of the cells that points [...,3] lie in [...], and whether they lie in the grid."""
        places = (points - self._corner) / self.cell
        inside = np.all((places >= 0) & (places < CELLS), axis=-1)
        x, y, z = np.moveaxis(np.where(inside[..., None], places, 0).astype(np.intp), -1, 0)
        return (x * CELLS + y) * CELLS + z, inside

    def depths(self, eyes: Array, directions: Array, reach: float) -> Array:
        """How far one sees [E,R], in scene units, from eyes [E,3] along directions [E,R,3] or [R,3] of length 1, until
        half the light is taken; infinite where that is farther than `reach`."""
        steps = max(1, round(reach / self.cell))
        distances = (np.arange(steps) + 0.5) * self.cell
        rays = np.broadcast_to(directions, (len(eyes), *directions.shape[-2:]))
        points = eyes[:, None, None] + rays[:, :, None] * distances[:, None]
        index, inside = self._indices(points)
        taken = np.cumsum(np.where(inside, self._thickness.reshape(-1)[index], 0), axis=-1) > np.log(2)
        return np.where(taken.any(axis=-1), distances[taken.argmax(axis=-1)], np.inf)

    @cached_property
    def _free(self) -> NDArray[np.bool_]:
        """[64,64,64] where there is room."""
        return np.asarray(_blur(self._thickness) < FREE)

    def free_places(self, most: int) -> Array:
        """[E,3] at most so many places in the bulk where nothing is, evenly spread over all of them."""
        up, extent = self.bulk.up, self.bulk.high - self.bulk.low
        above = up * max(0.0, HEADROOM * self.bulk.diagonal - float(np.abs(up) @ extent))
        ends = (self.bulk.low, self.bulk.high, self.bulk.low + above, self.bulk.high + above)
        index = np.flatnonzero(self._free & self._in_box(np.min(ends, axis=0), np.max(ends, axis=0)))
        return self._places(index[:: -(-len(index) // most)]) if len(index) else np.empty((0, 3))

    def is_free(self, places: Array) -> NDArray[np.bool_]:
        """[E] whether there is room at places [E,3]."""
        index, inside = self._indices(places)
        return ~inside | self._free.reshape(-1)[index]

    def crowded_places(self) -> list[Array]:
        """[3] of the place with the most Gaussians around it, in each half of the bulk along its longest side."""
        longest = int(np.argmax(self.bulk.high - self.bulk.low))
        crowd = np.where(self._in_box(self.bulk.low, self.bulk.high), self._crowd, 0)
        middle = int((self.bulk.middle - self._corner)[longest] / self.cell)
        halves = []
        for part in (np.arange(CELLS) < middle, np.arange(CELLS) >= middle):
            shape = [1, 1, 1]
            shape[longest] = CELLS
            half = np.where(part.reshape(shape), crowd, 0)
            if half.any():
                halves.append(self._places(np.array([int(half.argmax())]))[0])
        return halves

    def _in_box(self, low: Array, high: Array) -> NDArray[np.bool_]:
        """[64,64,64] which cells have their centre in a box."""
        centres = self._corner[:, None] + (np.arange(CELLS) + 0.5) * self.cell
        x, y, z = (centres >= low[:, None]) & (centres <= high[:, None])
        return np.asarray(x[:, None, None] & y[:, None] & z)

    def _places(self, index: NDArray[np.intp]) -> Array:
        cells = np.stack(np.unravel_index(index, (CELLS, CELLS, CELLS)), axis=-1)
        return np.asarray(self._corner + (cells + 0.5) * self.cell)


_OFFSETS = np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])


def _sample(gaussians: Gaussians) -> tuple[NDArray[np.intp], int]:
    """Rows of an even sample of those that can be seen, or of all that can be drawn where none can; and of how many
    each is one."""
    for first in (-(-len(gaussians) // (4 * SAMPLE_SIZE)), 1):
        rows = np.arange(0, len(gaussians), max(1, first))
        rows = rows[_drawable(gaussians.subset(rows))]
        shown = rows[opacity.alpha(gaussians.opacities[rows]) >= SHOWN_ALPHA]
        rows = shown if len(shown) else rows
        if len(rows):
            stride = -(-len(rows) // SAMPLE_SIZE)
            return rows[::stride], max(1, first) * stride
    raise ValueError("no finite Gaussian to look at")


def _drawable(gaussians: Gaussians) -> NDArray[np.bool_]:
    """Which Gaussians are finite and have a rotation [N]."""
    good = ~np.isnan(gaussians.opacities)
    for values in (gaussians.means, gaussians.quats, gaussians.scales):
        good &= np.isfinite(values).all(axis=1)
    return np.asarray(good & (gaussians.quats != 0).any(axis=1))


def _quantiles(values: Array, weights: Array, shares: tuple[float, ...]) -> Array:
    """Weighted quantiles of values [N]."""
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weights[order])
    ranks = np.searchsorted(mass, np.multiply(shares, mass[-1]))
    return np.asarray(values[order[np.minimum(ranks, len(values) - 1)]])


def _blur(cells: Array) -> Array:
    """Sum over each cell and its 26 neighbours."""
    for axis in range(3):
        before = np.moveaxis(cells, axis, 0)
        total = before.copy()
        total[1:] += before[:-1]
        total[:-1] += before[1:]
        cells = np.moveaxis(total, 0, axis)
    return cells
