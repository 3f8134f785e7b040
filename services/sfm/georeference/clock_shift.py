"""Positions that lag behind the photos by a constant time, found from the path of the cameras in the model. Pure numpy.

Geotags come from a receiver that filters, or from a log whose clock differs. On flights that turn, a lag of a second
shows as a zigzag of metres; on one line or a circle it is a shift or a rotation, and nothing can tell it apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.sfm.georeference.wgs84 import Array

MAX_SHIFT_S: Final = 6.0
STEP_S: Final = 0.25
LONG_GAP_S: Final = 20.0  # the path between two photos is not known where they are so far apart
LONG_GAP_TO_MEDIAN: Final = 4.0
MIN_PHOTOS: Final = 10
MIN_F: Final = 30.0  # of the F-test of one more parameter: once in a million by chance
MIN_SIGMAS: Final = 5.0
MIN_GAIN: Final = 1.3  # standard deviation of the residuals without the shift to with it
ROUNDS: Final = 10


@dataclass(frozen=True, eq=False)
class ClockShift:
    """`seconds` by which positions lag behind the photos, its standard deviation, and where the cameras were then.

    `centres` [N,3] are in the model's frame; NaN where the path does not reach so far.
    """

    seconds: float
    sigma_s: float
    centres: Array


class CameraPath:
    """Where cameras were at any time, between photos that one camera took in a row: cubic Hermite splines.

    Args:
        centres: [N,3].
        times: [N] seconds; NaN where unknown. Equal whole seconds are spread over the second that they share.
        cameras: [N], equal for photos of one camera.
    """

    def __init__(self, centres: Array, times: Array, cameras: Sequence[object]) -> None:
        self._centres = centres
        self._runs: list[tuple[NDArray[np.int64], Array]] = []
        groups: dict[object, list[int]] = {}
        for number in np.flatnonzero(np.isfinite(times)):
            groups.setdefault(cameras[int(number)], []).append(int(number))
        for members in groups.values():
            numbers = np.array(sorted(members, key=lambda number: (times[number], number)))
            moments = _spread_equal(times[numbers])
            gaps = np.diff(moments)
            usual = float(np.median(gaps)) if len(gaps) else 0.0
            ends = np.flatnonzero(gaps > max(LONG_GAP_S, LONG_GAP_TO_MEDIAN * usual)) + 1
            for part in np.split(np.arange(len(numbers)), ends):
                if len(part) >= 3:
                    self._runs.append((numbers[part], moments[part]))

    def before(self, seconds: float) -> Array:
        """Where each camera was `seconds` before its photo [N,3]; NaN outside of the path."""
        places = np.full_like(self._centres, np.nan)
        for numbers, moments in self._runs:
            places[numbers] = _interpolate(moments, self._centres[numbers], moments - seconds)
        return places


def estimate_clock_shift(path: CameraPath, ground: Array, std: Array) -> ClockShift | None:
    """The lag of positions that explains their residuals far better than none; None where there is no such.

    Args:
        path: of the cameras.
        ground: [N,2] metres east and north; NaN where unknown or known to be wrong.
        std: [N] standard deviation that a position is expected to have, metres.

    The model is moved onto the ground by a linear map, so that nothing depends on which way is up.
    """
    located = np.array(np.isfinite(ground).all(axis=1), dtype=np.bool_)
    shifts = np.arange(-MAX_SHIFT_S, MAX_SHIFT_S + STEP_S / 2, STEP_S)
    costs = np.array([_variance(path.before(shift), ground, std, located) for shift in shifts])
    if not np.isfinite(costs).any():
        return None
    best = int(np.nanargmin(costs))
    if best in (0, len(shifts) - 1):
        return None  # still falling at the end of what is tried: something else is wrong
    shift = float(shifts[best] + _vertex(costs[best - 1 : best + 2]) * STEP_S)
    centres = path.before(shift)
    both = located & np.isfinite(centres).all(axis=1)
    count = int(both.sum())
    without, with_it = (_variance(places, ground, std, both) for places in (path.before(0.0), centres))
    curvature = float(np.diff(costs[best - 1 : best + 2], n=2)[0]) / STEP_S**2
    freedom = 2 * count - 9
    if count < MIN_PHOTOS or freedom < 1 or not curvature > 0 or not with_it > 0:
        return None
    sigma = float(np.sqrt(2 * with_it / (curvature * freedom)))
    significance = freedom * (without - with_it) / with_it
    if significance < MIN_F or abs(shift) < MIN_SIGMAS * sigma or without < MIN_GAIN**2 * with_it:
        return None
    return ClockShift(shift, sigma, centres)


def _spread_equal(times: Array) -> Array:
    """Sorted times, those that are equal spread evenly over the second that they share."""
    _, first, counts = np.unique(times, return_index=True, return_counts=True)
    return times + (np.arange(len(times)) - np.repeat(first, counts)) / np.repeat(counts, counts)


def _interpolate(moments: Array, places: Array, wanted: Array) -> Array:
    """Cubic Hermite splines with the slopes of the parabolas through three neighbours [M,3]; NaN outside."""
    steps = np.diff(moments)
    slopes = np.diff(places, axis=0) / steps[:, None]
    inner = (slopes[:-1] * steps[1:, None] + slopes[1:] * steps[:-1, None]) / (steps[:-1] + steps[1:])[:, None]
    tangents = np.concatenate([slopes[:1], inner, slopes[-1:]])
    left = np.clip(np.searchsorted(moments, wanted, side="right") - 1, 0, len(steps) - 1)
    step = steps[left][:, None]
    x = (wanted - moments[left])[:, None] / step
    found = (
        (1 + 2 * x) * (1 - x) ** 2 * places[left]
        + x * (1 - x) ** 2 * step * tangents[left]
        + x**2 * (3 - 2 * x) * places[left + 1]
        + x**2 * (x - 1) * step * tangents[left + 1]
    )
    outside = (wanted < moments[0]) | (wanted > moments[-1])
    return np.where(outside[:, None], np.nan, found)


def _variance(centres: Array, ground: Array, std: Array, located: NDArray[np.bool_]) -> float:
    """Robust variance, in expected deviations, of what a linear map from `centres` to `ground` leaves; NaN if few."""
    used = located & np.isfinite(centres).all(axis=1)
    if used.sum() < MIN_PHOTOS:
        return float("nan")
    moved = centres[used] - centres[used].mean(axis=0)
    design = np.column_stack([moved / np.abs(moved).max(), np.ones(len(moved))])
    weights = 1 / std[used]
    residuals = ground[used]
    for _ in range(ROUNDS):
        solution = np.linalg.lstsq(design * weights[:, None], ground[used] * weights[:, None], rcond=1e-3)[0]
        residuals = np.linalg.norm((ground[used] - design @ solution) / std[used, None], axis=1)
        scale = max(float(np.median(residuals)), 1e-12)
        weights = 1 / (std[used] * np.sqrt(1 + np.square(residuals / (2 * scale))))
    capped = np.square(np.minimum(residuals, 4 * np.median(residuals)))
    return float(capped.sum() / max(1, 2 * used.sum() - 8))


def _vertex(costs: Array) -> float:
    """Where between -1 and 1 the parabola through three costs at -1, 0, 1 is least."""
    bend = float(costs[0] - 2 * costs[1] + costs[2])
    return float(np.clip((costs[0] - costs[2]) / (2 * bend), -1, 1)) if bend > 0 else 0.0
