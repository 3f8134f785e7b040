"""Light: where the sun stands, which things may shade a point, and how much sky the ground sees."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaceport.demo.terrain import CELL, HALF_EXTENT
from spaceport.demo.vec import Vec

Array = NDArray[np.float64]

_AZIMUTH, _ELEVATION = math.radians(235.0), math.radians(43.0)
SUN: Final[Vec] = (
    math.sin(_AZIMUTH) * math.cos(_ELEVATION),
    math.cos(_AZIMUTH) * math.cos(_ELEVATION),
    math.sin(_ELEVATION),
)
"""Unit vector towards the sun: an afternoon in the south-west."""
SUN_COLOUR: Final[Vec] = (2.55, 2.36, 2.05)
SKY_COLOUR: Final[Vec] = (0.46, 0.55, 0.70)
ACROSS: Final[Vec] = (-math.cos(_AZIMUTH), math.sin(_AZIMUTH), 0.0)
"""With `UPWARDS` a frame of the plane that the sun shines on squarely."""
UPWARDS: Final[Vec] = (
    SUN[1] * ACROSS[2] - SUN[2] * ACROSS[1],
    SUN[2] * ACROSS[0] - SUN[0] * ACROSS[2],
    SUN[0] * ACROSS[1] - SUN[1] * ACROSS[0],
)
GRID_CELL: Final = 1.0
SKY_CELL: Final = 1.0
SKY_HALF: Final = 80.0


class SunGrid(NamedTuple):
    """Seen from the sun, which things lie in each cell: those alone can shade a point there."""

    low: Array
    """[2]: corner of the grid in the frame ACROSS, UPWARDS."""
    shape: NDArray[np.int64]
    """[2]: cells across and upwards."""
    starts: NDArray[np.int64]
    """[cells + 1]: where the cell's things begin in `items`."""
    items: NDArray[np.int64]


def make_sun_grid(spheres: Array) -> SunGrid:
    """Sort things, by the spheres around them [n, 4], into the cells that they may shade."""
    flat = spheres[:, :3] @ np.array([ACROSS, UPWARDS]).T
    radius = spheres[:, 3:] + 0.5  # foliage is shaded at a point moved by up to that much
    low = (flat - radius).min(0)
    shape = np.ceil(((flat + radius).max(0) - low) / GRID_CELL).astype(np.int64) + 1
    cells: list[list[int]] = [[] for _ in range(int(shape.prod()))]
    for thing, (centre, r) in enumerate(zip(flat, radius[:, 0], strict=True)):
        first = np.floor((centre - r - low) / GRID_CELL).astype(int)
        last = np.floor((centre + r - low) / GRID_CELL).astype(int)
        for j in range(first[1], last[1] + 1):
            for i in range(first[0], last[0] + 1):
                nearest = np.clip(
                    centre, low + (np.array([i, j]) * GRID_CELL), low + np.array([i + 1, j + 1]) * GRID_CELL
                )
                if np.hypot(*(nearest - centre)) <= r:
                    cells[j * int(shape[0]) + i].append(thing)
    starts = np.cumsum([0, *map(len, cells)], dtype=np.int64)
    return SunGrid(low, shape, starts, np.array([thing for cell in cells for thing in cell], dtype=np.int64))


def make_sky_share(heights: Array, spheres: Array) -> Array:
    """Share of the sky that the ground sees, [north, east] cells of `SKY_CELL` around the origin.

    Each thing counts as a sphere that hides a part of the sky in proportion to its solid angle, weighted by how
    high it stands; exact for one sphere, an estimate for several.
    """
    size = round(2 * SKY_HALF / SKY_CELL) + 1
    axis = np.arange(size) * SKY_CELL - SKY_HALF
    index = np.rint((axis + HALF_EXTENT) / CELL).astype(int)
    ground = heights[np.ix_(index, index)]
    hidden = np.zeros((size, size))
    for x, y, z, r in spheres:
        across2 = (axis[None, :] - x) ** 2 + (axis[:, None] - y) ** 2
        up = np.maximum(z + 0.4 * r - ground, 0.0)
        far2 = across2 + up**2 + 0.3 * r * r
        hidden += 0.75 * r * r * up / far2**1.5
    return 1.0 / (1.0 + hidden)
