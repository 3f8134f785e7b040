"""Leaving out, at the end, what the photos would hardly miss: Gaussians by their significance, and SH bands.

The idea is that of Trick-GS (arXiv 2501.14534) and LightGaussian (arXiv 2311.17245). There a fixed part is taken; here
as much as costs at most a set loss in PSNR, which is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch

from services.train.dataset import finest
from services.train.rasterisers.protocol import Rasteriser, Tensors
from spaceport.progress import Progress
from spaceport.splats.cameras import Camera
from spaceport.splats.sh import SHN_SIZES

MOST_LOSS_DB: Final = 0.05
"""What leaving out may cost in all: less than trainings with two seeds differ by."""
LEVEL, LONGEST_SIDE = 0.5, 1600
"""Weights are summed over pictures of half size, at most so many pixels long: a Gaussian's part of them is the same."""
PARTS: Final = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)
"""Of the Gaussians: the largest that costs no more is found by halving."""


@dataclass(frozen=True)
class Pruned:
    """What was left out; before and after it the colour-corrected PSNR in dB, over held-out and trained photos."""

    gaussians: int
    sh_bands: int
    psnr_before: float
    psnr_after: float


def significance(
    rasteriser: Rasteriser, parameters: Tensors, cameras: list[Camera], progress: Progress
) -> torch.Tensor:
    """[N] how much of these views each Gaussian is: its blend weights, summed over pixels and views."""
    total = torch.zeros(len(parameters["means"]), device=rasteriser.device)
    for done, camera in enumerate(cameras):
        progress.update(done / len(cameras), "Leaving out what no photo would miss")
        progress.check()
        total += rasteriser.weights(parameters, finest(camera.scaled(LEVEL), LONGEST_SIDE))
    return total


def pruned(
    parameters: Tensors, weights: torch.Tensor, sh_degree: int, score: Callable[[Tensors, int], float]
) -> tuple[Tensors, Pruned]:
    """The parameters without what the photos hardly miss.

    Args:
        parameters: of the model.
        weights: [N] significance.
        sh_degree: highest band in use.
        score: PSNR in dB of a model up to a band.

    Returns:
        The lean parameters; bands that were left out are zero.
    """
    before = after = score(parameters, sh_degree)
    least = before - MOST_LOSS_DB
    bands = sh_degree
    while bands > 0 and (tried := score(parameters, bands - 1)) >= least:
        bands, after = bands - 1, tried
    whole = best = parameters | {"shN": _cut(parameters["shN"], bands)}
    order = torch.argsort(weights, stable=True)
    low, high = 0, len(PARTS) - 1
    while low < high:
        middle = (low + high + 1) // 2
        kept = torch.sort(order[int(PARTS[middle] * len(order)) :]).values
        fewer = {name: value[kept].contiguous() for name, value in whole.items()}
        if (tried := score(fewer, sh_degree)) >= least:
            low, best, after = middle, fewer, tried
        else:
            high = middle - 1
    return best, Pruned(len(order) - len(best["means"]), sh_degree - bands, before, after)


def _cut(shn: torch.Tensor, bands: int) -> torch.Tensor:
    """The coefficients with those of higher bands at zero."""
    kept = shn.clone()
    kept[:, SHN_SIZES[bands] :] = 0
    return kept
