"""Convex solids as lists of painted faces: boxes, gabled houses, pyramids and prisms, in metres, z up.

A ray is intersected with a convex solid by clipping it against the planes (Kay and Kajiya 1986), so one shape serves
for all that people build. A solid is made around its own origin, then turned about z and put in its place.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Colour = tuple[float, float, float]
MAX_FACES = 10


class Material(IntEnum):
    """How a face is painted; `materials.py` has the patterns."""

    PLAIN = 0
    PLASTER = 1
    BRICK = 2
    PLANKS = 3
    TILES = 4
    METAL = 5
    PANELS = 6
    STRAW = 7
    HULL = 8


@dataclass(frozen=True)
class Paint:
    material: Material
    colour: Colour
    """Linear RGB albedo of the material's main part."""


@dataclass(frozen=True)
class Face:
    normal: Array
    """[3], outward, of length 1."""
    point: Array
    """[3], where the face's pattern has its origin: for walls the middle of the foot."""
    paint: Paint
    width: float = 0.0
    """Width of a wall in metres, for the windows; 0 has none."""


@dataclass(frozen=True)
class Solid:
    faces: tuple[Face, ...]

    def place(self, x: float, y: float, z: float, degrees: float) -> Solid:
        """The solid turned counter-clockwise about z, then moved."""
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        turn, move = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]), np.array([x, y, z])
        return Solid(tuple(replace(f, normal=turn @ f.normal, point=turn @ f.point + move) for f in self.faces))

    def sphere(self) -> Array:
        """A sphere around the solid: centre and radius, [4]."""
        corners = np.array(list(self._corners()))
        centre = (corners.min(0) + corners.max(0)) / 2
        return np.append(centre, np.linalg.norm(corners - centre, axis=1).max() + 1e-3)

    def _corners(self) -> list[Array]:
        normals = np.array([f.normal for f in self.faces])
        offsets = np.array([f.normal @ f.point for f in self.faces])
        corners = []
        for three in itertools.combinations(range(len(self.faces)), 3):
            planes = normals[list(three)]
            if abs(np.linalg.det(planes)) > 1e-6:
                corner = np.linalg.solve(planes, offsets[list(three)])
                if np.all(normals @ corner <= offsets + 1e-6):
                    corners.append(corner)
        return corners

    def face_rows(self) -> list[list[float]]:
        """Per face, a row for the ray caster: plane (4), u axis and offset (4), v axis and offset (4), paint (5)."""
        return [_row(face) for face in self.faces]


def _row(face: Face) -> list[float]:
    n = face.normal
    flat = math.hypot(n[0], n[1]) < 1e-6
    u = np.array([1.0, 0.0, 0.0]) if flat else np.array([-n[1], n[0], 0.0]) / math.hypot(n[0], n[1])
    v = np.cross(n, u)
    plane = [*n, n @ face.point]
    frame = [*u, u @ face.point, *v, v @ face.point]
    return [*map(float, plane + frame), float(face.paint.material), *face.paint.colour, face.width]


def _face(
    normal: tuple[float, float, float], point: tuple[float, float, float], paint: Paint, width: float = 0
) -> Face:
    n = np.array(normal, float)
    return Face(n / np.linalg.norm(n), np.array(point, float), paint, width)


def _walls(x: float, y: float, paint: Paint, foot: float) -> list[Face]:
    return [
        _face((1, 0, 0), (x, 0, foot), paint, 2 * y),
        _face((-1, 0, 0), (-x, 0, foot), paint, 2 * y),
        _face((0, 1, 0), (0, y, foot), paint, 2 * x),
        _face((0, -1, 0), (0, -y, foot), paint, 2 * x),
    ]


def box(size: Colour, side: Paint, top: Paint, foot: float = 0.0) -> Solid:
    """A box standing on z = `foot`; `size` is width, depth and height."""
    x, y = size[0] / 2, size[1] / 2
    lids = [_face((0, 0, 1), (0, 0, foot + size[2]), top), _face((0, 0, -1), (0, 0, foot), side)]
    return Solid((*_walls(x, y, side, foot), *lids))


def gabled_house(size: Colour, rise: float, wall: Paint, roof: Paint, eaves: float = 0.5) -> list[Solid]:
    """A house with its ridge along x: walls up to the roof, and two roof slabs that overhang by `eaves`."""
    x, y, z = size[0] / 2, size[1] / 2, size[2]
    slopes = [_face((0, s * rise, y), (0, s * y, z - 0.02 * y), wall) for s in (1, -1)]
    base = [_face((0, 0, -1), (0, 0, -2), wall)]
    house = Solid((*_walls(x, y, wall, 0.0), *slopes, *base))
    return [house, *(_roof_slab(x + eaves, y, z, rise, s, eaves, roof) for s in (1, -1))]


def _roof_slab(x: float, y: float, z: float, rise: float, side: int, eaves: float, roof: Paint) -> Solid:
    thick, edge = 0.22, Paint(Material.PLAIN, (0.14, 0.11, 0.09))
    up, foot = (0.0, side * rise, y), (0.0, side * (y + eaves), z - rise * eaves / y)
    top = (foot[0], foot[1], foot[2] + thick)
    return Solid(
        (
            _face(up, top, roof),
            _face((0, -up[1], -up[2]), foot, edge),
            _face((1, 0, 0), (x, 0, z), edge),
            _face((-1, 0, 0), (-x, 0, z), edge),
            _face((0, side, 0), foot, edge),
            _face((0, -side, 0), (0, 0, z), edge),
        )
    )


def pyramid(width: float, depth: float, foot: float, rise: float, paint: Paint) -> Solid:
    """A hipped roof over a rectangle."""
    x, y = width / 2, depth / 2
    sides = [_face((s * rise, 0, x), (s * x, 0, foot), paint) for s in (1, -1)]
    ends = [_face((0, s * rise, y), (0, s * y, foot), paint) for s in (1, -1)]
    return Solid((*sides, *ends, _face((0, 0, -1), (0, 0, foot), paint)))


def prism(radius: float, foot: float, height: float, paint: Paint, slope: float = 0.0) -> Solid:
    """An upright prism of eight sides; with `slope` (inwards per metre up) it narrows, as far as to a point."""
    turns = [math.tau * k / 8 for k in range(8)]
    sides = [
        _face((math.cos(a), math.sin(a), slope), (radius * math.cos(a), radius * math.sin(a), foot), paint)
        for a in turns
    ]
    lids = [_face((0, 0, 1), (0, 0, foot + height), paint), _face((0, 0, -1), (0, 0, foot), paint)]
    return Solid((*sides, *lids))
