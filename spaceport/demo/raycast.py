"""From a scene and a camera to a photo: one ray a pixel, and four more where neighbours see different things."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from spaceport.demo.ground import ground_albedo
from spaceport.demo.hits import along, blob_hit, dot, foliage, ground_hit, solid_hit, sunlight_at
from spaceport.demo.lens import Lens, Projection
from spaceport.demo.materials import face_albedo
from spaceport.demo.scene import Scene
from spaceport.demo.solids import Array
from spaceport.demo.sunlight import SKY_CELL, SKY_COLOUR, SKY_HALF, SUN, SUN_COLOUR
from spaceport.demo.terrain import height_at
from spaceport.demo.textures import clamp, noise2, noise3, times, visible
from spaceport.demo.vec import Vec
from spaceport.simd.jit import kernel, subroutine

BLOCK: Final = 32
"""Pixels on a side of a block; things out of its sight are culled once for all its rays."""
GROUND: Final = -2
_BOUNCE: Final[Vec] = (0.16, 0.15, 0.11)
_OFFSETS: Final = np.array([(-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125)])

_UNDISTORTION_STEPS: Final = 40
_UNDISTORTION_ERROR: Final = 1e-12


@subroutine
def _undistort(lens: Projection, across: float, down: float) -> tuple[float, float]:
    """Where a point of the image plane would lie without distortion, by a fixed-point iteration."""
    u, v = across, down
    for _ in range(_UNDISTORTION_STEPS):
        square = u * u + v * v
        radial = 1.0 + square * (lens.k1 + square * (lens.k2 + square * lens.k3))
        x = (across - 2.0 * lens.p1 * u * v - lens.p2 * (square + 2.0 * u * u)) / radial
        y = (down - lens.p1 * (square + 2.0 * v * v) - 2.0 * lens.p2 * u * v) / radial
        step = abs(x - u) + abs(y - v)
        u, v = x, y
        if step < _UNDISTORTION_ERROR:
            break
    return u, v


@subroutine
def _pixel_ray(camera_to_world: Array, lens: Projection, column: float, row: float) -> Vec:
    """World direction through an image point; `camera_to_world` is the rotation [3, 3]."""
    u, v = _undistort(lens, (column - lens.cx) / lens.focal, (row - lens.cy) / lens.focal)
    x = camera_to_world[0, 0] * u + camera_to_world[0, 1] * v + camera_to_world[0, 2]
    y = camera_to_world[1, 0] * u + camera_to_world[1, 1] * v + camera_to_world[1, 2]
    z = camera_to_world[2, 0] * u + camera_to_world[2, 1] * v + camera_to_world[2, 2]
    length = math.sqrt(x * x + y * y + z * z)
    return (x / length, y / length, z / length)


@subroutine
def _things_in_block(spheres: Array, origin: Vec, axis: Vec, spread: float, things: NDArray[np.int64]) -> int:
    """Write the things whose sphere intersects a cone around `axis` into `things`; `spread` is the half angle.

    Returns:
        How many they are.
    """
    count = 0
    for thing in range(spheres.shape[0]):
        s = spheres[thing]
        to = (s[0] - origin[0], s[1] - origin[1], s[2] - origin[2])
        distance = math.sqrt(dot(to, to))
        off = math.acos(min(max(dot(to, axis) / distance, -1.0), 1.0))
        if distance <= s[3] or off <= spread + math.asin(s[3] / distance):
            things[count] = thing
            count += 1
    return count


@subroutine
def _nearest(scene: Scene, things: NDArray[np.int64], origin: Vec, ray: Vec) -> tuple[float, int, int]:
    """Distance, thing and face of the first hit. The thing is `GROUND` for the ground."""
    best, what, face = ground_hit(scene.heights, scene.slope, origin, ray), GROUND, 0
    solids = scene.face_counts.shape[0]
    for thing in things:
        s = scene.spheres[thing]
        to = (s[0] - origin[0], s[1] - origin[1], s[2] - origin[2])
        middle = dot(to, ray)
        if middle - s[3] > best or dot(to, to) - middle * middle > s[3] * s[3]:
            continue
        if thing < solids:
            t, f = solid_hit(scene.faces[thing], scene.face_counts[thing], origin, ray)
        else:
            t, f = blob_hit(scene.blobs[thing - solids], origin, ray, best, scene.seed), 0
        if t < best:
            best, what, face = t, thing, f
    return best, what, face


@subroutine
def _sky_share(sky: Array, x: float, y: float) -> float:
    last = sky.shape[0] - 1.001
    u = min(max((x + SKY_HALF) / SKY_CELL, 0.0), last)
    v = min(max((y + SKY_HALF) / SKY_CELL, 0.0), last)
    i, j = int(u), int(v)
    a, b = u - i, v - j
    south = sky[j, i] * (1 - a) + sky[j, i + 1] * a
    return float(south * (1 - b) + (sky[j + 1, i] * (1 - a) + sky[j + 1, i + 1] * a) * b)


@subroutine
def _sun_share(scene: Scene, point: Vec, normal: Vec, skip: int) -> float:
    """Share of the full sun on a surface: the angle's cosine times what is not in shade."""
    facing = dot(normal, SUN)
    if facing <= 0.0:
        return 0.0
    off = along(point, normal, 0.02)
    push = 0.4 * noise2(off[0] / 0.9, off[1] / 0.9, scene.seed + 400)
    pull = 0.4 * noise2(off[0] / 0.9, off[1] / 0.9, scene.seed + 401)
    ragged = (off[0] + push, off[1] + pull, off[2])
    return facing * sunlight_at(scene.sun, scene.faces, scene.face_counts, scene.blobs, off, ragged, skip)


@subroutine
def _shine(albedo: Vec, sun: float, sky: float, bounce: float) -> Vec:
    red = albedo[0] * (sun * SUN_COLOUR[0] + sky * SKY_COLOUR[0] + bounce * _BOUNCE[0])
    green = albedo[1] * (sun * SUN_COLOUR[1] + sky * SKY_COLOUR[1] + bounce * _BOUNCE[1])
    blue = albedo[2] * (sun * SUN_COLOUR[2] + sky * SKY_COLOUR[2] + bounce * _BOUNCE[2])
    return (red, green, blue)


@subroutine
def _shade_ground(scene: Scene, point: Vec, pixel: float, ray: Vec) -> tuple[Vec, float]:
    x, y, _ = point
    east = height_at(scene.heights, x + 0.8, y) - height_at(scene.heights, x - 0.8, y)
    north = height_at(scene.heights, x, y + 0.8) - height_at(scene.heights, x, y - 0.8)
    length = math.sqrt(east * east + north * north + 2.56)
    normal = (-east / length, -north / length, 1.6 / length)
    footprint = pixel / math.sqrt(max(-dot(normal, ray), 0.1))
    sun = _sun_share(scene, point, normal, -1)
    return _shine(ground_albedo(x, y, footprint, scene.seed), sun, _sky_share(scene.sky, x, y), 0.0), sun


@subroutine
def _shade_solid(scene: Scene, hit: tuple[int, int], point: Vec, pixel: float, ray: Vec) -> tuple[Vec, float]:
    row = scene.faces[hit[0], hit[1]]
    normal = (row[0], row[1], row[2])
    u = row[4] * point[0] + row[5] * point[1] + row[6] * point[2] - row[7]
    v = row[8] * point[0] + row[9] * point[1] + row[10] * point[2] - row[11]
    footprint = pixel / math.sqrt(max(-dot(normal, ray), 0.1))
    paint = (row[12], (row[13], row[14], row[15]), row[16])
    albedo = face_albedo(paint, u, v, footprint, scene.seed + 7 * hit[0])
    sun = _sun_share(scene, point, normal, -1)
    above = clamp((point[2] - height_at(scene.heights, point[0], point[1])) / 2.5)
    sky = (0.55 + 0.45 * normal[2]) * (0.65 + 0.35 * above)
    return _shine(albedo, sun, sky, 1.0 - max(normal[2], 0.0)), sun


@subroutine
def _shade_blob(scene: Scene, thing: int, point: Vec, pixel: float) -> tuple[Vec, float]:
    blob = scene.blobs[thing - scene.face_counts.shape[0]]
    e = 0.09 * blob[9]
    here = foliage(blob, point, scene.seed)
    gx = foliage(blob, along(point, (1.0, 0.0, 0.0), e), scene.seed) - here
    gy = foliage(blob, along(point, (0.0, 1.0, 0.0), e), scene.seed) - here
    gz = foliage(blob, along(point, (0.0, 0.0, 1.0), e), scene.seed) - here
    length = math.sqrt(gx * gx + gy * gy + gz * gz) + 1e-12
    normal = (gx / length, gy / length, gz / length)
    fine = noise3(point[0] / 0.45, point[1] / 0.45, point[2] / 0.45, scene.seed + 310) * visible(0.45, pixel)
    fine += 0.7 * noise3(point[0] / 0.21, point[1] / 0.21, point[2] / 0.21, scene.seed + 311) * visible(0.21, pixel)
    out = math.sqrt(
        ((point[0] - blob[0]) / blob[3]) ** 2
        + ((point[1] - blob[1]) / blob[4]) ** 2
        + ((point[2] - blob[2]) / blob[5]) ** 2
    )
    open_sky = clamp(0.55 + 1.6 * (out - 0.95)) * (0.62 + 0.38 * normal[2])
    tint = times((blob[6], blob[7], blob[8]), 1.0 + 0.42 * fine + 0.25 * normal[2])
    sun = 0.12 + 0.88 * _sun_share(scene, point, normal, thing)
    return _shine(tint, sun * (0.55 + 0.45 * open_sky), open_sky, 0.3), sun


@subroutine
def _trace(scene: Scene, things: NDArray[np.int64], origin: Vec, ray: Vec, spread: float) -> tuple[Vec, float, int]:
    """Light along a ray, distance to where it comes from, and a key that differs across edges and shade lines."""
    t, thing, face = _nearest(scene, things, origin, ray)
    point = along(origin, ray, t)
    solids = scene.face_counts.shape[0]
    if thing == GROUND:
        light, sun = _shade_ground(scene, point, t * spread, ray)
    elif thing < solids:
        light, sun = _shade_solid(scene, (thing, face), point, t * spread, ray)
    else:
        light, sun = _shade_blob(scene, thing, point, t * spread)
        thing, sun = solids, 1.0  # foliage has no edges worth more rays but those that the distance shows
    return light, t, ((thing + 3) * 16 + face) * 2 + (1 if sun > 0.05 else 0)


@subroutine
def _edge(keys: NDArray[np.int64], depth: Array, row: int, column: int) -> bool:
    """Whether a neighbour sees something else, or the same much nearer or farther."""
    for step in range(4):
        i = row + (step == 0) - (step == 1)
        j = column + (step == 2) - (step == 3)
        if 0 <= i < keys.shape[0] and 0 <= j < keys.shape[1]:
            apart = abs(depth[i, j] - depth[row, column])
            if keys[i, j] != keys[row, column] or apart > 0.008 * depth[row, column]:
                return True
    return False


@subroutine
def _cone(camera_to_world: Array, lens: Projection, row: int, column: int) -> tuple[Vec, float]:
    """Axis and half angle of a cone around all rays of the block that begins at (`row`, `column`)."""
    axis = _pixel_ray(camera_to_world, lens, column + BLOCK / 2, row + BLOCK / 2)
    spread = 0.0
    for corner in range(4):
        ray = _pixel_ray(camera_to_world, lens, column + BLOCK * (corner & 1), row + BLOCK * (corner >> 1))
        spread = max(spread, math.acos(min(dot(axis, ray), 1.0)))
    return axis, spread + 0.01 / lens.focal


@kernel
def _cast(
    scene: Scene, camera_to_world: Array, origin: Vec, lens: Projection, light: Any, depth: Any, keys: Any
) -> None:
    """Fill `light` [H, W, 3], `depth` and `keys` [H, W]: one ray each pixel, then four more at edges."""
    things = np.empty(scene.spheres.shape[0], np.int64)
    height, width = depth.shape
    for refine in range(2):
        for top in range(0, height, BLOCK):
            for left in range(0, width, BLOCK):
                axis, spread = _cone(camera_to_world, lens, top, left)
                near = things[: _things_in_block(scene.spheres, origin, axis, spread, things)]
                for row in range(top, min(top + BLOCK, height)):
                    for column in range(left, min(left + BLOCK, width)):
                        if refine == 0:
                            ray = _pixel_ray(camera_to_world, lens, column + 0.5, row + 0.5)
                            colour, t, key = _trace(scene, near, origin, ray, 1.0 / lens.focal)
                            light[row, column, 0], light[row, column, 1], light[row, column, 2] = colour
                            depth[row, column], keys[row, column] = t, key
                        elif _edge(keys, depth, row, column):
                            _soften(scene, near, camera_to_world, origin, lens, (row, column), light)


@subroutine
def _soften(
    scene: Scene, near: Any, camera_to_world: Array, origin: Vec, lens: Projection, at: tuple[int, int], light: Any
) -> None:
    """Replace a pixel by the mean of four rays spread over it."""
    red, green, blue = 0.0, 0.0, 0.0
    for k in range(4):
        ray = _pixel_ray(camera_to_world, lens, at[1] + 0.5 + _OFFSETS[k, 0], at[0] + 0.5 + _OFFSETS[k, 1])
        colour = _trace(scene, near, origin, ray, 1.0 / lens.focal)[0]
        red, green, blue = red + colour[0], green + colour[1], blue + colour[2]
    light[at[0], at[1], 0], light[at[0], at[1], 1], light[at[0], at[1], 2] = red / 4, green / 4, blue / 4


def cast_photo(scene: Scene, world_to_camera: Array, lens: Lens) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Take a photo.

    Args:
        world_to_camera: [4, 4], OpenCV axes, east-north-up metres.
        lens: through which, and onto how many pixels.

    Returns:
        The photo [H, W, 3] in sRGB, and for each pixel the distance in metres along its ray.
    """
    light, depth = np.empty((lens.height, lens.width, 3), np.float32), np.empty((lens.height, lens.width))
    camera_to_world = np.ascontiguousarray(world_to_camera[:3, :3].T)
    x, y, z = -camera_to_world @ world_to_camera[:3, 3]
    keys = np.empty(depth.shape, np.int64)
    _cast(scene, camera_to_world, (float(x), float(y), float(z)), lens.projection, light, depth, keys)
    return tone_map(light), depth


def tone_map(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Linear light to sRGB with one fixed exposure and a soft shoulder, so that white walls keep their texture."""
    linear = 1.0 - np.exp(-1.15 * light)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255.0 * np.clip(srgb, 0.0, 1.0)), np.uint8)
