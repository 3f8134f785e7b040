"""Positions on the WGS84 ellipsoid as metres east, north and up (ENU), and earth-centred (ECEF)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# WGS84 ellipsoid: semi-major axis in metres, and first eccentricity squared (NIMA TR8350.2)
_A = 6378137.0
_E2 = 6.69437999014e-3


def to_enu(positions: Array, origin: Array) -> Array:
    """Metres east, north and up of `origin`; both are latitude, longitude (degrees) and altitude (metres, WGS84).

    `positions` is [N,3], `origin` [3]; a row with NaN stays NaN.
    """
    return np.asarray((_to_ecef(positions) - _to_ecef(origin[None])) @ _axes(origin).T)


def median_position(positions: Array) -> Array:
    """The origin for a set: the median of each of latitude, longitude, altitude; one wild position moves it little."""
    return np.asarray(np.nanmedian(positions, axis=0))


def enu_to_ecef(origin: Array) -> Array:
    """The transform [4,4] from metres east, north, up of `origin` [3] to earth-centred metres (EPSG:4978)."""
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = _axes(origin).T, _to_ecef(origin[None])[0]
    return transform


def _axes(origin: Array) -> Array:
    """East, north and up at `origin` as rows [3,3] of earth-centred directions."""
    latitude, longitude = np.radians(origin[0]), np.radians(origin[1])
    sin_lat, cos_lat, sin_lon, cos_lon = np.sin(latitude), np.cos(latitude), np.sin(longitude), np.cos(longitude)
    return np.array(
        [
            [-sin_lon, cos_lon, 0.0],
            [-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat],
            [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat],
        ]
    )


def _to_ecef(positions: Array) -> Array:
    latitude, longitude, altitude = np.radians(positions[:, 0]), np.radians(positions[:, 1]), positions[:, 2]
    radius = _A / np.sqrt(1 - _E2 * np.sin(latitude) ** 2)
    across = (radius + altitude) * np.cos(latitude)
    up = (radius * (1 - _E2) + altitude) * np.sin(latitude)
    return np.stack([across * np.cos(longitude), across * np.sin(longitude), up], axis=1)
