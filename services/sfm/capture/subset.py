"""Fewer photos where there are too many for the preset: evenly along the flight, and of neighbours the sharpest."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np


def choose_subset(
    order: Sequence[int], sharpness: Sequence[float], skipped: Collection[int], max_photos: int
) -> list[int]:
    """At most `max_photos` photos, in the order of the flight.

    Args:
        order: numbers of all photos as they were taken.
        sharpness: of each photo, by number.
        skipped: photos to leave out, because they repeat others or show nothing.
        max_photos: how many to keep, at least 1.

    All others are kept where they are few enough. Else the flight is cut into `max_photos` equal runs of photos, and
    the sharpest of each is kept; an even step keeps the overlap even, which matters more than a photo's last bit of
    sharpness.
    """
    useful = [number for number in order if number not in skipped]
    if len(useful) <= max_photos:
        return useful
    runs = np.array_split(np.array(useful), max_photos)
    return [int(max(run, key=lambda number: sharpness[number])) for run in runs]
