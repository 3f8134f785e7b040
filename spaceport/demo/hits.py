"""Where a ray hits the ground, a convex solid or a blob of foliage, and whether the sun reaches a point.

Rays are an origin and a unit direction; distances are metres along it; a miss is `FAR`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from spaceport.demo.solids import Array
from spaceport.demo.sunlight import ACROSS, GRID_CELL, SUN, UPWARDS, SunGrid
from spaceport.demo.terrain import height_at
from spaceport.demo.textures import clamp, noise3
from spaceport.demo.vec import Vec
from spaceport.simd.jit import subroutine

FAR = 1e9
_SWELL = 1.25
"""No leaf cluster reaches further out of its blob than this, in radii."""


@subroutine
def along(origin: Vec, ray: Vec, t: float) -> Vec:
    """The point `t` metres along the ray."""
    return (origin[0] + t * ray[0], origin[1] + t * ray[1], origin[2] + t * ray[2])


@subroutine
def dot(a: Vec, b: Vec) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@subroutine
def ground_hit(heights: Array, slope: float, origin: Vec, ray: Vec) -> float:
    """March down to the terrain; no step can pass it, since no slope is steeper than `slope`."""
    closing = slope * math.hypot(ray[0], ray[1]) - ray[2]
    if ray[2] >= 0.0:
        return FAR
    t = 0.0
    for _ in range(200):
        x, y, z = along(origin, ray, t)
        gap = z - height_at(heights, x, y)
        if gap < 0.001:
            break
        t += gap / closing
    return t


@subroutine
def solid_hit(faces: Array, count: int, origin: Vec, ray: Vec) -> tuple[float, int]:
    """Distance to a convex solid and the face that is hit: the last plane entered, if before the first one left."""
    enter, leave, entered = 1e-6, FAR, -1
    for f in range(count):
        normal = (faces[f, 0], faces[f, 1], faces[f, 2])
        speed, gap = dot(normal, ray), faces[f, 3] - dot(normal, origin)
        if speed < -1e-12:
            if gap / speed > enter:
                enter, entered = gap / speed, f
        elif speed > 1e-12:
            leave = min(leave, gap / speed)
        elif gap < 0.0:
            return FAR, -1
    if entered < 0 or enter >= leave:
        return FAR, -1
    return enter, entered


@subroutine
def _in_blob(blob: Array, point: Vec) -> Vec:
    """The point in the frame in which the blob is a unit sphere."""
    return ((point[0] - blob[0]) / blob[3], (point[1] - blob[1]) / blob[4], (point[2] - blob[2]) / blob[5])


@subroutine
def foliage(blob: Array, point: Vec, seed: int) -> float:
    """About the distance to the leaves of a blob, in metres, negative inside: an ellipsoid swollen by clusters."""
    q = _in_blob(blob, point)
    radius = math.sqrt(dot(q, q))
    if radius > _SWELL + 0.2:
        return float((radius - _SWELL) * blob[5])
    s = 1.0 / blob[9]
    lumps = 0.7 * noise3(point[0] * s, point[1] * s, point[2] * s, seed + 300)
    lumps += 0.3 * noise3(point[0] * s * 2.3, point[1] * s * 2.3, point[2] * s * 2.3, seed + 301)
    return float((radius - 1.0 - 0.23 * lumps) * blob[5])


@subroutine
def _sphere_span(q: Vec, d: Vec, radius: float) -> tuple[float, float]:
    """Where q + t d enters and leaves the sphere around 0; (FAR, FAR) when it does not."""
    a, b, c = dot(d, d), dot(q, d), dot(q, q) - radius * radius
    root = b * b - a * c
    if root <= 0.0:
        return FAR, FAR
    root = math.sqrt(root)
    return (-b - root) / a, (-b + root) / a


@subroutine
def blob_hit(blob: Array, origin: Vec, ray: Vec, limit: float, seed: int) -> float:
    """Distance to the leaves of a blob, marched between where the ray enters and leaves its swollen ellipsoid."""
    d = (ray[0] / blob[3], ray[1] / blob[4], ray[2] / blob[5])
    t, leave = _sphere_span(_in_blob(blob, origin), d, _SWELL)
    if t >= limit or t < 0.0:
        return FAR
    before = t
    for _ in range(24):
        gap = foliage(blob, along(origin, ray, t), seed)
        if gap < 0.0:
            break
        before = t
        t += max(0.5 * gap, 0.02 * blob[5])
        if t >= leave:
            return FAR
    for _ in range(4):  # bisection between the last point outside and the first inside
        middle = 0.5 * (before + t)
        if foliage(blob, along(origin, ray, middle), seed) < 0.0:
            t = middle
        else:
            before = middle
    return t


@subroutine
def _blob_light(blob: Array, point: Vec) -> float:
    """Sunlight that passes a blob: none through its middle, all beside it, some through its thin rim."""
    q = _in_blob(blob, point)
    d = (SUN[0] / blob[3], SUN[1] / blob[4], SUN[2] / blob[5])
    t = max(-dot(q, d) / dot(d, d), 0.0)
    nearest = along(q, d, t)
    return clamp((math.sqrt(dot(nearest, nearest)) - 0.88) / 0.22)


@subroutine
def sunlight_at(
    sun: SunGrid, faces: Array, counts: NDArray[np.int64], blobs: Array, point: Vec, ragged: Vec, skip: int
) -> float:
    """Share of the sun that reaches `point`. Foliage shades `ragged` instead, a point moved a little by noise.

    `skip` is the thing that the point lies on, if that is foliage: its own shade is in its normals.
    """
    i = int((dot(point, ACROSS) - sun.low[0]) / GRID_CELL)
    j = int((dot(point, UPWARDS) - sun.low[1]) / GRID_CELL)
    if i < 0 or j < 0 or i >= sun.shape[0] or j >= sun.shape[1]:
        return 1.0
    light = 1.0
    cell = j * sun.shape[0] + i
    for item in range(sun.starts[cell], sun.starts[cell + 1]):
        thing = sun.items[item]
        if thing < counts.shape[0]:
            if solid_hit(faces[thing], counts[thing], point, SUN)[1] >= 0:
                return 0.0
        elif thing != skip:
            light *= _blob_light(blobs[thing - counts.shape[0]], ragged)
    return light
