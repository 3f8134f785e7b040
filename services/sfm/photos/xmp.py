"""The numbers that DJI's drones write into a photo's XMP packet: gimbal, height above take-off, RTK.

Names and meanings: the tables of photo data in DJI's user manuals (Zenmuse P1, Mavic 3E). The packet is untrusted
XML: no parser touches it, so entities and nesting do no harm. It is searched for names and numbers.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

MAX_PACKET_BYTES: Final = 1 << 16  # one JPEG segment; what follows is maker's data
_NUMBER: Final = re.compile(
    rb"""drone-dji:(?P<name>[A-Za-z]{1,40})\s{0,8}(?:=\s{0,8}["']|>)\s{0,8}(?P<number>[-+]?\d{1,7}(?:\.\d{1,12})?)\s{0,8}["'<]"""
)


def dji_metadata(packet: bytes) -> dict[str, Any]:
    """The fields of `PhotoMetadata` that are in the packet; others are missing."""
    tags = {match["name"].decode(): float(match["number"]) for match in _NUMBER.finditer(packet[:MAX_PACKET_BYTES])}
    fields: dict[str, Any] = {
        "gimbal_pitch": _angle(tags.get("GimbalPitchDegree")),
        "gimbal_yaw": _angle(tags.get("GimbalYawDegree")),
        "relative_altitude_m": tags.get("RelativeAltitude"),
        "rtk_flag": int(tags["RtkFlag"]) if "RtkFlag" in tags else None,
        "position_std_m": _deviations([tags.get(f"RtkStd{axis}") for axis in ("Lon", "Lat", "Hgt")]),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _angle(degrees: float | None) -> float | None:
    return degrees if degrees is not None and abs(degrees) <= 360 else None


def _deviations(metres: list[float | None]) -> tuple[float, float, float] | None:
    known = [value for value in metres if value is not None and value > 0 and math.isfinite(value)]
    return (known[0], known[1], known[2]) if len(known) == 3 else None
