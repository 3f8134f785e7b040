"""Reads photos with Pillow: whether each decodes to its last row, its size, camera, focal length and position.

Must not share a process with pycolmap: both bring their own zlib, and the heap does not survive that.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from services.sfm.intake.exif import described
from services.sfm.intake.facts import PhotoFacts, Unreadable

FORMATS: Final = ("JPEG", "PNG", "TIFF", "WEBP")  # JPEG brings MPO, the several-in-one of phones and drones
MAX_PIXELS: Final = 200_000_000  # the largest camera backs; 600 MB decoded
MIN_SIDE: Final = 64  # smaller pictures are icons, not photos
READERS: Final = 4  # of the largest photos at once: 2.4 GB
_DRAFT_SIDE: Final = 64

Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow itself raises at twice this, before it reads a pixel


def read_photos(folder: Path, names: list[str], on_photo: Callable[[int], None]) -> list[PhotoFacts | Unreadable]:
    """Read photos of `folder` on a few threads, in the order of `names`; `on_photo` hears how many are done.

    What `on_photo` raises passes, within the time one photo takes.
    """
    pool = ThreadPoolExecutor(READERS)
    try:
        futures = [pool.submit(read_photo, folder, name) for name in names]
        for done, _ in enumerate(as_completed(futures), start=1):
            on_photo(done)
        return [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)


def read_photo(folder: Path, name: str) -> PhotoFacts | Unreadable:
    """Decode one photo in full and read its EXIF. Never raises for what is in the file."""
    try:
        with Image.open(folder / name, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return Unreadable(name, f"it has more than {MAX_PIXELS // 10**6} megapixels")
            if min(image.size) < MIN_SIDE:
                return Unreadable(name, f"it is only {image.width} x {image.height} pixels")
            if image.mode == "F":
                return Unreadable(name, "its pixels are floating-point numbers, not colours")
            photo = described(name, image)
            image.draft("RGB", (_DRAFT_SIDE, _DRAFT_SIDE))  # a JPEG's every byte is read, few are transformed
            image.load()
            return photo
    except Image.DecompressionBombError:
        return Unreadable(name, f"it has more than {MAX_PIXELS // 10**6} megapixels")
    except Exception as error:  # Pillow's decoders raise many kinds on broken files: OSError, SyntaxError, struct.error
        return Unreadable(name, f"it cannot be decoded: {str(error)[:200].replace(str(folder), '')}")


def write_jpeg(source: Path, target: Path) -> None:
    """Make a JPEG of any photo that `read_photo` accepts, on the same pixel grid, for COLMAP, which reads no WebP."""
    with Image.open(source, formats=FORMATS) as image:
        picture: Image.Image = image
        if image.mode.startswith("I"):  # 16-bit grey: Pillow would clip, not scale
            picture = Image.fromarray((np.asarray(image).clip(0, 0xFFFF) >> 8).astype(np.uint8))
        picture.convert("RGB").save(target, "JPEG", quality=95, subsampling=0)
