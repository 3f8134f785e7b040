"""The training loss in torch, for rasterisers that torch differentiates: L1 and SSIM, as ours on the CPU."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import torch
from torch.nn.functional import conv2d

from services.train.rasterisers.protocol import SSIM_WEIGHT

RADIUS: Final = 5
SIGMA: Final = 1.5
C1: Final = 0.01**2
C2: Final = 0.03**2


def photo_loss(render: torch.Tensor, photo: torch.Tensor) -> torch.Tensor:
    """(1 - w) L1 + w (1 - SSIM) of pictures [H,W,3] in 0 to 1; L1 alone where no window fits into the picture."""
    l1: torch.Tensor = (render - photo).abs().mean()
    if min(render.shape[:2]) <= 2 * RADIUS:
        return l1
    return (1 - SSIM_WEIGHT) * l1 + SSIM_WEIGHT * (1 - ssim(render, photo))


def ssim(render: torch.Tensor, photo: torch.Tensor) -> torch.Tensor:
    """Mean structural similarity (Wang et al. 2004): Gaussian window of 11 taps, sigma 1.5, where all of it fits.

    Args:
        render: [H,W,3].
        photo: [H,W,3], a constant: its own moments are blurred outside autograd.
    """
    a, b = render.permute(2, 0, 1)[None], photo.detach().permute(2, 0, 1)[None]
    with torch.no_grad():
        mean_b, square_b = _blur(b), _blur(b * b)
    mean_a, square_a, product = _blur(a), _blur(a * a), _blur(a * b)
    variances = square_a - mean_a**2 + square_b - mean_b**2
    covariance = product - mean_a * mean_b
    numerator = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    return (numerator / ((mean_a**2 + mean_b**2 + C1) * (variances + C2))).mean()


def _blur(planes: torch.Tensor) -> torch.Tensor:
    """[1,3,H,W] under the window, one axis after the other; by channel, for which torch has kernels of its own."""
    window = _window(planes.dtype, planes.device).expand(3, 1, 1, -1)
    rows = conv2d(planes, window.transpose(2, 3), groups=3)
    return conv2d(rows, window, groups=3)


@lru_cache
def _window(dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    taps = torch.arange(-RADIUS, RADIUS + 1, dtype=dtype, device=device)
    window = torch.exp(-0.5 * (taps / SIGMA) ** 2)
    return window / window.sum()
