"""Measures the image quality of photos, on a few threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from services.sfm.capture.image_quality import ImageQuality, measure_quality
from spaceport.pictures import open_picture

THREADS: Final = 4


def measure_photos(
    files: dict[str, Path], longest_side: int, on_photo: Callable[[int], None]
) -> dict[str, ImageQuality]:
    """Measure JPEGs that are known to decode, at about `longest_side` pixels.

    `on_photo` is called with the number that are done; its exceptions propagate within the time that one photo takes.
    """
    pool = ThreadPoolExecutor(THREADS)
    try:
        futures = {name: pool.submit(_measure, path, longest_side) for name, path in files.items()}
        for done, _ in enumerate(as_completed(futures.values()), start=1):
            on_photo(done)
        return {name: future.result() for name, future in futures.items()}
    finally:
        pool.shutdown(cancel_futures=True)


def _measure(path: Path, longest_side: int) -> ImageQuality:
    with open_picture(path, formats=("JPEG",)) as image:
        image.draft("L", _draft_size(image.size, longest_side))  # a large JPEG is scaled down while it is decoded
        picture = image.convert("L")
        if max(picture.size) > longest_side:
            picture.thumbnail((longest_side, longest_side), Image.Resampling.BOX)
        return measure_quality(np.asarray(picture))


def _draft_size(size: tuple[int, int], longest_side: int) -> tuple[int, int]:
    factor = min(1.0, longest_side / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
