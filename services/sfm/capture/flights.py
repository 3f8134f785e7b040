"""The flights of a capture: one ends where the photos pause for long, or do not tell when they were taken."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from services.sfm.photo import PhotoFacts

LONG_GAP_S: Final = 120.0
LONG_TO_MEDIAN: Final = 10.0


def longest_gap_s(photos: Sequence[PhotoFacts]) -> float | None:
    """The longest pause between two photos, or None where it is none between flights."""
    gaps = _gaps_s(photos)
    return max(gaps) if gaps and max(gaps) >= _long_s(gaps) else None


def flights(photos: Sequence[PhotoFacts]) -> list[list[int]]:
    """Numbers of the photos, in their order, a list for each flight.

    Frames of one video belong together, whatever they tell.
    """
    found: list[list[int]] = [[0]] if photos else []
    long = _long_s(_gaps_s(photos))
    for number, (before, photo) in enumerate(pairwise(photos), start=1):
        if _follows(before, photo, long):
            found[-1].append(number)
        else:
            found.append([number])
    return found


def _follows(before: PhotoFacts, photo: PhotoFacts, long: float) -> bool:
    if before.video or photo.video:
        return before.video == photo.video
    if before.taken_at is None or photo.taken_at is None:
        return False
    return 0 <= (photo.taken_at - before.taken_at).total_seconds() < long  # by name, time may run backwards


def _gaps_s(photos: Sequence[PhotoFacts]) -> list[float]:
    times = sorted(photo.taken_at for photo in photos if photo.taken_at is not None)
    return [(later - earlier).total_seconds() for earlier, later in pairwise(times)]


def _long_s(gaps: list[float]) -> float:
    return max(LONG_GAP_S, LONG_TO_MEDIAN * float(np.median(gaps))) if gaps else LONG_GAP_S
