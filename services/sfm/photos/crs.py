"""Coordinate systems as OpenDroneMap's text files name them, turned into latitude, longitude and height."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final

import pyproj

MAX_CHARACTERS: Final = 300
_EPSG: Final = re.compile(r"EPSG:(\d{4,6})", re.IGNORECASE)
_UTM: Final = re.compile(r"WGS84 UTM (\d{1,2})\s?([NS])", re.IGNORECASE)
_PROJ: Final = re.compile(r"(\+[a-z_0-9]+(=[-\w.,]+)?\s*)+")
_PROJECTIONS: Final = frozenset(
    {"utm", "longlat", "latlong", "tmerc", "lcc", "aea", "stere", "sterea", "somerc", "merc"}
)
_FORBIDDEN: Final = ("nadgrids", "geoidgrids", "init", "step", "inv", "grids")  # they name files

ToWgs84 = Callable[[float, float, float], tuple[float, float, float]]


def to_wgs84(header: str) -> ToWgs84:
    """A function from x, y, z of the system that `header` names to latitude, longitude (WGS84) and height.

    Heights are taken as they are: a header does not say from what they are measured. For latitude and longitude x is
    the longitude, as in OpenDroneMap. The function raises ValueError outside of the system's domain.

    Raises:
        ValueError: no coordinate system that we know; the message says so.
    """
    transformer = pyproj.Transformer.from_crs(_system(header.strip()), "EPSG:4326", always_xy=True)

    def convert(x: float, y: float, z: float) -> tuple[float, float, float]:
        longitude, latitude = transformer.transform(x, y)
        if not all(map(math.isfinite, (longitude, latitude, z))) or abs(latitude) > 90 or abs(z) > 100_000:
            raise ValueError(f"{x}, {y}, {z} is no place on the earth")
        return float(latitude), float(longitude), z

    return convert


def _system(header: str) -> pyproj.CRS:
    system: pyproj.CRS | None = None
    try:
        if match := _EPSG.fullmatch(header):
            system = pyproj.CRS.from_epsg(int(match[1]))
        elif match := _UTM.fullmatch(header):
            system = pyproj.CRS.from_dict({"proj": "utm", "zone": int(match[1]), "south": match[2].upper() == "S"})
        elif len(header) <= MAX_CHARACTERS and _PROJ.fullmatch(header) and _is_harmless(header):
            system = pyproj.CRS.from_proj4(header)
    except pyproj.exceptions.CRSError:
        system = None
    if system is not None:
        return system
    raise ValueError(f"{header[:60]!r} is no coordinate system that we know; write for example EPSG:32616")


def _is_harmless(proj: str) -> bool:
    projection = re.search(r"\+proj=(\w+)", proj)
    is_known = projection is not None and projection[1] in _PROJECTIONS
    return is_known and not any(f"+{word}" in proj for word in _FORBIDDEN)
