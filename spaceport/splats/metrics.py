"""How alike two pictures are. Pictures are [H, W, 3] floats, 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_RADIUS, _SIGMA = 5, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_MIN_SIDE = 2 * _RADIUS + 1
_BAND = 128
"""Rows that are measured at once."""
_SINGULAR = 1e-10
"""Of normal equations: colours that hang together closer than this, as in a grey picture, count as one."""


def psnr(a: Array, b: Array) -> float:
    """Peak signal to noise ratio in dB for a peak of 1, values clipped to 0..1; infinite for equal pictures.

    Raises:
        ValueError: when the sizes differ.
    """
    error = sum(float(np.sum((x - y) ** 2)) for x, y in _bands(a, b)) / a.size
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(a: Array, b: Array) -> float:
    """Mean structural similarity (Wang et al. 2004): Gaussian window of 11 taps, sigma 1.5; values clipped to 0..1.

    The mean runs over pixels whose whole window lies in the picture, and over channels.

    Raises:
        ValueError: when the sizes differ or a side is under 11 pixels.
    """
    if min(a.shape[:2]) < _MIN_SIDE:
        raise ValueError(f"SSIM needs pictures of at least {_MIN_SIDE} x {_MIN_SIDE} pixels")
    windows = math.prod(side - 2 * _RADIUS for side in a.shape[:2]) * math.prod(a.shape[2:])
    return float(sum(_similarity(x, y) for x, y in _bands(a, b, 2 * _RADIUS)) / windows)


def _similarity(a: Array, b: Array) -> float:
    """SSIM summed over the windows of two bands."""
    mean_a, mean_b = _blur(a), _blur(b)
    var_a = _blur(a * a) - mean_a**2
    var_b = _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    above = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    below = (mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2)
    return float(np.sum(above / below))


def colour_corrected(render: Array, photo: Array) -> Array:
    """`render` after the affine map of its colours (3 x 3 and a shift) that comes closest to `photo`.

    Takes away what exposure and white balance explain, as papers on casual photos do before they measure.
    """
    gram, target = np.zeros((4, 4)), np.zeros((4, 3))
    for inputs, wanted in _bands(render, photo):
        pixels = _with_one(inputs)
        gram += pixels.T @ pixels
        target += pixels.T @ wanted.reshape(-1, 3)
    fit = np.linalg.lstsq(gram, target, rcond=_SINGULAR)[0]
    corrected = np.empty_like(render)
    for top in range(0, len(render), _BAND):
        band = slice(top, top + _BAND)
        mapped = _with_one(np.clip(render[band], 0, 1).astype(np.float64)) @ fit
        corrected[band] = np.clip(mapped, 0, 1).reshape(render[band].shape)
    return corrected


def _with_one(picture: Array) -> Array:
    """[H*W,4]: the colours and 1."""
    pixels = picture.reshape(-1, 3)
    return np.column_stack([pixels, np.ones(len(pixels))])


def _bands(a: Array, b: Array, overlap: int = 0) -> Iterator[tuple[Array, Array]]:
    """Both pictures in bands of rows, float64 and clipped; each band goes on `overlap` rows into the next.

    A photo of 20 megapixels is 480 MB in float64, and SSIM needs ten such pictures at once: a band needs megabytes.
    """
    if a.shape != b.shape:
        raise ValueError(f"pictures of different size: {a.shape} and {b.shape}")
    for top in range(0, len(a) - overlap, _BAND):
        band = slice(top, top + _BAND + overlap)
        yield np.clip(a[band], 0, 1).astype(np.float64), np.clip(b[band], 0, 1).astype(np.float64)


def window() -> Array:
    """[11] weights of the SSIM window, sum 1."""
    weights = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / _SIGMA) ** 2)
    normalised: Array = weights / weights.sum()
    return normalised


def _blur(picture: Array) -> Array:
    """Window both axes, only where it fits: [H-10, W-10, C]."""
    weights = window()
    rows = sum(w * picture[i : picture.shape[0] - 10 + i] for i, w in enumerate(weights))
    columns: Array = sum(w * rows[:, i : rows.shape[1] - 10 + i] for i, w in enumerate(weights))
    return columns
