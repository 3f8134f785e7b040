"""Metrics of two pictures. Pictures are [H, W, 3] floats, 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from spaceport.splats.ssim import RADIUS, gaussian_window, sum_ssim

Array = npt.NDArray[Any]

_MIN_SIDE = 2 * RADIUS + 1
_BAND = 128
"""Rows that are measured at once."""
_SINGULAR = 1e-10
"""Of normal equations: colours that are more strongly correlated than this, as in a grey picture, count as one."""


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
    channels = math.prod(a.shape[2:])
    windows = math.prod(side - 2 * RADIUS for side in a.shape[:2]) * channels
    total = sum(
        sum_ssim(x.reshape(len(x), -1), y.reshape(len(y), -1), gaussian_window(), channels)
        for x, y in _bands(a, b, 2 * RADIUS)
    )
    return float(total / windows)


def correct_colours(render: Array, photo: Array) -> Array:
    """`render` after the affine map of its colours (3 x 3 and a shift) that comes closest to `photo`, clipped to 0..1.

    Takes away what exposure and white balance explain, as papers on casual photos do before they measure.

    Raises:
        ValueError: when the sizes differ.
    """
    gram, target = np.zeros((4, 4)), np.zeros((4, 3))
    for inputs, targets in _bands(render, photo):
        pixels = _with_one(inputs)
        gram += pixels.T @ pixels
        target += pixels.T @ targets.reshape(-1, 3)
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
    """Both pictures in bands of rows, float64 and clipped; each band extends `overlap` rows into the next.

    A photo of 20 megapixels is 480 MB in float64: a band needs megabytes.
    """
    if a.shape != b.shape:
        raise ValueError(f"pictures of different size: {a.shape} and {b.shape}")
    for top in range(0, len(a) - overlap, _BAND):
        band = slice(top, top + _BAND + overlap)
        yield np.clip(a[band], 0, 1).astype(np.float64), np.clip(b[band], 0, 1).astype(np.float64)
