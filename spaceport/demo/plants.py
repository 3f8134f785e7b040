"""Trees, hedges and bushes: each a few blobs of foliage. Where they stand is random, by the scene's seed."""

from __future__ import annotations

import math

import numpy as np

from spaceport.demo import places
from spaceport.demo.solids import Array
from spaceport.demo.terrain import height_at

Blob = list[float]
Colour = tuple[float, float, float]

LEAVES: tuple[Colour, ...] = (
    (0.075, 0.135, 0.030),
    (0.055, 0.105, 0.028),
    (0.110, 0.150, 0.035),
    (0.085, 0.120, 0.045),
)
NEEDLES: Colour = (0.035, 0.075, 0.035)
BLOSSOM: Colour = (0.145, 0.175, 0.060)


def plant_all(heights: Array, random: np.random.Generator) -> Array:
    """All foliage as blobs [n, 10]: centre, radii, colour, size of leaf clusters."""
    blobs: list[Blob] = []
    for x, y in _orchard(random):
        blobs += _broadleaf(heights, x, y, random.uniform(1.5, 2.0), BLOSSOM, random)
    for x in np.arange(4.0, 52.0, 1.6):
        blobs += _bush(heights, x, 24.2 + 0.06 * x + random.normal(0, 0.15), random)
    for x, y, size in _NAMED:
        blobs += _broadleaf(heights, x, y, size, LEAVES[int(random.integers(4))], random)
    for x, y in ((18.0, -34.5), (20.5, -37.0), (36.5, -35.0), (38.5, -24.0), (-31.0, 12.0), (-28.5, 13.6)):
        blobs += _conifer(heights, x, y, random.uniform(6.5, 9.0))
    for x, y in _wild(random):
        blobs += _any_tree(heights, x, y, random)
    return np.array(blobs)


_NAMED = (
    (-8.5, -6.0, 3.1),
    (2.0, -4.5, 2.6),
    (-27.0, -9.0, 2.8),
    (-42.5, -4.0, 3.2),
    (-44.0, 5.5, 2.5),
    (-30.5, -21.0, 3.4),
    (-4.0, -35.0, 3.0),
    (-27.5, -35.5, 2.7),
    (19.5, -21.0, 2.2),
    (44.0, -9.5, 3.0),
    (22.0, 20.5, 2.4),
    (16.0, -2.5, 2.3),
)


def _orchard(random: np.random.Generator) -> list[tuple[float, float]]:
    rows = [(x, y) for x in np.arange(-33.0, -12.0, 5.0) for y in np.arange(21.5, 38.0, 5.0)]
    return [(x + random.normal(0, 0.25), y + random.normal(0, 0.25)) for x, y in rows if random.random() < 0.92]


def _wild(random: np.random.Generator) -> list[tuple[float, float]]:
    """Trees around the hamlet, thicker towards the rim, never on a road, field, yard or building."""
    trees: list[tuple[float, float]] = []
    for _ in range(900):
        radius, angle = random.uniform(40.0, 125.0), random.uniform(0.0, math.tau)
        x, y = radius * math.cos(angle), radius * math.sin(angle)
        apart = all(math.hypot(x - a, y - b) > 5.0 for a, b in trees)
        if apart and _is_free(x, y) and random.random() < (radius - 30.0) / 60.0:
            trees.append((x, y))
    return trees[:110]


def _is_free(x: float, y: float) -> bool:
    fields = min(places.straw_field(x, y), places.crop_field(x, y), places.ploughed_field(x, y))
    ways = min(abs(places.road_offset(x, y)) - 6.0, abs(places.lane_offset(x, y)) - 4.0)
    built = min(places.pad(x, y) - 8.0, places.pond(x, y) - 2.0, places.drives(x, y) - 3.0)
    return bool(min(fields - 1.5, ways, built) > 0.0)


def _any_tree(heights: Array, x: float, y: float, random: np.random.Generator) -> list[Blob]:
    if random.random() < 0.25:
        return _conifer(heights, x, y, random.uniform(6.0, 11.0))
    return _broadleaf(heights, x, y, random.uniform(2.0, 3.8), LEAVES[int(random.integers(4))], random)


def _broadleaf(
    heights: Array, x: float, y: float, size: float, colour: Colour, random: np.random.Generator
) -> list[Blob]:
    """A round crown of one large blob and three smaller ones leaning out of it."""
    z = height_at(heights, x, y) + 1.15 * size
    light, warm = random.uniform(0.85, 1.2), random.uniform(0.9, 1.1)
    tint = (colour[0] * light * warm, colour[1] * light, colour[2] * light / warm)
    leaf = 0.34 * size
    blobs = [[x, y, z, size, size, 0.95 * size, *tint, leaf]]
    start = random.uniform(0, math.tau)
    for turn in range(3):
        angle = start + turn * math.tau / 3 + random.normal(0, 0.25)
        out, part = 0.62 * size, random.uniform(0.52, 0.68) * size
        at = (x + out * math.cos(angle), y + out * math.sin(angle), z + random.uniform(-0.35, 0.3) * size)
        blobs.append([*at, part, part, 0.9 * part, *tint, leaf])
    return blobs


def _conifer(heights: Array, x: float, y: float, height: float) -> list[Blob]:
    """Four flat blobs, each narrower than the one below."""
    z = height_at(heights, x, y)
    blobs = []
    for share, radius in ((0.22, 0.24), (0.42, 0.19), (0.62, 0.135), (0.82, 0.075)):
        wide = radius * height
        blobs.append([x, y, z + share * height, wide, wide, 0.19 * height, *NEEDLES, 0.9])
    return blobs


def _bush(heights: Array, x: float, y: float, random: np.random.Generator) -> list[Blob]:
    size = random.uniform(0.95, 1.25)
    return [[x, y, height_at(heights, x, y) + 0.6, size, size, 0.9 * size, *LEAVES[int(random.integers(2))], 0.6]]
