"""Which levels the 16-bit pictures of one kind have in common. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

FULL: Final = (0, 0xFFFF)
FULL_ENOUGH: Final = 0.5  # of the range; what is used so far needs no stretching
MIN_HAZE: Final = 0.25  # of the brightest: below, the darkest is black, as in other photos
_SHARES: Final = (10, 90)  # percent of the photos: one with a glare decides nothing

Levels = tuple[int, int]
"""What becomes black, and what becomes white."""


def common_levels(levels: Iterable[Levels]) -> Levels:
    """Of the darkest and brightest values of several photos those that fit nearly all of them."""
    lows, highs = np.array(list(levels), dtype=float).T
    low = float(np.percentile(lows, _SHARES[0], method="higher"))
    high = float(np.percentile(highs, _SHARES[1], method="lower"))
    if high >= FULL_ENOUGH * FULL[1] or high <= 0:
        return FULL
    return round(low) if low > MIN_HAZE * high else 0, max(1, round(high))
