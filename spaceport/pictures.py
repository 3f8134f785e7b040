"""How pictures that somebody else made are opened: by Pillow, whose limits are set here and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Final

from PIL import Image, ImageFile, PngImagePlugin

MAX_PIXELS: Final = 200_000_000  # the largest camera backs and phones; 600 MB decoded

Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow itself only warns up to twice this
ImageFile.LOAD_TRUNCATED_IMAGES = False  # what is missing would be grey or black, and nobody be the wiser
PngImagePlugin.MAX_TEXT_CHUNK = 1 << 20  # unpacked
PngImagePlugin.MAX_TEXT_MEMORY = 16 << 20


def open_picture(source: Path | IO[bytes], formats: tuple[str, ...]) -> Image.Image:
    """The picture, its header read and its pixels not yet.

    Args:
        formats: Pillow's names of those that may be tried.

    Raises:
        Image.DecompressionBombError: it has more than `MAX_PIXELS`.
        Exception: what decoders raise on broken files: OSError, SyntaxError, struct.error and more.
    """
    image = Image.open(source, formats=formats)
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise Image.DecompressionBombError(f"it has more than {MAX_PIXELS // 10**6} megapixels")
    return image
