"""How many Gaussians, and how many SH bands, a survey can fill and a machine can hold.

A model with more Gaussians than its photos can pin down learns the photos by heart: on 18 nadir photos the held-out
PSNR fell from 18.8 to 17.4 dB while that of the training photos rose (15.6 thousand against 80 thousand Gaussians).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PIXELS_PER_GAUSSIAN: Final = 150
"""Training pixels, summed over all photos, that each Gaussian needs."""
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


def choose_cap(asked: int | None, training_pixels: int, points: int, cuda_bytes: int | None) -> Cap:
    """Choose the cap.

    Args:
        asked: what the user set, or None.
        training_pixels: of all training photos at the finest level.
        points: in the sparse model.
        cuda_bytes: memory of the GPU, or None on a CPU.
    """
    limits = {
        f"{PIXELS_PER_GAUSSIAN} training pixels for each": training_pixels // PIXELS_PER_GAUSSIAN,
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
