"""How many Gaussians, and how many SH bands, a survey supports and a machine can hold.

A model with more Gaussians than its photos determine overfits. How many they determine follows from their pixels and
from how many photos show each place, since every further view adds to its shape. The measurements behind it
are in `docs/measured/train.md`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from spaceport.splats.cameras import Camera

PIXELS_PER_GAUSSIAN: Final = 160
"""Training pixels, summed over all photos, that each Gaussian needs where one photo shows each point; with more views,
as many fewer as the root of their number."""
SHARP_SIDE: Final = 640
"""Pixels on the longest side up to which each pixel tells something new. Larger photos determine more Gaussians in
proportion to their side only: with 14 photos of 1,200 pixels and 300,000 Gaussians, held-out ones lost 0.4 dB."""
SAMPLED_POINTS: Final = 2_000
GAUSSIANS_PER_POINT: Final = 20
"""Growth beyond the sparse points that is still anchored to what structure from motion saw."""
CUDA_BYTES_PER_GAUSSIAN: Final = 3_000
"""Parameters, gradients, Adam's moments and gsplat's buffers, while Gaussians are added: 1,250 between refinements."""
CUDA_MEMORY: Final = (CUDA_BYTES_PER_GAUSSIAN, 400, "GPU")
CPU_MEMORY: Final = (3_000, 200, "machine")
"""Bytes for each Gaussian, bytes for each pixel of one photo, and of what. On a GPU 770 MB were measured with photos of
1600 x 1200 pixels and no Gaussians; on a CPU 5 GiB with 20 million pixels."""
MEMORY_FRACTION: Final = 0.6
"""The rest is for photos, and for what others hold."""
MIN_GAUSSIANS: Final = 1_000
PHOTOS_PER_BAND: Final = (0, 0, 24, 48)
"""Training photos from which on each SH band is used. On 16 nadir photos, one band shows held-out ones 0.5 dB better
than three: with few views of each place, further bands only fit each photo's noise."""


@dataclass(frozen=True)
class Cap:
    """The most Gaussians, and the reason in a phrase for people."""

    gaussians: int
    why: str


def mean_views_per_point(cameras: Sequence[Camera], xyz: npt.NDArray[np.float64]) -> float:
    """How many of the cameras see a point [P,3], in the mean over (a sample of) those that any sees; at least 1."""
    sample = xyz[:: max(1, len(xyz) // SAMPLED_POINTS)]
    views = np.zeros(len(sample), np.int64)
    for camera in cameras:
        u, v, depth = camera.project(sample)
        views += (depth > 0) & (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    return float(views[views > 0].mean()) if views.any() else 1.0


def memory_cap(machine_bytes: int, pixels: int, *, cuda: bool) -> Cap:
    """What the memory of a GPU, or of the machine, can hold beside photos of so many pixels each."""
    each, per_pixel, of = CUDA_MEMORY if cuda else CPU_MEMORY
    left = int(machine_bytes * MEMORY_FRACTION) - per_pixel * pixels
    return Cap(max(MIN_GAUSSIANS, left // each), f"memory of the {of}")


def pixels_per_gaussian(longest_side: int, views: float) -> float:
    """Training pixels that each Gaussian needs, of photos of this size, where so many show a place."""
    return PIXELS_PER_GAUSSIAN / math.sqrt(max(1.0, views)) * max(1.0, longest_side / SHARP_SIDE)


def choose_cap(requested: int | None, pixels: int, pixels_each: float, points: int, effort: Cap, memory: Cap) -> Cap:
    """Choose the cap.

    Args:
        requested: what the user set, or None.
        pixels: of all training photos at the finest level.
        pixels_each: that each Gaussian needs.
        points: in the sparse model.
        effort: what the preset is worth on this device.
        memory: what the device can hold.
    """
    if requested is not None:
        return memory if memory.gaussians < requested else Cap(requested, "as requested")
    limits = [
        Cap(int(pixels / pixels_each), f"{pixels_each:.0f} training pixels for each"),
        Cap(points * GAUSSIANS_PER_POINT, f"{GAUSSIANS_PER_POINT} for each sparse point"),
        effort,
        memory,
    ]
    lowest = min(limits, key=lambda cap: cap.gaussians)
    return replace(lowest, gaussians=max(MIN_GAUSSIANS, lowest.gaussians))


def choose_sh_degree(requested: int, training_photos: int, photos_per_band: Sequence[int] = PHOTOS_PER_BAND) -> int:
    """The highest SH band that so many photos determine, at most what was requested."""
    return min(requested, sum(training_photos >= minimum for minimum in photos_per_band[1:]))
