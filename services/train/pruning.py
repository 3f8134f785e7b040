"""Pruning at the end of training: Gaussians by their importance score, and SH bands, that the photos hardly show.

The idea is that of LightGaussian (arXiv 2311.17245) and Trick-GS (arXiv 2501.14534). There a fixed fraction goes; here
as much as costs at most a fixed loss in PSNR, which is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch

from services.train.dataset import limit_size
from services.train.rasterisers.protocol import Rasteriser, Tensors
from spaceport.progress import Progress
from spaceport.splats.cameras import Camera
from spaceport.splats.sh import SHN_SIZES

MAX_LOSS_DB: Final = 0.05
"""What pruning may cost in all: less than trainings with two seeds differ by."""
SCORE_LEVEL: Final = 0.5
SCORE_LONGEST_SIDE: Final = 1600
"""Importance is summed over renders of half size, at most so many pixels long: each Gaussian's share is the same."""
FRACTIONS: Final = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3)
"""Of the Gaussians; the largest that costs no more is found by bisection."""


@dataclass(frozen=True)
class PruningReport:
    """What was pruned; before and after it the colour-corrected PSNR in dB, over held-out and trained photos."""

    gaussians: int
    sh_bands: int
    psnr_before: float
    psnr_after: float


def importance_scores(
    rasteriser: Rasteriser, parameters: Tensors, cameras: list[Camera], progress: Progress
) -> torch.Tensor:
    """[N] how much each Gaussian contributes: its blend weights, summed over the pixels of all these views."""
    total = torch.zeros(len(parameters["means"]), device=rasteriser.device)
    for done, camera in enumerate(cameras):
        progress.update(done / len(cameras), "Pruning Gaussians that no photo needs")
        progress.check()
        total += rasteriser.blend_weights(parameters, limit_size(camera.rescale(SCORE_LEVEL), SCORE_LONGEST_SIDE))
    return total


def prune(
    parameters: Tensors, importance: torch.Tensor, sh_degree: int, score: Callable[[Tensors, int], float]
) -> tuple[Tensors, PruningReport]:
    """The parameters without what the photos hardly show.

    Args:
        parameters: of the model.
        importance: [N] scores.
        sh_degree: highest band in use.
        score: PSNR in dB of a model up to a band.

    Returns:
        The remaining parameters; SH bands that were pruned are zero.
    """
    before = after = score(parameters, sh_degree)
    allowed = before - MAX_LOSS_DB
    bands = sh_degree
    while bands > 0 and (psnr := score(parameters, bands - 1)) >= allowed:
        bands, after = bands - 1, psnr
    whole = best = parameters | {"shN": _zero_bands_above(parameters["shN"], bands)}
    order = torch.argsort(importance, stable=True)
    low, high = 0, len(FRACTIONS) - 1
    while low < high:
        middle = (low + high + 1) // 2
        remaining = torch.sort(order[int(FRACTIONS[middle] * len(order)) :]).values
        candidate = {name: value[remaining].contiguous() for name, value in whole.items()}
        psnr = score(candidate, sh_degree)
        if psnr >= allowed:
            low, best, after = middle, candidate, psnr
        else:
            high = middle - 1
    return best, PruningReport(len(order) - len(best["means"]), sh_degree - bands, before, after)


def _zero_bands_above(shn: torch.Tensor, degree: int) -> torch.Tensor:
    """A copy of the coefficients [N,K,3] with those of higher bands at zero."""
    coefficients = shn.clone()
    coefficients[:, SHN_SIZES[degree] :] = 0
    return coefficients
