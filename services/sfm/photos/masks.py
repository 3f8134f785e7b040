"""Masks: black is left out, as in OpenDroneMap, COLMAP, nerfstudio and Metashape."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from services.sfm.photos.decode import FORMATS, LeftOutError, check_size
from spaceport.pictures import open_picture

_DARK: Final = 127  # masks saved as JPEG are not quite black
_ASPECT: Final = 0.02
_NEAR: Final = 40  # grey levels from black or white: JPEG's ringing
_MIN_CLEAR: Final = 0.9  # of a mask's pixels are black or white; soft edges are not


def write_mask(path: Path, copy: Path, size: tuple[int, int]) -> None:
    """Write the mask at `path` for a photo whose copy has this size: a PNG, 0 where features are not extracted.

    Labels 0 and 1 are black and white.

    Raises:
        LeftOutError: its shape is not the photo's, it is a picture, or it leaves nothing of the photo.
        Exception: what decoders raise on broken files.
    """
    with open_picture(path, formats=FORMATS) as image:
        check_size(*image.size)
        if abs(image.width * size[1] / (image.height * size[0]) - 1) > _ASPECT:
            raise LeftOutError(f"it is {image.width} x {image.height} pixels, another shape than its photo")
        grey = np.asarray(image.convert("L").resize(size, Image.Resampling.NEAREST))
    if grey.max() == 1:
        grey = grey * np.uint8(255)
    if np.mean((grey > _NEAR) & (grey < 255 - _NEAR)) > 1 - _MIN_CLEAR:
        raise LeftOutError("it is a picture, not a mask: rename it, or its folder, if it is meant as a photo")
    if not (grey > _DARK).any():
        raise LeftOutError("it is black all over, and would leave nothing of its photo")
    Image.fromarray(((grey > _DARK) * 255).astype(np.uint8)).save(copy, "PNG")
