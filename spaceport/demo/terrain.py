"""The relief of the demo's hamlet: rolling ground from seeded noise, level where people built."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from spaceport.demo import places
from spaceport.demo.textures import clamp, fbm2
from spaceport.simd.jit import kernel, subroutine

HALF_EXTENT: Final = 200.0
"""The grid spans this far to each side of the origin, in metres; beyond, its rim goes on."""
CELL: Final = 0.8
"""Metres between heights of the grid."""


@subroutine
def _hills(x: float, y: float, seed: int) -> float:
    rolling = 3.0 * fbm2(x / 55.0, y / 55.0, 3, 0.42, 0.001, seed + 500)
    return rolling + 0.03 * y - 0.02 * x


@subroutine
def _level(height: float, target: float, distance: float, margin: float) -> float:
    """`target` inside (`distance` negative), `height` from `margin` metres outside, smooth between."""
    t = clamp(distance / margin)
    return target + (height - target) * t * t * (3.0 - 2.0 * t)


@kernel
def _fill(heights: NDArray[np.float64], sites: NDArray[np.float64], seed: int) -> None:
    for row in range(heights.shape[0]):
        for column in range(heights.shape[1]):
            x, y = column * CELL - HALF_EXTENT, row * CELL - HALF_EXTENT
            height = _hills(x, y, seed)
            across = abs(places.road_offset(x, y)) - 3.2
            height = _level(height, _hills(x, places.road_centre(x), seed), across, 6.0)
            for site in range(sites.shape[0]):
                distance = math.hypot(x - sites[site, 0], y - sites[site, 1]) - sites[site, 2]
                level = _hills(sites[site, 0], sites[site, 1], seed)
                height = _level(height, level, distance, 5.0)
            height = _level(height, places.WATER_LEVEL, places.pond(x, y), 7.0)
            heights[row, column] = height


def make_terrain(sites: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Heights in metres, [rows to the north, columns to the east], levelled at `sites` [n, 3] (x, y, radius)."""
    size = round(2 * HALF_EXTENT / CELL) + 1
    heights = np.empty((size, size))
    _fill(heights, sites, seed)
    return heights


@subroutine
def height_at(heights: NDArray[np.float64], x: float, y: float) -> float:
    """Height of the ground at (`x`, `y`), bilinear in the grid; outside, that of the nearest rim."""
    last = heights.shape[0] - 1.001
    u = min(max((x + HALF_EXTENT) / CELL, 0.0), last)
    v = min(max((y + HALF_EXTENT) / CELL, 0.0), last)
    i, j = int(u), int(v)
    a, b = u - i, v - j
    south = heights[j, i] * (1 - a) + heights[j, i + 1] * a
    north = heights[j + 1, i] * (1 - a) + heights[j + 1, i + 1] * a
    return float(south * (1 - b) + north * b)


def steepest_slope(heights: NDArray[np.float64]) -> float:
    """The greatest slope between neighbours of the grid, as rise over run (an upper bound for any direction)."""
    east, north = np.abs(np.diff(heights, axis=1)).max(), np.abs(np.diff(heights, axis=0)).max()
    return float(math.hypot(east, north) / CELL)
