"""Extensions of an SPZ: records of type, length and value. Of those we know one, which says how the axes lie.

From github.com/nianticlabs/spz, extensions/README.md and splat-types.h: `SPZ_ADOBE_coordinate_system`, whose value is
a number of a name like RUB, which tells for x, y and z in turn whether it points right, left, up, down, front or back.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from spaceport.splats.frame import AXES, Frame, Vec3

COORDINATE_SYSTEM = 0xADBE0003
SYSTEMS = (
    "", "LDB", "RDB", "LUB", "RUB", "LDF", "RDF", "LUF", "RUF", "LFD", "RFD", "LFU", "RFU", "LBD", "RBD", "LBU", "RBU",
)  # fmt: skip
DEFAULT = "RUB"
"""What the format takes for granted where no extension says otherwise: y is up, as in OpenGL."""
_RECORD = struct.Struct("<II")
_VALUE = struct.Struct("<I")
_WRITTEN = {(0.0, 0.0, 1.0): "RFU", (0.0, 1.0, 0.0): "RUB", (0.0, -1.0, 0.0): "RDF", (0.0, 0.0, -1.0): "RBD"}
"""By the model's up; right-handed all of them, as models are. There is none whose x is up or down."""


def frame_of(extensions: bytes) -> Frame:
    """The frame that they tell of; that of the format's default where they tell nothing of axes."""
    name = DEFAULT
    for kind, value in _records(extensions):
        if kind == COORDINATE_SYSTEM and len(value) == _VALUE.size:
            number = _VALUE.unpack(value)[0]
            name = (SYSTEMS[number] if number < len(SYSTEMS) else "") or DEFAULT
    return Frame(up=_up(name))


def extensions_of(frame: Frame) -> bytes:
    """The record that says which axis is up; empty where nothing is known, or the format has no name for it."""
    name = _WRITTEN.get(frame.up) if frame.up else None
    if name is None:
        return b""
    return _RECORD.pack(COORDINATE_SYSTEM, _VALUE.size) + _VALUE.pack(SYSTEMS.index(name))


def _up(name: str) -> Vec3:
    for axis, letter in zip("xyz", name, strict=True):
        if letter in "UD":
            return AXES[axis if letter == "U" else f"-{axis}"]
    raise AssertionError(name)  # every name has one of the two


def _records(extensions: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each whole record."""
    at = 0
    while len(extensions) - at >= _RECORD.size:
        kind, length = _RECORD.unpack_from(extensions, at)
        at += _RECORD.size
        if length > len(extensions) - at:
            return
        yield kind, extensions[at : at + length]
        at += length
