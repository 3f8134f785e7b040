"""How many Gaussians, and how many SH bands, a survey can fill and a machine can hold.

A model with more Gaussians than its photos can pin down learns the photos by heart. How many they pin down follows from
their pixels and from how many photos show each place, since every further view tells more of its shape. Held-out PSNR
in dB (colour-corrected, 400 pixels, 1,300 to 1,440 iterations) by training pixels for each Gaussian:

| | views of a point | 300 | 150 | 75 | 37 | chosen |
|---|---|---|---|---|---|---|
| brighton_beach, 15 nadir photos | 4.4 | 20.2 | 20.5 | 20.6 | 20.4 | 76 |
| banana, 13 photos around it | 10.9 | 26.7 | 27.0 | 27.5 | 27.4 | 48 |
| demo survey, 26 photos | 14.0 | 24.6 | 26.7 | 27.6 | 28.3 | 43 |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from spaceport.splats.cameras import Camera

PIXELS_PER_GAUSSIAN: Final = 160
"""Training pixels, summed over all photos, that each Gaussian needs where one photo shows each point; with more views,
as many fewer as the root of their number."""
POINTS_ASKED: Final = 2_000
GAUSSIANS_PER_POINT: Final = 20
"""Growth beyond the sparse points that is still anchored to what structure from motion saw."""
CPU_MOST: Final = 100_000
"""On two cores an iteration with 100 thousand takes 48 ms, and most of it is no longer the picture."""
CUDA_BYTES: Final = 3_000
"""Per Gaussian: parameters, gradients, Adam's moments and gsplat's buffers."""
CUDA_PART: Final = 0.6
LEAST: Final = 1_000
PHOTOS_FOR_BAND: Final = (0, 0, 24, 48)
"""Training photos from which on each SH band is used. On 16 nadir photos, one band shows held-out ones 0.5 dB better
than three: with few views of each place, further bands only learn each photo's noise."""


@dataclass(frozen=True)
class Cap:
    """The most Gaussians, and the reason in plain words."""

    gaussians: int
    why: str


def views_of_points(cameras: Sequence[Camera], xyz: npt.NDArray[np.float64]) -> float:
    """In how many of the pictures a point [P,3] lies, in the mean over (some of) those that lie in any; at least 1."""
    some = xyz[:: max(1, len(xyz) // POINTS_ASKED)]
    views = np.zeros(len(some), np.int64)
    for camera in cameras:
        u, v, depth = camera.project(some)
        views += (depth > 0) & (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    return float(views[views > 0].mean()) if views.any() else 1.0


def choose_cap(asked: int | None, training_pixels: int, views: float, points: int, cuda_bytes: int | None) -> Cap:
    """Choose the cap.

    Args:
        asked: what the user set, or None.
        training_pixels: of all training photos at the finest level.
        views: training photos that show a point of the sparse model, in the mean.
        points: in the sparse model.
        cuda_bytes: memory of the GPU, or None on a CPU.
    """
    needed = PIXELS_PER_GAUSSIAN / math.sqrt(max(1.0, views))
    limits = {
        f"{needed:.0f} training pixels for each, as {views:.1f} photos show a place": int(training_pixels / needed),
        f"{GAUSSIANS_PER_POINT} for each sparse point": points * GAUSSIANS_PER_POINT,
    }
    if cuda_bytes is None:
        limits["what a CPU trains in useful time"] = CPU_MOST
    else:
        limits["memory of the GPU"] = int(cuda_bytes * CUDA_PART) // CUDA_BYTES
    if asked is not None:
        held = limits.get("memory of the GPU", asked)
        return Cap(min(asked, held), "as asked" if asked <= held else "memory of the GPU")
    why = min(limits, key=lambda name: limits[name])
    return Cap(max(LEAST, limits[why]), why)


def choose_sh_degree(asked: int, training_photos: int) -> int:
    """The highest SH band that so many photos can pin down, at most what was asked for."""
    return min(asked, sum(training_photos >= least for least in PHOTOS_FOR_BAND[1:]))
