"""The heights of positions: which of those that photos carry agree with the model, and of how many systems they are.

EXIF's altitude may be over the ellipsoid or over the sea, constant, or drift by a hundred metres; DJI's drones write
the height over their take-off beside it; `geo.txt` may be in another system than the photos that it does not name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from services.sfm.georeference.wgs84 import Array
from services.sfm.messages import TaskPhoto

POSITION: Final = "position"
ABSOLUTE: Final = "absolute"
RELATIVE: Final = "relative"
NONE: Final = "none"
MIN_KNOWN_SHARE: Final = 0.5  # of the positions that have such a height
MIN_GROUP: Final = 2
MIN_GROUP_SHARE: Final = 0.1
SYSTEM_SIGMAS: Final = 6.0  # of a height, by which two systems differ at least


def candidate_heights(photos: Sequence[TaskPhoto]) -> dict[str, Array]:
    """Heights [N] by where they come from, NaN where unknown; only those that half of the located photos have.

    Heights over the take-off are lifted to the altitudes beside them, in the median.
    """
    altitude = np.array([np.nan if photo.position is None else _number(photo.position[2]) for photo in photos])
    absolute = np.array([_number(photo.absolute_altitude_m) for photo in photos])
    relative = np.array([_number(photo.relative_altitude_m) for photo in photos])
    lifts = [known - relative for known in (altitude, absolute)]
    lift = next((float(np.nanmedian(each)) for each in lifts if np.isfinite(each).any()), 0.0)
    located = np.array([photo.position is not None for photo in photos])
    every = {POSITION: altitude, ABSOLUTE: absolute, RELATIVE: relative + lift}
    enough = max(3.0, MIN_KNOWN_SHARE * located.sum())
    return {name: heights for name, heights in every.items() if (np.isfinite(heights) & located).sum() >= enough}


def height_system_offsets(up_residuals: Array, std: Array) -> Array | None:
    """By how much each height is above those of the larger system [N], 0 in it; None where all are of one.

    `up_residuals` [N] are model minus position, NaN where unknown; `std` [N] what a height is expected to be off by.
    Two systems show as two heaps, each far narrower than the gap between them.
    """
    known = np.flatnonzero(np.isfinite(up_residuals))
    order = known[np.argsort(up_residuals[known], kind="stable")]
    least = max(MIN_GROUP, int(np.ceil(MIN_GROUP_SHARE * len(order))))
    if len(order) < 2 * least + 1:
        return None
    values = up_residuals[order]
    gaps = np.diff(values)[least - 1 : len(values) - least]
    cut = least + int(np.argmax(gaps))
    low, high = order[:cut], order[cut:]
    apart = float(np.median(up_residuals[high]) - np.median(up_residuals[low]))
    within = np.concatenate([np.abs(up_residuals[part] - np.median(up_residuals[part])) for part in (low, high)])
    spread = max(1.4826 * float(np.median(within)), float(np.median(std[known])) / 2, float(within.max()) / 3)
    if apart < SYSTEM_SIGMAS * spread:
        return None
    offsets = np.zeros(len(up_residuals))
    if len(low) <= len(high):
        offsets[low] = apart  # a model far below a position: the position is high
    else:
        offsets[high] = -apart
    return offsets


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
