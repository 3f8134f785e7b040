"""SSIM of two pictures for metrics: float64, compiled, without the gradient, which loss.py has."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from spaceport.simd.jit import kernel

Array = npt.NDArray[Any]

RADIUS: Final = 5
SIGMA: Final = 1.5
C1, C2 = 0.01**2, 0.03**2


def gaussian_window() -> Array:
    """[11] weights of the SSIM window, sum 1."""
    weights = np.exp(-0.5 * (np.arange(-RADIUS, RADIUS + 1) / SIGMA) ** 2)
    normalised: Array = weights / weights.sum()
    return normalised


@kernel
def sum_ssim(a: Array, b: Array, weights: Array, channels: int) -> float:
    """SSIM (Wang et al. 2004) summed over all windows that lie in the pictures whole, and over channels.

    Args:
        a, b: [H, W*C] float64, 0 to 1, colours interleaved.
        weights: [11] of the window, the same along both axes.
        channels: C.
    """
    height, width = a.shape
    taps, inner = len(weights), width - (len(weights) - 1) * channels
    rows, means = np.empty((5, width)), np.empty((5, inner))
    total = 0.0
    for top in range(height - taps + 1):
        rows[:] = 0
        for tap in range(taps):
            weight = weights[tap]
            for x in range(width):
                one, other = a[top + tap, x], b[top + tap, x]
                rows[0, x] += weight * one
                rows[1, x] += weight * other
                rows[2, x] += weight * one * one
                rows[3, x] += weight * other * other
                rows[4, x] += weight * one * other
        means[:] = 0
        for moment in range(5):
            for tap in range(taps):
                weight, start = weights[tap], tap * channels
                for x in range(inner):
                    means[moment, x] += weight * rows[moment, start + x]
        for x in range(inner):
            mean_a, mean_b = means[0, x], means[1, x]
            squares, product = mean_a * mean_a + mean_b * mean_b, mean_a * mean_b
            above = (2 * product + C1) * (2 * (means[4, x] - product) + C2)
            below = (squares + C1) * (means[2, x] + means[3, x] - squares + C2)
            total += above / below
    return total
