"""Tells panoramas and fisheyes by their pixels, where no tag does. Pure.

An equirectangular panorama is twice as wide as high, its left edge continues its right one, and its first and last row
are one point each (zenith and nadir) pulled to the full width. A fisheye lens that shows its whole image circle leaves
what lies outside of it black.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]

_TWICE: Final = 0.01  # how far from 2:1 a panorama may be
_MIN_CONTRAST: Final = 8.0  # grey levels; below, nothing can be told
_MAX_SEAM: Final = 0.35  # of the difference of columns half a turn apart
_MAX_POLE: Final = 0.5  # of the contrast along a row in the middle
_DARK: Final = 16  # grey levels; the black around an image circle, with noise and JPEG's ringing
_LIT: Final = 0.75  # share of an image circle that is not black
_UNLIT: Final = 0.06  # share of what lies outside that is not black: flare
_MIN_HEIGHT: Final = 0.9  # of the frame that an image circle fills


class Projection(StrEnum):
    """How rays become pixels."""

    FLAT = "flat"
    """As a pinhole does, but for the distortion of an ordinary lens."""
    PANORAMA = "panorama"
    FISHEYE = "fisheye"
    DUAL_FISHEYE = "dual fisheye"
    """Both halves of a 360-degree camera, side by side or one above the other, not stitched."""


def projection_of_pixels(pixels: Pixels, width: int, height: int) -> Projection:
    """What the pixels (rows x columns x 3, a small copy) of a photo of this size show; FLAT where nothing tells."""
    grey = pixels.astype(float).mean(axis=2)
    if min(grey.shape) < 16 or grey.std() < _MIN_CONTRAST:
        return Projection.FLAT
    brightest = pixels.max(axis=2)
    if abs(width / height - 2) < 2 * _TWICE:
        half = grey.shape[1] // 2
        if _is_circle(brightest[:, :half]) and _is_circle(brightest[:, half:]):
            return Projection.DUAL_FISHEYE
        if _is_closed(grey) and _has_poles(grey):
            return Projection.PANORAMA
    elif abs(height / width - 2) < 2 * _TWICE:
        half = grey.shape[0] // 2
        if _is_circle(brightest[:half]) and _is_circle(brightest[half:]):
            return Projection.DUAL_FISHEYE
    elif _is_circle(brightest):
        return Projection.FISHEYE
    return Projection.FLAT


def _is_closed(grey: Pixels) -> bool:
    """Whether the left edge continues the right one, as no two other columns do."""
    seam = np.abs(grey[:, 0] - grey[:, -1]).mean()
    apart = np.abs(grey - np.roll(grey, grey.shape[1] // 2, axis=1)).mean()
    return bool(apart > 1 and seam < _MAX_SEAM * apart)


def _has_poles(grey: Pixels) -> bool:
    rows = grey.std(axis=1)
    middle = float(np.median(rows[len(rows) // 4 : -(len(rows) // 4)]))
    return bool(max(rows[0], rows[-1]) < _MAX_POLE * middle)


def _is_circle(brightest: Pixels) -> bool:
    """Whether all that is lit lies in one circle in the middle, and most of the circle is lit."""
    lit = brightest > _DARK
    rows, columns = np.flatnonzero(lit.mean(axis=1) > 0.02), np.flatnonzero(lit.mean(axis=0) > 0.02)
    if not rows.size or not columns.size:
        return False
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    if height < _MIN_HEIGHT * lit.shape[0] or abs(width / height - 1) > 0.08:
        return False
    y, x = np.mgrid[: lit.shape[0], : lit.shape[1]]
    radius = (width + height) / 4
    distance = np.hypot(x - (columns[0] + columns[-1]) / 2, y - (rows[0] + rows[-1]) / 2) / radius
    inside, outside = lit[distance < 0.97], lit[distance > 1.06]
    return bool(outside.size and inside.mean() > _LIT and outside.mean() < _UNLIT)
