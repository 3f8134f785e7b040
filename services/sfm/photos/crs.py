"""Coordinate systems as OpenDroneMap's text files name them, turned into latitude, longitude and height."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache
from typing import Final

import pyproj
import pyproj.database
import pyproj.enums

MAX_CHARACTERS: Final = 300
WGS84: Final = "EPSG:4326"
_EPSG: Final = re.compile(r"(?:urn:ogc:def:crs:)?EPSG[\s:]{0,3}(\d{4,6})(?:\+\d{4,6})?", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\d{4,6}")
_WITH_CODE: Final = re.compile(r"[^()\[\]]{1,80}[(\[]\s?EPSG[\s:]{0,3}(\d{4,6})\s?[)\]]", re.IGNORECASE)
_UTM: Final = re.compile(
    r"(?:WGS[\s_-]?(?:19)?84[\s/_,-]{0,3})?UTM[\s_-]?(?:zone[\s_]?)?(\d{1,2})[\s_]?([NS])", re.IGNORECASE
)
_WGS84: Final = re.compile(
    r"(?:GCS[\s_-]?)?WGS[\s_-]?(?:19)?84(?:[\s(]{0,2}(?:lat/?lon|degrees|geographic|3D)\)?)?", re.IGNORECASE
)
_PROJ: Final = re.compile(r"(\+[a-z_0-9]+(=[-\w.,]+)?\s*)+")
_PROJECTIONS: Final = frozenset(
    {"utm", "longlat", "latlong", "tmerc", "lcc", "aea", "stere", "sterea", "somerc", "merc"}
)
_MIN_NAME: Final = 4
_FORBIDDEN: Final = ("nadgrids", "geoidgrids", "init", "step", "inv", "grids")  # they name files

ToWgs84 = Callable[[float, float, float], tuple[float, float, float]]


def to_wgs84(header: str) -> ToWgs84:
    """A function from x, y, z of the system that `header` names to latitude, longitude (WGS84) and height.

    Heights are taken as they are: a header does not say from what they are measured. For latitude and longitude x is
    the longitude, as in OpenDroneMap. The function raises ValueError outside of the system's domain.

    Raises:
        ValueError: no coordinate system that we know; the message says so.
    """
    system = find_crs(header)
    if system is None:
        raise ValueError(f"{header[:60]!r} is no coordinate system that we know; write for example EPSG:32616")
    if system.is_geocentric:
        raise ValueError(f"{header[:60]!r} counts from the middle of the earth; convert the points to EPSG:4326")
    transformer = pyproj.Transformer.from_crs(system, WGS84, always_xy=True)

    def convert(x: float, y: float, z: float) -> tuple[float, float, float]:
        longitude, latitude = transformer.transform(x, y)
        if not all(map(math.isfinite, (longitude, latitude, z))) or abs(latitude) > 90 or abs(z) > 100_000:
            swapped = "; longitude comes before latitude" if system.is_geographic and abs(x) <= 90 < abs(y) else ""
            raise ValueError(f"{x}, {y}, {z} is no place on the earth{swapped}")
        return float(latitude), float(longitude), z

    return convert


def find_crs(header: str) -> pyproj.CRS | None:
    """The coordinate system that a line names: by its EPSG code or name, as a UTM zone, as PROJ's string; or None."""
    text = header.strip().strip(",;\"'\t ").strip()
    if len(text) > MAX_CHARACTERS:
        return None
    try:
        if match := _UTM.fullmatch(text):
            return pyproj.CRS.from_dict({"proj": "utm", "zone": int(match[1]), "south": match[2].upper() == "S"})
        if _PROJ.fullmatch(text):
            return pyproj.CRS.from_proj4(text) if _is_harmless(text) else None
        code = _epsg_code(text)
        return pyproj.CRS.from_epsg(code) if code else None
    except pyproj.exceptions.CRSError:
        return None


def _epsg_code(text: str) -> int | None:
    if match := _EPSG.fullmatch(text) or _WITH_CODE.fullmatch(text):
        return int(match[1])
    if _NUMBER.fullmatch(text):
        return int(text)
    if _WGS84.fullmatch(text):
        return 4326
    return _codes_by_name().get(_plain(text)) if len(text) >= _MIN_NAME else None


@cache
def _codes_by_name() -> dict[str, int]:
    """EPSG's names of geographic and projected systems. Looked up, since PROJ would take a name for much else too."""
    kinds = [pyproj.enums.PJType.GEOGRAPHIC_2D_CRS, pyproj.enums.PJType.PROJECTED_CRS]
    systems = pyproj.database.query_crs_info(auth_name="EPSG", pj_types=kinds)
    return {_plain(system.name): int(system.code) for system in systems if system.code.isdecimal()}


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold().replace("zone", "") if letter.isalnum())


def _is_harmless(proj: str) -> bool:
    projection = re.search(r"\+proj=(\w+)", proj)
    is_known = projection is not None and projection[1] in _PROJECTIONS
    return is_known and not any(f"+{word}" in proj for word in _FORBIDDEN)
