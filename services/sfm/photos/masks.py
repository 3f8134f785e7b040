"""Masks in OpenDroneMap's convention: black is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import Image

from services.sfm.photos.decode import FORMATS, LeftOutError, check_size

_DARK: Final = 127  # masks saved as JPEG are not quite black
_ASPECT: Final = 0.02


def write_mask(path: Path, copy: Path, size: tuple[int, int]) -> None:
    """Write the mask at `path` for a photo whose copy has this size: a PNG, 0 where features are not extracted.

    Raises:
        LeftOutError: its shape is not the photo's.
        Exception: what decoders raise on broken files.
    """
    with Image.open(path, formats=FORMATS) as image:
        check_size(*image.size)
        if abs(image.width * size[1] / (image.height * size[0]) - 1) > _ASPECT:
            raise LeftOutError(f"it is {image.width} x {image.height} pixels, another shape than its photo")
        grey = image.convert("L").resize(size, Image.Resampling.NEAREST)
        grey.point([0 if value <= _DARK else 255 for value in range(256)]).save(copy, "PNG")
