"""The training loss in torch, for rasterisers that torch differentiates: L1 and SSIM, as our own on the CPU has it."""

from __future__ import annotations

import torch
from torch.nn.functional import conv2d

from services.train.rasterisers.protocol import SSIM_WEIGHT

RADIUS, SIGMA = 5, 1.5
C1, C2 = 0.01**2, 0.03**2


def photo_loss(render: torch.Tensor, photo: torch.Tensor) -> torch.Tensor:
    """(1 - w) L1 + w (1 - SSIM) of pictures [H,W,3] in 0 to 1; L1 alone where no window fits into the picture."""
    difference: torch.Tensor = (render - photo).abs().mean()
    if min(render.shape[:2]) <= 2 * RADIUS:
        return difference
    return (1 - SSIM_WEIGHT) * difference + SSIM_WEIGHT * (1 - ssim(render, photo))


def ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean structural similarity (Wang et al. 2004): Gaussian window of 11 taps, sigma 1.5, where all of it fits."""
    a, b = a.permute(2, 0, 1)[:, None], b.permute(2, 0, 1)[:, None]
    moments = _blur(torch.cat([a, b, a * a, b * b, a * b]))
    mean_a, mean_b, square_a, square_b, product = moments.chunk(5)
    variances = square_a - mean_a**2 + square_b - mean_b**2
    covariance = product - mean_a * mean_b
    above = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    return (above / ((mean_a**2 + mean_b**2 + C1) * (variances + C2))).mean()


def _blur(planes: torch.Tensor) -> torch.Tensor:
    """[P,1,H,W] under the window, one axis after the other."""
    taps = torch.arange(-RADIUS, RADIUS + 1, dtype=planes.dtype, device=planes.device)
    window = torch.exp(-0.5 * (taps / SIGMA) ** 2)
    window = window / window.sum()
    rows = conv2d(planes, window.view(1, 1, -1, 1))
    return conv2d(rows, window.view(1, 1, 1, -1))
