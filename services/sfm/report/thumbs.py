"""Sheets of small pictures of the photos, for the page: `thumbs-0.webp` has the first hundred, and so on.

A page of a thousand photos then makes ten requests. Memory is bounded by one sheet and a few photos, which are scaled
down while they are decoded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from PIL import Image

from services.sfm.messages import TaskPhoto
from spaceport.pictures import open_picture
from spaceport.pipeline.reports.sfm import THUMB_COLUMNS, THUMB_ROWS, THUMB_SIZE

THREADS: Final = 4
PER_SHEET: Final = THUMB_COLUMNS * THUMB_ROWS
QUALITY: Final = 60
BACKGROUND: Final = (11, 14, 18)
"""Beside photos of another shape; the page's sky."""
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF orientation."""

log = logging.getLogger(__name__)


def write_thumbs(
    folder: Path, photos: Sequence[TaskPhoto], photos_folder: Path, check: Callable[[], None]
) -> dict[str, int]:
    """Write `folder`/thumbs-N.webp of JPEGs that are known to decode.

    `check` is called before each sheet; its exceptions propagate.

    Returns:
        Which tile is whose, by the photo's name: tile 123 is the 24th of `thumbs-1.webp`. One that cannot be made is
        left empty and not in here: a picture for the page is no reason to lose a model.
    """
    numbers: dict[str, int] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for first in range(0, len(photos), PER_SHEET):
            check()
            part = photos[first : first + PER_SHEET]
            tiles = list(pool.map(_tile, (photos_folder / photo.file for photo in part), part))
            _sheet(tiles).save(folder / f"thumbs-{first // PER_SHEET}.webp", "WEBP", quality=QUALITY)
            numbers |= {photo.name: first + at for at, photo in enumerate(part) if tiles[at] is not None}
    return numbers


def _tile(path: Path, photo: TaskPhoto) -> Image.Image | None:
    """Upright, at most as large as a tile; None where it cannot be made."""
    try:
        with open_picture(path, formats=("JPEG",)) as image:
            side = max(THUMB_SIZE)
            image.draft("RGB", (side, side))
            picture = image.convert("RGB")
    except Exception as error:  # what decoders raise on broken files
        log.warning("no small picture of %s: %s", photo.file, type(error).__name__)
        return None
    if photo.orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[photo.orientation])
    picture.thumbnail(THUMB_SIZE, Image.Resampling.BOX)
    return picture


def _sheet(tiles: Sequence[Image.Image | None]) -> Image.Image:
    """All tiles, each in the middle of its place; as many rows as are needed."""
    width, height = THUMB_SIZE
    rows = -(-len(tiles) // THUMB_COLUMNS)
    sheet = Image.new("RGB", (THUMB_COLUMNS * width, rows * height), BACKGROUND)
    for number, tile in enumerate(tiles):
        if tile is not None:
            row, column = divmod(number, THUMB_COLUMNS)
            sheet.paste(tile, (column * width + (width - tile.width) // 2, row * height + (height - tile.height) // 2))
    return sheet
