"""Where things are in the demo's hamlet: signed distances in metres (negative inside), x east, y north.

The terrain, the ground's texture and the scene all use these, so that a road is flat where its texture is.
"""

from __future__ import annotations

import math

from spaceport.simd.jit import subroutine

PAD = (30.0, 7.0)
"""Centre of the launch pad."""
PAD_RADIUS = 7.0
POND = (-35.0, 1.0)
WATER_LEVEL = -1.5
"""Height of the pond's water, in metres above the origin."""
ROAD_HALF_WIDTH = 2.7


@subroutine
def road_centre(x: float) -> float:
    """Northing of the road's centre line where it passes `x`."""
    return -14.0 + 5.0 * math.sin(x / 22.0 + 0.5)


@subroutine
def road_offset(x: float, y: float) -> float:
    """Distance north of the road's centre line, measured across the road."""
    slope = 5.0 / 22.0 * math.cos(x / 22.0 + 0.5)
    return (y - road_centre(x)) / math.sqrt(1.0 + slope * slope)


@subroutine
def lane_offset(x: float, y: float) -> float:
    """Distance east of the centre of the lane that runs from the road through the yard to the fields."""
    return x + 5.0 - 3.0 * math.sin(y / 12.0)


@subroutine
def _rounded_box(x: float, y: float, half_x: float, half_y: float, radius: float) -> float:
    dx, dy = abs(x) - half_x + radius, abs(y) - half_y + radius
    return math.hypot(max(dx, 0.0), max(dy, 0.0)) + min(max(dx, dy), 0.0) - radius


@subroutine
def yard(x: float, y: float) -> float:
    """The gravel yard between farmhouse and barn, and the way from it to the launch pad."""
    court = _rounded_box(x + 2.0, y - 5.0, 11.0, 5.5, 4.0)
    way = max(abs(y - 5.5 - 0.6 * math.sin(x / 3.0)) - 1.7, abs(x - 17.0) - 9.0)
    return min(court, way)


@subroutine
def drives(x: float, y: float) -> float:
    """Paved drives south of the road, one for each house, and the chapel's path."""
    first = _rounded_box(x + 12.5, y + 22.0, 2.2, 7.5, 1.0)
    second = _rounded_box(x - 14.5, y + 22.0, 2.4, 9.0, 1.0)
    chapel = _rounded_box(x - 27.0, y + 17.5, 1.1, 5.0, 0.5)
    return min(first, second, chapel)


@subroutine
def pond(x: float, y: float) -> float:
    """The pond: about the distance to its shore."""
    angle = math.atan2(y - POND[1], x - POND[0])
    radius = 6.6 + 1.1 * math.sin(2.0 * angle + 0.6) + 0.6 * math.sin(3.0 * angle)
    return math.hypot((x - POND[0]) * 0.9, (y - POND[1]) * 1.1) - radius


@subroutine
def pad(x: float, y: float) -> float:
    """The launch pad's concrete disc."""
    return math.hypot(x - PAD[0], y - PAD[1]) - PAD_RADIUS


@subroutine
def beds(x: float, y: float) -> float:
    """Four vegetable beds behind the northern house."""
    u, v = x + 24.0, y - 15.5
    return _rounded_box(abs(abs(u) - 0.0) - 2.6, abs(v) - 1.6, 1.9, 1.1, 0.2)


@subroutine
def straw_field(x: float, y: float) -> float:
    """The harvested field in the north-east."""
    return max(2.5 - x - 0.1 * (y - 26.0), 25.5 + 0.06 * x - y, x - 74.0, y - 78.0)


@subroutine
def crop_field(x: float, y: float) -> float:
    """The field of green rows in the south."""
    return max(y + 39.0 + 0.08 * x, x - 70.0, -62.0 - x, -90.0 - y)


@subroutine
def ploughed_field(x: float, y: float) -> float:
    """The bare field in the north-west."""
    return max(40.5 - 0.1 * x - y, x + 8.0, -80.0 - x, y - 90.0)
