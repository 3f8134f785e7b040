"""The numbers that DJI's drones write into a photo's XMP packet: gimbal, height above take-off, RTK.

Names and meanings: the tables of photo data in DJI's user manuals (Zenmuse P1, Mavic 3E). The packet is XML of a
stranger: no parser touches it, so it holds no entities and no nesting for us. We look for names and numbers in it.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

MAX_PACKET_BYTES: Final = 1 << 16  # one JPEG segment; what follows is maker's data
_NUMBER: Final = re.compile(
    rb"""drone-dji:(?P<name>[A-Za-z]{1,40})\s{0,8}(?:=\s{0,8}["']|>)\s{0,8}(?P<number>[-+]?\d{1,7}(?:\.\d{1,12})?)\s{0,8}["'<]"""
)


def drone_facts(packet: bytes) -> dict[str, Any]:
    """The fields of `PhotoFacts` that the packet tells; those it does not are missing."""
    told = {match["name"].decode(): float(match["number"]) for match in _NUMBER.finditer(packet[:MAX_PACKET_BYTES])}
    facts: dict[str, Any] = {
        "gimbal_pitch": _angle(told.get("GimbalPitchDegree")),
        "gimbal_yaw": _angle(told.get("GimbalYawDegree")),
        "relative_altitude_m": told.get("RelativeAltitude"),
        "rtk_flag": int(told["RtkFlag"]) if "RtkFlag" in told else None,
        "position_std_m": _deviations([told.get(f"RtkStd{axis}") for axis in ("Lon", "Lat", "Hgt")]),
    }
    return {name: value for name, value in facts.items() if value is not None}


def _angle(degrees: float | None) -> float | None:
    return degrees if degrees is not None and abs(degrees) <= 360 else None


def _deviations(metres: list[float | None]) -> tuple[float, float, float] | None:
    known = [value for value in metres if value is not None and value > 0 and math.isfinite(value)]
    return (known[0], known[1], known[2]) if len(known) == 3 else None
