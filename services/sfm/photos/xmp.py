"""What DJI's drones write into a photo's XMP packet: gimbal, heights, RTK, and the lens as the factory calibrated it.

Names and meanings: the tables of photo data in DJI's user manuals (Zenmuse P1, Mavic 3E and 3M, P4 Multispectral). The
packet is untrusted XML: no parser touches it, so entities and nesting do no harm. It is searched for names and values,
which are attributes in most packets and elements in some.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

from services.sfm.photos.calibration import RawCalibration

MAX_PACKET_BYTES: Final = 1 << 16  # one JPEG segment; what follows is maker's data
_TAG: Final = re.compile(
    rb"""(?<!/)drone-dji:(?P<name>[A-Za-z0-9]{1,40})\s{0,8}(?:=\s{0,8}["']|>)(?P<value>[^"'<>]{0,300})["'<]"""
)
_NUMBER: Final = re.compile(r"[-+]?\d{1,7}(?:\.\d{0,12})?(?:[eE][-+]?\d{1,2})?")
_SERIAL: Final = re.compile(r"[A-Za-z0-9._/-]{3,40}")
_SERIALS: Final = ("CameraSerialNumber", "CameraSN", "PayloadSerialNumber", "DroneSerialNumber", "ProductSN")
_LARGEST: Final = 1e9
_DEWARP_FIGURES: Final = 9  # fx, fy, cx, cy, k1, k2, p1, p2, k3


def dji_metadata(packet: bytes) -> dict[str, Any]:
    """The fields of `PhotoMetadata` that are in the packet; others are missing."""
    tags = _tags(packet)
    numbers = {name: number for name, value in tags.items() if (number := _number(value)) is not None}
    fields: dict[str, Any] = {
        "serial": next((tags[name] for name in _SERIALS if _is_serial(tags.get(name, ""))), None),
        "gimbal_pitch": _angle(numbers.get("GimbalPitchDegree")),
        "gimbal_yaw": _angle(numbers.get("GimbalYawDegree")),
        "gimbal_roll": _angle(numbers.get("GimbalRollDegree")),
        "relative_altitude_m": numbers.get("RelativeAltitude"),
        "absolute_altitude_m": numbers.get("AbsoluteAltitude"),
        "rtk_flag": int(numbers["RtkFlag"]) if "RtkFlag" in numbers else None,
        "position_std_m": _deviations([numbers.get(f"RtkStd{axis}") for axis in ("Lon", "Lat", "Hgt")]),
        "dewarped": {0.0: False, 1.0: True}.get(numbers.get("DewarpFlag", -1.0)),
    }
    return {name: value for name, value in fields.items() if value is not None}


def dji_calibration(packet: bytes) -> RawCalibration | None:
    """The lens as the packet has it, in pixels of the full photo; None where it says nothing."""
    tags = _tags(packet)
    focal = _number(tags.get("CalibratedFocalLength", ""))
    centre = [_number(tags.get(f"CalibratedOpticalCenter{axis}", "")) for axis in "XY"]
    figures = [_number(part) for part in tags.get("DewarpData", "").partition(";")[2].split(",")]
    known = [figure for figure in figures if figure is not None]
    dewarp = tuple(known) if len(known) == len(figures) == _DEWARP_FIGURES else None
    if focal is None and dewarp is None:
        return None
    x, y = centre
    return RawCalibration(focal, (x, y) if x is not None and y is not None else None, dewarp)


def _tags(packet: bytes) -> dict[str, str]:
    """The values of DJI's tags as text; where one comes twice, the last."""
    found = _TAG.finditer(packet[:MAX_PACKET_BYTES])
    return {match["name"].decode(): match["value"].decode("utf-8", "replace").strip() for match in found}


def _number(text: str) -> float | None:
    number = float(text) if _NUMBER.fullmatch(text.strip()) else math.nan
    return number if abs(number) < _LARGEST else None


def _is_serial(text: str) -> bool:
    """Whether this tells one camera from another: cameras without a number write zeros."""
    return bool(_SERIAL.fullmatch(text)) and bool(text.strip("0._/-"))


def _angle(degrees: float | None) -> float | None:
    return degrees if degrees is not None and abs(degrees) <= 360 else None


def _deviations(metres: list[float | None]) -> tuple[float, float, float] | None:
    known = [value for value in metres if value is not None and value > 0]
    return (known[0], known[1], known[2]) if len(known) == 3 else None
