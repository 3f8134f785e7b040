"""The flights of a capture: one ends at a long pause between photos, or where photos have no time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from services.sfm.photo import PhotoMetadata

LONG_GAP_S: Final = 120.0
LONG_GAP_TO_MEDIAN: Final = 10.0


def longest_gap_s(photos: Sequence[PhotoMetadata]) -> float | None:
    """The longest pause between two photos, or None where it is too short to end a flight."""
    gaps = _gaps_s(photos)
    return max(gaps) if gaps and max(gaps) >= _long_gap_s(gaps) else None


def split_into_flights(photos: Sequence[PhotoMetadata]) -> list[list[int]]:
    """Numbers of the photos, in their order, a list for each flight.

    Frames of one video belong together, whatever their times.
    """
    flights: list[list[int]] = [[0]] if photos else []
    long_gap = _long_gap_s(_gaps_s(photos))
    for number, (before, photo) in enumerate(pairwise(photos), start=1):
        if _is_same_flight(before, photo, long_gap):
            flights[-1].append(number)
        else:
            flights.append([number])
    return flights


def _is_same_flight(before: PhotoMetadata, photo: PhotoMetadata, long_gap: float) -> bool:
    if before.video or photo.video:
        return before.video == photo.video
    if before.taken_at is None or photo.taken_at is None:
        return False
    return 0 <= (photo.taken_at - before.taken_at).total_seconds() < long_gap  # by name, time may run backwards


def _gaps_s(photos: Sequence[PhotoMetadata]) -> list[float]:
    times = sorted(photo.taken_at for photo in photos if photo.taken_at is not None)
    return [(later - earlier).total_seconds() for earlier, later in pairwise(times)]


def _long_gap_s(gaps: list[float]) -> float:
    return max(LONG_GAP_S, LONG_GAP_TO_MEDIAN * float(np.median(gaps))) if gaps else LONG_GAP_S
