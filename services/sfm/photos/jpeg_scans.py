"""How many scans a JPEG has, by its markers alone: each costs a pass over the whole picture, and hardly any bytes.

Source: ITU-T T.81, annex B. A progressive JPEG of a camera or a program has about ten.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO, Final

MAX_SCANS: Final = 100
_SOF: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # but for tables that are numbered among them
_PROGRESSIVE: Final = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_EOI, _SOS = 0xD9, 0xDA
_BARE: Final = frozenset({0x01, 0xD8})  # markers without a length
_MARKER: Final = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # not what stands for 0xFF in pixels, and no restart


def has_too_many_scans(path: Path) -> bool:
    """Whether the JPEG has more than `MAX_SCANS`. One of a single scan is not read to its end."""
    with path.open("rb") as file:
        if not _has_several_scans(file):
            return False
        file.seek(0)
        data = file.read()
    if data.count(bytes([0xFF, _SOS])) <= MAX_SCANS:  # those of thumbnails too
        return False
    return count_scans(data) > MAX_SCANS


def count_scans(data: bytes) -> int:
    """The scans of a JPEG up to its end, as far as they can make a difference: one more than `MAX_SCANS` at most."""
    scans, at = 0, 2
    while scans <= MAX_SCANS and (match := _MARKER.search(data, at)) and match[1][0] != _EOI:
        kind, at = match[1][0], match.end()
        scans += kind == _SOS
        if kind not in _BARE:
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return scans


def _has_several_scans(file: BinaryIO) -> bool:
    """Whether the header says so: it is progressive, or its first scan lacks a component."""
    components, at = 0, 2
    while True:
        file.seek(at)
        head = file.read(10)  # of a frame: marker, length, precision, height, width, components
        if len(head) < 5 or head[0] != 0xFF:
            return True  # filled with more of 0xFF, or broken: counted in full
        kind = head[1]
        if kind in _PROGRESSIVE:
            return True
        if kind == _SOS:
            return head[4] < components
        if kind in _SOF:
            components = head[9] if len(head) == 10 else 0
        at += 2 + max(2, int.from_bytes(head[2:4], "big"))
