"""Pictures of 16 bits: how much of the range they use, and eight bits of that. In the decoder process only.

Cameras of 12 bits and multispectral ones leave most of the 16 empty: their upper eight alone are a dark picture of a
few grey levels. Photos of one kind are stretched alike, so that neighbours look alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.sfm.photos.levels import Levels

_PIPES: Final = {"PNG": "png_pipe", "TIFF": "tiff_pipe"}  # FFmpeg's names
_DEEP: Final = ("rgb48", "rgba64", "gbrp16", "gbrap16")
_SAMPLES: Final = 250_000  # pixels whose percentiles are taken
_PERCENTILES: Final = (0.1, 99.9)

Pixels16 = NDArray[np.uint16]


def channels_and_bits(image: Image.Image) -> tuple[int, int]:
    """1 or 3 channels, of 8 or 16 bits, as they are in the file."""
    is_grey = image.mode in ("L", "LA", "1") or image.mode.startswith("I")
    is_deep = image.mode.startswith("I") or any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))
    return 1 if is_grey else 3, 16 if is_deep else 8


def measure_levels(path: Path, image: Image.Image) -> Levels | None:
    """The darkest and the brightest that the picture shows, but for a few pixels; None where it has eight bits."""
    if channels_and_bits(image)[1] != 16:
        return None
    pixels = _read(path, image)
    if pixels is None:
        return None
    step = max(1, round((pixels.size / _SAMPLES) ** 0.5))
    low, high = np.percentile(pixels[::step, ::step], _PERCENTILES)
    return int(low), int(high)


def to_eight_bits(path: Path, image: Image.Image, levels: Levels) -> Image.Image | None:
    """The picture in eight bits; None where only Pillow can read it, which gives the upper eight."""
    pixels = _read(path, image)
    if pixels is None:
        return None
    low, high = levels
    values = np.arange(1 << 16, dtype=np.float64)
    table = ((values - low) * (255 / max(1, high - low))).clip(0, 255).round().astype(np.uint8)
    converted = Image.fromarray(table[pixels])
    converted.info = dict(image.info)
    return converted


def _read(path: Path, image: Image.Image) -> Pixels16 | None:
    """Rows x columns (x 3). Pillow has no mode for colours of 16 bits, FFmpeg has."""
    if image.mode.startswith("I"):
        return np.asarray(image).clip(0, 0xFFFF).astype(np.uint16)
    try:
        options = {"protocol_whitelist": "file"}
        with av.open(str(path), format=_PIPES.get(str(image.format)), options=options) as container:
            frame: Any = next(container.decode(video=0))
            if (frame.width, frame.height) != image.size or not frame.format.name.startswith(_DEEP):
                return None
            pixels: Pixels16 = frame.to_ndarray(format="rgb48le")
            return pixels
    except (av.error.FFmpegError, StopIteration, ValueError):
        return None
