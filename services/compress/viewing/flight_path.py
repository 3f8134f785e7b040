"""The flight through a model: a smoothed path along the survey's cameras, which looks at the model obliquely.

Over a place that was flown around or to and fro, it goes once around what the cameras look at, as far away and as high
as they were there; along a road, a front or through rooms, it goes along with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.compress.viewing.survey import Array, Survey

KEYS: Final = 60
FIELD_OF_VIEW: Final = 60.0  # degrees, along the longer side
ELONGATED: Final = 3.0  # length by width of the cameras' positions, from which on a survey is flown along
LOWEST, HIGHEST = np.radians(22), np.radians(40)  # elevation: lower is hidden by what stands around, higher is a map
OBLIQUE: Final = np.radians(48)  # views that look down more steeply are turned ahead
NEAREST, FARTHEST = 0.8, 1.8  # by the cameras' median distance: beyond, a model shows what no photo did
GAP: Final = np.radians(100)  # in which nobody photographed from that side
SMALLEST_ARC: Final = np.radians(50)
AROUND_WIDTH: Final = np.radians(50)  # of the kernel
ALONG_WIDTH: Final = 0.1  # of the kernel, as a share of the way
LONGEST_WAY: Final = 15.0  # by the cameras' median distance, in the time of one flight


@dataclass(frozen=True, eq=False)
class FlightPath:
    """Positions and targets [K,3], evenly over time."""

    positions: Array
    targets: Array
    is_closed: bool
    """Whether it ends where it begins."""

    def from_key(self, first: int) -> FlightPath:
        """The same way begun at another of its keys, if it is closed."""
        if not self.is_closed:
            return self
        order = (np.arange(KEYS) + first) % (KEYS - 1)  # the last key is the first one
        return FlightPath(self.positions[order], self.targets[order], is_closed=True)


def plan_path(survey: Survey) -> FlightPath:
    """The flight's path."""
    if _is_elongated(survey) or _faces_outward(survey):
        return _along(survey)
    return _around(survey)


def _around(survey: Survey) -> FlightPath:
    """Once around what the cameras look at, or as much of it as they have been around."""
    up = survey.up
    east, north = _horizontal_axes(up)
    centre = np.median(survey.targets, axis=0)
    offsets = survey.positions - centre
    x, y, z = offsets @ east, offsets @ north, offsets @ up
    azimuths, ranges = np.arctan2(y, x), np.hypot(x, y)
    elevations = np.clip(np.arctan2(z, ranges), LOWEST, HIGHEST)
    distances = np.clip(np.hypot(z, ranges), *_distance_limits(survey, centre))
    begin, sweep = _arc(azimuths[ranges > 0.3 * np.quantile(ranges, 0.9)])
    is_closed = sweep >= 2 * np.pi
    turns = begin + sweep * (np.linspace(0, 1, KEYS) if is_closed else _ease(np.linspace(0, 1, KEYS)))
    weights = np.exp((np.cos(turns[:, None] - azimuths) - 1) / AROUND_WIDTH**2)
    weights *= ranges + 1e-6 * (1 + ranges.max())  # those in the middle are on no side
    weights /= weights.sum(axis=1, keepdims=True)
    elevation, distance = weights @ elevations, weights @ distances
    level = np.cos(turns)[:, None] * east + np.sin(turns)[:, None] * north
    away = np.cos(elevation)[:, None] * level + np.sin(elevation)[:, None] * up
    return FlightPath(centre + distance[:, None] * away, np.tile(centre, (KEYS, 1)), is_closed)


def _along(survey: Survey) -> FlightPath:
    """With the cameras: in the order of their way along the longest direction, or of the photos."""
    parameter = np.linspace(0, 1, len(survey.positions))
    if _is_elongated(survey):
        level = survey.level(survey.positions - survey.positions.mean(axis=0))
        along = level @ np.linalg.svd(level, full_matrices=False)[2][0]
        parameter = (along - along.min()) / np.ptp(along)
    length = float(np.ptp(survey.positions, axis=0).max())
    share = min(1.0, LONGEST_WAY * float(np.median(survey.distances)) / max(length, 1e-9))
    steps = 0.5 + share * (_ease(np.linspace(0, 1, KEYS)) - 0.5)
    weights = np.exp(-0.5 * ((steps[:, None] - parameter) / ALONG_WIDTH) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    positions = weights @ survey.positions
    return FlightPath(positions, _turned_ahead(positions, weights @ survey.targets, survey), is_closed=False)


def _turned_ahead(positions: Array, targets: Array, survey: Survey) -> Array:
    """The targets; where they are almost underneath, others ahead on the way and as low."""
    drops = (positions - targets) @ survey.up
    level = np.linalg.norm(survey.level(targets - positions), axis=1)
    course = survey.level(positions[-1] - positions[0])
    course /= max(float(np.linalg.norm(course)), 1e-9)
    ahead = positions + (drops / np.tan(HIGHEST))[:, None] * course - drops[:, None] * survey.up
    return np.where((drops > level * np.tan(OBLIQUE))[:, None], ahead, targets)


def _is_elongated(survey: Survey) -> bool:
    level = survey.level(survey.positions - survey.positions.mean(axis=0))
    longest, second, _ = np.linalg.svd(level, compute_uv=False) if len(level) > 2 else (0.0, 0.0, 0.0)
    return bool(longest > ELONGATED * second and longest > 0)


def _faces_outward(survey: Survey) -> bool:
    """Whether the cameras look away from their middle, as they do in rooms."""
    axes = survey.level(survey.targets - survey.positions)
    inward = survey.level(np.median(survey.positions, axis=0) - survey.positions)
    slanted = np.linalg.norm(axes, axis=1) > 0.3 * survey.distances
    return bool(slanted.sum() > len(axes) / 2 and np.einsum("ij,ij->i", axes, inward)[slanted].mean() < 0)


def _distance_limits(survey: Survey, centre: Array) -> tuple[float, float]:
    """How near and how far the flight is: all in the picture if it can be, but not far from where photos were taken."""
    usual = float(np.median(survey.distances))
    radius = float(np.quantile(np.linalg.norm(survey.level(survey.targets - centre), axis=1), 0.8)) + 0.4 * usual
    whole = float(np.clip(radius / np.tan(np.radians(FIELD_OF_VIEW / 2)), NEAREST * usual, FARTHEST * usual))
    return 0.9 * whole, 1.1 * whole


def _arc(azimuths: Array) -> tuple[float, float]:
    """Where cameras have been around the middle: the first azimuth, and how far on from there."""
    if len(azimuths) < 3:
        return float(azimuths[0]) if len(azimuths) else 0.0, 2 * np.pi
    azimuths = np.sort(azimuths)
    gaps = np.diff(np.append(azimuths, azimuths[0] + 2 * np.pi))
    widest = int(np.argmax(gaps))
    if gaps[widest] < GAP:
        return float(azimuths[0]), 2 * np.pi
    begin, sweep = float(azimuths[(widest + 1) % len(azimuths)]), float(2 * np.pi - gaps[widest])
    missing = max(0.0, SMALLEST_ARC - sweep)
    return begin - missing / 2, sweep + missing


def _ease(times: Array) -> Array:
    """0 to 1 that begins and ends slowly."""
    return np.asarray(times - 0.7 * np.sin(2 * np.pi * times) / (2 * np.pi))


def _horizontal_axes(up: Array) -> tuple[Array, Array]:
    """Two unit vectors that are level, at right angles, x-most first."""
    east = np.eye(3)[int(np.argmin(np.abs(up)))]
    east = east - (east @ up) * up
    east /= np.linalg.norm(east)
    return east, np.cross(up, east)
