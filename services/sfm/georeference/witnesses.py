"""What photos say that georeferencing does not use, asked against the finished model: heights and focal lengths.

Neither a reprojection error nor a residual to positions shows a wrong focal length under a flight that looks straight
down; the drone's height over its take-off and the lens's own figures do. Pure numpy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from services.sfm.georeference.wgs84 import Array
from spaceport.pipeline.reports.sfm import Finding, Georeference, Verdict

SIGMAS: Final = 3.0  # of the difference, from which on it is a contradiction
BAROMETER_STD_M: Final = 0.5  # of a height over another one of the same flight
BAROMETER_STD: Final = 0.02  # the same, as a share: air is not the standard's
TAKE_OFF_STD_M: Final = 3.0  # of the take-off's height over the ground that was flown over
MIN_CONTRADICTION: Final = {"height": 0.1, "climb": 0.08, "focal length": 0.05}  # shares that are worth a word
MIN_CLIMB_M: Final = 8.0  # between the heights of a flight that compare scales
MIN_HEIGHT_M: Final = 5.0
MIN_PHOTOS: Final = 5
NEIGHBOURS: Final = 40  # points whose median height is the ground's under a camera


@dataclass(frozen=True)
class Witness:
    """One thing that the photos say and that the model was not made from: `expected` by them, `found` in the model.

    `std` is the standard deviation of the difference where both are right; all three have the same unit.
    """

    name: str
    expected: float
    found: float
    std: float
    sentence: str = ""
    """For the report: both numbers, and what it means."""
    reason: str = ""
    """Why lengths are not metric, if it contradicts; empty where it says nothing about lengths."""

    @property
    def contradicts(self) -> bool:
        difference = abs(self.found - self.expected)
        least = MIN_CONTRADICTION[self.name] * abs(self.expected)
        return difference > max(SIGMAS * self.std, least)

    def finding(self) -> Finding:
        return Finding(level=Verdict.WARN if self.contradicts else Verdict.GO, sentence=self.sentence)


def heights_over_ground(centres: Array, points: Array) -> Array:
    """How high each camera is over the ground under it [N], from its centre [N,3] and the model's points [M,3], z up.

    The ground is the median height of the points that are nearest in plan. NaN without enough points.
    """
    if len(points) < NEIGHBOURS:
        return np.full(len(centres), np.nan)
    heights = np.empty(len(centres))
    for number, centre in enumerate(centres):
        distances = np.square(points[:, :2] - centre[:2]).sum(axis=1)
        nearest = np.argpartition(distances, NEIGHBOURS - 1)[:NEIGHBOURS]
        heights[number] = centre[2] - np.median(points[nearest, 2])
    return heights


def height_witnesses(relative_altitudes: Array, centres: Array, points: Array) -> list[Witness]:
    """The drone's heights over its take-off against the model, whose unit is the metre and whose z is up.

    Args:
        relative_altitudes: [N] metres over the take-off, NaN where a photo has none.
        centres: [N,3] of the cameras in the model.
        points: [M,3] of the model.

    The height over the ground also depends on where the drone took off; differences of height do not.
    """
    known = np.isfinite(relative_altitudes)
    altitudes, heights = relative_altitudes[known], heights_over_ground(centres[known], points)
    flown = np.isfinite(heights)
    if flown.sum() < MIN_PHOTOS or not np.median(altitudes) > MIN_HEIGHT_M:
        return []
    witnesses = [_height(altitudes[flown], heights[flown], centres[known][flown, 2])]
    if np.ptp(np.percentile(altitudes, (5, 95))) >= MIN_CLIMB_M:
        witnesses.append(_climb(altitudes, centres[known, 2]))
    return witnesses


def _height(altitudes: Array, heights: Array, levels: Array) -> Witness:
    expected, found = float(np.median(altitudes)), float(np.median(heights))
    ground = float(np.std(levels - heights))  # where it rises and falls, the take-off may be anywhere on it
    std = math.hypot(BAROMETER_STD_M, BAROMETER_STD * expected, TAKE_OFF_STD_M, ground)
    share = found / expected - 1
    words = (
        f"the drone says that it flew {expected:.1f} m over its take-off, the model has its cameras {found:.1f} m over"
        " the ground"
    )
    advice = (
        "If it did not take off from a hill, a tower or a pit, heights or all lengths are off by as much: compare a"
        " known length, or measure control points."
    )
    sentence = f"{words[0].upper()}{words[1:]} ({share:+.0%})."
    witness = Witness("height", expected, found, std, sentence, words)
    return replace(witness, sentence=f"{sentence} {advice}") if witness.contradicts else witness


def _climb(altitudes: Array, levels: Array) -> Witness:
    """Metres in the model that a metre of climb is: the slope of a line through the photos' heights, by medians.

    The median of the slopes between photos that differ by half the climb or more (Theil and Sen).
    """
    low, high = np.percentile(altitudes, (5, 95))
    first, second = np.triu_indices(len(altitudes), 1)
    apart = np.abs(altitudes[first] - altitudes[second]) >= (high - low) / 2
    slopes = (levels[first] - levels[second])[apart] / (altitudes[first] - altitudes[second])[apart]
    found = float(np.median(slopes))
    std = math.hypot(BAROMETER_STD, math.sqrt(2) * BAROMETER_STD_M / (high - low))
    words = f"a climb of {high - low:.1f} m by the drone's barometer is {found * (high - low):.1f} m in the model"
    return Witness("climb", 1.0, found, std, f"{words[0].upper()}{words[1:]} ({found - 1:+.0%}).", words)


def focal_witness(
    camera: str, source: str, expected: float, expected_std: float, found: float, found_std: float | None
) -> Witness:
    """A focal length in pixels as `source` has it against the model's; both standard deviations are relative.

    It gives no reason by itself: whether lengths follow from the focal length depends on the flight.
    """
    std = math.hypot(expected * expected_std, found * (found_std or 0.0))
    sentence = (
        f"The focal length of {camera or 'the camera'} is {found:,.0f} pixels in the model; {source} says"
        f" {expected:,.0f} ({found / expected - 1:+.1%}, within {SIGMAS * std / expected:.1%} expected)."
    )
    return Witness("focal length", expected, found, std, sentence)


def contradict(georeference: Georeference, witnesses: list[Witness]) -> Georeference:
    """The georeference of a model that is not metric where a witness speaks against its lengths."""
    reasons = [witness.reason for witness in witnesses if witness.contradicts and witness.reason]
    if not georeference.metric or not reasons:
        return georeference
    return georeference.model_copy(update={"metric": False, "metric_reason": reasons[0]})
