"""Pictures small enough to lie inside a page, as addresses that hold them."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Final

from PIL import Image

from spaceport.pictures import open_picture
from spaceport.pipeline.reports.sfm import THUMB_SIZE

STRIP_WIDTH: Final = 1200
STRIP_QUALITY: Final = 65
THUMB_WIDTH, THUMB_HEIGHT = THUMB_SIZE[0] // 2, THUMB_SIZE[1] // 2
SHEET_QUALITY: Final = 50
MAX_SHEET_BYTES: Final = 250_000
"""Of all sheets together, in the page; photos beyond have no picture in it."""


def strip_address(source: Path | bytes) -> str:
    """A strip of pictures, at most 1,200 pixels wide. Raises what decoders raise on a broken one."""
    stream = source if isinstance(source, Path) else io.BytesIO(source)
    with open_picture(stream, formats=("JPEG",)) as image:
        picture = image.convert("RGB")
    if picture.width > STRIP_WIDTH:
        picture = picture.resize((STRIP_WIDTH, round(picture.height * STRIP_WIDTH / picture.width)))
    return _address(picture, "JPEG", STRIP_QUALITY)


def sheet_addresses(sheets: list[Path]) -> list[str]:
    """The sheets of small pictures at half their size, as many as there is room for."""
    addresses: list[str] = []
    room = MAX_SHEET_BYTES
    for path in sheets:
        with open_picture(path, formats=("WEBP",)) as image:
            picture = image.convert("RGB").reduce(2)
        address = _address(picture, "WEBP", SHEET_QUALITY)
        room -= len(address)
        if room < 0:
            break
        addresses.append(address)
    return addresses


def _address(picture: Image.Image, kind: str, quality: int) -> str:
    out = io.BytesIO()
    picture.save(out, kind, quality=quality)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"
