"""Between WGS84 latitude, longitude, height and east-north-up metres around an origin (NGA.STND.0036, WGS 84)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_A: Final = 6378137.0
_E2: Final = (2.0 - 1.0 / 298.257223563) / 298.257223563


@dataclass(frozen=True)
class Place:
    """A point on or above the WGS84 ellipsoid: degrees, degrees, metres."""

    latitude: float
    longitude: float
    altitude: float


def to_enu(place: Place, origin: Place) -> Array:
    """[3] metres to the east, north and up of `origin`."""
    return np.asarray(_axes(origin) @ (_ecef(place) - _ecef(origin)))


def from_enu(enu: Array, origin: Place) -> Place:
    """The place `enu` [3] metres to the east, north and up of `origin`."""
    x, y, z = _ecef(origin) + _axes(origin).T @ np.asarray(enu, float)
    across = math.hypot(x, y)
    latitude = math.atan2(z, across * (1.0 - _E2))
    for _ in range(5):  # contracts by a factor of e2 each time: far below a micrometre near the ground
        latitude = math.atan2(z + _E2 * _curvature(latitude) * math.sin(latitude), across)
    altitude = across * math.cos(latitude) + z * math.sin(latitude) - _A * _A / _curvature(latitude)
    return Place(math.degrees(latitude), math.degrees(math.atan2(y, x)), altitude)


def _curvature(latitude: float) -> float:
    """Radius of curvature in the prime vertical, in metres."""
    return _A / math.sqrt(1.0 - _E2 * math.sin(latitude) ** 2)


def _ecef(place: Place) -> Array:
    phi, lam = math.radians(place.latitude), math.radians(place.longitude)
    n = _curvature(phi)
    across = (n + place.altitude) * math.cos(phi)
    return np.array([across * math.cos(lam), across * math.sin(lam), (n * (1 - _E2) + place.altitude) * math.sin(phi)])


def _axes(origin: Place) -> Array:
    """[3, 3]: east, north and up at `origin`, in earth-centred axes."""
    phi, lam = math.radians(origin.latitude), math.radians(origin.longitude)
    s, c = math.sin(phi), math.cos(phi)
    east = [-math.sin(lam), math.cos(lam), 0.0]
    north = [-s * math.cos(lam), -s * math.sin(lam), c]
    return np.array([east, north, [c * math.cos(lam), c * math.sin(lam), s]])
