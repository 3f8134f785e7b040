"""The demo's hamlet: a farm, two houses, a chapel, fields, trees, a pond and a launch pad with a small rocket.

`make_scene` puts everything on the terrain and returns plain arrays for the ray caster. Metres, east-north-up.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaceport.demo import places
from spaceport.demo.plants import plant_all
from spaceport.demo.solids import MAX_FACES, Array, Material, Paint, Solid, box, gabled_house, prism, pyramid
from spaceport.demo.sunlight import SunGrid, make_sky_share, make_sun_grid
from spaceport.demo.terrain import height_at, make_terrain, steepest_slope

TERRACOTTA: Final = Paint(Material.TILES, (0.36, 0.125, 0.065))
SLATE: Final = Paint(Material.TILES, (0.135, 0.145, 0.170))
OLD_RED: Final = Paint(Material.TILES, (0.25, 0.11, 0.075))
TIN: Final = Paint(Material.METAL, (0.36, 0.38, 0.39))
SOLAR: Final = Paint(Material.PANELS, (0.03, 0.045, 0.095))
BRICK: Final = Paint(Material.BRICK, (0.33, 0.135, 0.085))
BOARDS: Final = Paint(Material.PLANKS, (0.21, 0.115, 0.065))
CREAM: Final = Paint(Material.PLASTER, (0.58, 0.50, 0.36))
WHITE: Final = Paint(Material.PLASTER, (0.62, 0.61, 0.57))
STONE: Final = Paint(Material.BRICK, (0.34, 0.31, 0.27))
FLAT: Final = Paint(Material.PLAIN, (0.24, 0.23, 0.22))
HULL: Final = Paint(Material.HULL, (0.66, 0.66, 0.65))
RED: Final = Paint(Material.PLAIN, (0.50, 0.05, 0.03))
DARK: Final = Paint(Material.PLAIN, (0.04, 0.045, 0.05))
STRAW: Final = Paint(Material.STRAW, (0.46, 0.36, 0.16))

SITES: Final = np.array(
    [
        (-18.0, 6.0, 8.5),
        (9.0, 15.5, 10.0),
        (-2.0, 5.0, 9.0),
        (-19.0, -27.0, 8.0),
        (6.0, -29.0, 8.0),
        (28.0, -27.0, 9.0),
        (*places.PAD, 8.0),
    ]
)
"""Where the ground is level: x, y, radius."""


class Scene(NamedTuple):
    """What the ray caster needs, as arrays that compiled code takes as they are."""

    heights: Array
    """[rows to the north, columns to the east], see `terrain`."""
    slope: float
    """No slope of the ground is steeper."""
    faces: Array
    """[solids, MAX_FACES, 17]: see `Solid.face_rows`."""
    face_counts: NDArray[np.int64]
    """[solids]"""
    blobs: Array
    """[blobs, 10] of foliage: centre (3), radii (3), colour (3), size of its leaf clusters in metres."""
    spheres: Array
    """[solids + blobs, 4]: centre and radius around each thing, solids first."""
    sun: SunGrid
    sky: Array
    """Share of the sky seen from the ground, on a grid (see `sunlight`)."""
    seed: int


def make_scene(seed: int) -> Scene:
    """The same hamlet for the same seed: the seed changes relief, patterns and trees; the buildings stay."""
    heights = make_terrain(SITES, seed)
    solids = _buildings(heights) + _pad_things(heights) + _small_things(heights)
    faces = np.zeros((len(solids), MAX_FACES, 17))
    for index, solid in enumerate(solids):
        rows = solid.face_rows()
        faces[index, : len(rows)] = rows
    blobs = plant_all(heights, np.random.default_rng(seed))
    around = np.column_stack([blobs[:, :3], blobs[:, 3:6].max(1) * 1.25])
    spheres = np.vstack([[solid.sphere() for solid in solids], around])
    counts = np.array([len(solid.faces) for solid in solids])
    sun, sky = make_sun_grid(spheres), make_sky_share(heights, spheres)
    return Scene(heights, steepest_slope(heights), faces, counts, blobs, spheres, sun, sky, seed)


class _Plot:
    """A place with its own origin and direction, on which solids are put."""

    def __init__(self, heights: Array, x: float, y: float, degrees: float = 0.0) -> None:
        self.x = x
        self.y = y
        self.degrees = degrees
        self.z = height_at(heights, x, y)

    def put(self, solid: Solid, dx: float = 0.0, dy: float = 0.0, turn: float = 0.0) -> Solid:
        c, s = math.cos(math.radians(self.degrees)), math.sin(math.radians(self.degrees))
        return solid.place(self.x + c * dx - s * dy, self.y + s * dx + c * dy, self.z, self.degrees + turn)


def _buildings(heights: Array) -> list[Solid]:
    solids: list[Solid] = []
    farm = _Plot(heights, -18.0, 6.0, 8.0)
    solids += [farm.put(s) for s in gabled_house((12.0, 7.6, 5.0), 3.2, BRICK, TERRACOTTA)]
    solids += [farm.put(s, 3.4, -4.6, 90.0) for s in gabled_house((6.5, 5.6, 3.9), 2.4, BRICK, TERRACOTTA)]
    solids += [farm.put(box((0.9, 0.7, 2.4), BRICK, DARK, 6.6), -3.2, 0.9)]
    barn = _Plot(heights, 9.0, 15.5, -9.0)
    solids += [barn.put(s) for s in gabled_house((18.0, 10.0, 4.8), 3.0, BOARDS, TIN, 0.7)]
    solids += [barn.put(_solar(10.0, 5.0, 4.8, 3.0), -2.0)]
    shed = _Plot(heights, -4.5, 18.0, 4.0)
    solids += [shed.put(s) for s in gabled_house((4.6, 3.6, 2.5), 1.3, BOARDS, SLATE, 0.3)]
    white = _Plot(heights, -19.0, -27.0, -14.0)
    solids += [white.put(s) for s in gabled_house((10.0, 8.0, 4.9), 3.4, WHITE, SLATE)]
    solids += [white.put(box((0.8, 0.8, 2.2), WHITE, DARK, 6.9), 2.6, -0.8)]
    solids += [white.put(box((4.4, 6.0, 2.6), WHITE, FLAT), 7.4, 0.6)]
    cream = _Plot(heights, 6.0, -29.0, 7.0)
    solids += [cream.put(s, turn=90.0) for s in gabled_house((10.5, 7.6, 4.9), 3.0, CREAM, OLD_RED)]
    solids += [cream.put(s, 6.0, -2.2) for s in gabled_house((4.8, 4.6, 2.5), 1.5, CREAM, OLD_RED, 0.3)]
    chapel = _Plot(heights, 28.0, -28.0, 2.0)
    solids += [chapel.put(s) for s in gabled_house((11.0, 6.4, 4.6), 3.6, STONE, SLATE, 0.3)]
    solids += [chapel.put(box((3.8, 3.8, 10.0), STONE, FLAT), -6.4)]
    solids += [chapel.put(pyramid(4.3, 4.3, 10.0, 4.6, SLATE), -6.4)]
    return solids


def _solar(width: float, depth: float, eaves: float, rise: float) -> Solid:
    """Panels lying on the southern slope of a roof whose half depth is `depth`."""
    return gabled_house((width, 2 * depth, eaves + 0.12), rise, FLAT, SOLAR, 0.0)[2]


def _pad_things(heights: Array) -> list[Solid]:
    """The rocket on its fins, the gantry beside it, and the hut from which it is watched."""
    pad = _Plot(heights, *places.PAD, 20.0)
    rocket = [prism(0.85, 0.7, 7.0, HULL), prism(0.85, 7.7, 3.0, RED, 0.3), prism(0.5, 0.15, 0.6, DARK, -0.2)]
    solids = [pad.put(part) for part in rocket]
    solids += [
        pad.put(box((1.5, 0.12, 2.4), RED, RED, 0.0), *_around(1.45, 90 * k + 45), 90 * k + 45) for k in range(4)
    ]
    solids += [pad.put(box((0.5, 0.5, 8.6), RED, RED), 2.6, 0.0), pad.put(box((1.9, 0.3, 0.3), DARK, DARK, 6.2), 1.6)]
    hut = _Plot(heights, 41.0, 11.5, 10.0)
    solids += [hut.put(box((5.4, 3.8, 2.9), WHITE, FLAT)), hut.put(box((1.6, 1.4, 0.9), WHITE, TIN, 2.9), -1.2, 0.5)]
    tank = _Plot(heights, 39.0, 1.5)
    solids += [
        tank.put(prism(1.3, 0.0, 3.2, Paint(Material.PLAIN, (0.55, 0.56, 0.56)))),
        tank.put(prism(1.3, 3.2, 0.9, FLAT, 1.0)),
    ]
    return solids


def _around(radius: float, degrees: float) -> tuple[float, float]:
    return radius * math.cos(math.radians(degrees)), radius * math.sin(math.radians(degrees))


def _small_things(heights: Array) -> list[Solid]:
    """Cars, straw bales, a stack of wood: what makes a place look lived in, and gives scale."""
    solids: list[Solid] = []
    cars = [(-12.5, -24.0, 95.0, (0.42, 0.05, 0.04)), (14.5, -20.5, 82.0, (0.08, 0.14, 0.33))]
    cars += [(-8.0, 4.0, 25.0, (0.55, 0.55, 0.54)), (36.0, places.road_centre(36.0) - 1.3, -14.0, (0.50, 0.36, 0.05))]
    for x, y, degrees, colour in cars:
        plot, body = _Plot(heights, x, y, degrees), Paint(Material.PLAIN, colour)
        solids += [
            plot.put(box((4.3, 1.8, 0.75), body, body, 0.25)),
            plot.put(box((2.2, 1.6, 0.55), DARK, body, 1.0), -0.25),
        ]
    bales = [(12, 34), (19, 40), (26, 33), (33, 41), (9, 46), (24, 50), (38, 34), (45, 45), (17, 56), (35, 54)]
    for index, (x, y) in enumerate(bales):
        solids += [_Plot(heights, x, y, 17.0 * index).put(prism(0.95, 0.0, 1.3, STRAW))]
    solids += [_Plot(heights, -9.5, 14.0, 8.0).put(box((3.2, 1.1, 1.2), BOARDS, BOARDS))]
    solids += [_Plot(heights, 1.0, 9.0, -30.0).put(box((3.6, 1.9, 0.9), RED, DARK, 0.4))]
    return solids
