"""How far each level of a leaf is from its finest one, as pictures: `errors` of lod-meta.json.

Where PlayCanvas' engine chooses levels by error (2.22), it buys first what removes most error by added Gaussian, times
the part of the screen that the leaf covers. The measure is that of PlayCanvas' splat-transform (3.3 to 3.7,
`--lod-errors`), so that leaves of both compare: the leaf alone is seen from six sides, almost without perspective, at
most 512 pixels wide; the squared differences of red, green, blue and coverage are summed over all pixels and divided
by the sum of squares of the finest level. 0 is the same picture, 1 as wrong as an empty one.

Differences of levels count, not the rounding of the file, which all of them share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spaceport.splats.cameras import Camera
from spaceport.splats.model import Gaussians
from spaceport.splats.render import SimdRasteriser

LARGEST_PICTURE, SMALLEST_PICTURE = 512, 64  # pixels; the larger one is a leaf across a quarter of a 2K screen
PIXELS_ACROSS = 4  # of the smallest Gaussians that count: finer pixels change nothing
SMALL_GAUSSIANS = 0.1  # quantile of the largest axes
RADII_AWAY = 200.0  # so far that the directions of view are parallel, to a pixel
MARGIN = 1.05
TURN = (45.0, 20.0, 35.0)  # degrees: seen along an axis, some spherical harmonics would be zero
LEAST_RADIUS = 1e-3

Doubles = NDArray[np.float64]


class LeafErrors:
    """Measures leaves of one model; keeps the renderer's buffers."""

    def __init__(self, antialiased: bool) -> None:
        self._rasteriser = SimdRasteriser(antialiased=antialiased)

    def measure(self, levels: Sequence[Gaussians], low: Doubles, high: Doubles) -> list[float]:
        """Errors of `levels`, finest first, from 0 up and never falling.

        Args:
            low, high: the leaf's bound [3], scene units.
        """
        centre = (low + high) / 2
        radius = max(float(np.linalg.norm(high - low)) / 2, LEAST_RADIUS)
        centred = [replace(level, means=(level.means - centre).astype(np.float32)) for level in levels]
        pixels = _pixels(levels[0], radius)
        differences, energy = np.zeros(len(levels)), 0.0
        for camera in _cameras(radius, pixels):
            finest = self._picture(centred[0], camera)
            energy += float(np.square(finest).sum())
            for number, level in enumerate(centred[1:], start=1):
                differences[number] += float(np.square(self._picture(level, camera) - finest).sum())
        ratios = differences / energy if energy > 0 else np.sign(differences)
        return [float(ratio) for ratio in np.maximum.accumulate(ratios)]

    def _picture(self, level: Gaussians, camera: Camera) -> NDArray[np.float64]:
        """Red, green, blue and coverage [H,W,4], 0 to 1: what is dark or thin before black is a difference too."""
        arrays = level.arrays()
        on_black, on_white = (
            self._rasteriser.render(arrays, camera, background=(grey, grey, grey)) for grey in (0.0, 1.0)
        )
        coverage = 1 - (on_white - on_black)[..., :1]
        return np.concatenate([on_black, coverage], axis=-1).clip(0, 1).astype(np.float64)


def _pixels(finest: Gaussians, radius: float) -> int:
    """Width of the pictures: enough to see the finest level's Gaussians, within limits."""
    small = float(np.exp(np.quantile(finest.scales.max(axis=1), SMALL_GAUSSIANS)))
    wanted = 2 * radius * PIXELS_ACROSS / (2 * max(small, 1e-6))
    return int(np.clip(wanted, SMALLEST_PICTURE, LARGEST_PICTURE))


def _cameras(radius: float, pixels: int) -> list[Camera]:
    """Six around the origin, that frame a sphere of `radius`."""
    away = RADII_AWAY * radius
    focal = pixels / 2 * RADII_AWAY / MARGIN
    axes = _turn()
    cameras: list[Camera] = []
    for number in range(3):
        for sign in (1, -1):
            ahead = sign * axes[number]
            right = axes[(number + 1) % 3]
            pose = np.eye(4)
            pose[:3, :3] = right, np.cross(ahead, right), ahead
            pose[2, 3] = away
            middle = pixels / 2
            cameras.append(Camera(f"side {len(cameras)}", pixels, pixels, focal, focal, middle, middle, pose))
    return cameras


def _turn() -> Doubles:
    """The axes [3,3], turned about x, then y, then z."""
    whole = np.eye(3)
    for axis, degrees in enumerate(TURN):
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        one, other = (axis + 1) % 3, (axis + 2) % 3
        rotation = np.eye(3)
        rotation[one, one] = rotation[other, other] = cosine
        rotation[one, other], rotation[other, one] = -sine, sine
        whole = rotation @ whole
    return whole.T
