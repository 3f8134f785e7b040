"""Removes the metadata from a JPEG without touching its pixels."""

from __future__ import annotations

_SOI, _SOS = b"\xff\xd8", 0xDA
_APP1_TO_APP13 = range(0xE1, 0xEE)  # EXIF, XMP, ICC, IPTC; APP0 (JFIF) and APP14 (Adobe colours) stay
_COMMENT = 0xFE


def strip_metadata(data: bytes) -> bytes:
    """The same picture without EXIF, XMP, ICC profile and comments.

    Raises:
        ValueError: `data` is no JPEG that begins as the standard (ITU-T T.81, annex B) says.
    """
    if not data.startswith(_SOI):
        raise ValueError("not a JPEG")
    segments = [_SOI]
    at = 2
    while at + 4 <= len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at] != 0xFF or length < 2:
            break
        if marker == _SOS:
            return b"".join([*segments, data[at:]])
        if marker not in _APP1_TO_APP13 and marker != _COMMENT:
            segments.append(data[at : at + 2 + length])
        at += 2 + length
    raise ValueError("a JPEG without pixels")
