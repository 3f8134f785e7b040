"""Lossless WebP, exact to the byte, and the size that a file's header claims, before a hostile one is unpacked."""

from __future__ import annotations

import io
import struct
from collections.abc import Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spaceport.pictures import open_picture
from spaceport.simd.cores import usable_cores
from spaceport.splats.sog.codec.errors import BrokenSog

METHOD = 1  # method 2 saves 0.1 % of the bytes for 1.5 times the time, method 6 at 100 0.2 % for 200 times
EFFORT, LARGE_EFFORT = 50, 25  # a large image takes half the time with the latter, and 0.4 % more bytes
LARGE = 1 << 19  # pixels
PIXELS_AT_ONCE = 16_000_000
BYTES_PER_PIXEL = 55  # 45 to 60 while an image is encoded

Pixels = NDArray[np.uint8]
Name = TypeVar("Name", bound=Hashable)


def encode_all(images: Mapping[Name, Pixels], threads: int | None = None) -> dict[Name, bytes]:
    """Encode [H,W,3] and [H,W,4] images side by side (libwebp releases the interpreter lock); same names and order.

    As many at once as there are cores, but no more large ones than memory allows.
    """
    largest = max((pixels.shape[0] * pixels.shape[1] for pixels in images.values()), default=1)
    with ThreadPoolExecutor(images_at_once(largest, len(images), threads or usable_cores())) as pool:
        return dict(zip(images, pool.map(encode, images.values()), strict=True))


def images_at_once(pixels: int, images: int, cores: int) -> int:
    """How many of so many images, the largest with so many pixels, are encoded side by side: 1 at least."""
    return max(1, min(images, cores, PIXELS_AT_ONCE // max(1, pixels)))


def encode(pixels: Pixels) -> bytes:
    """Encode one image. `exact` keeps the colour of pixels whose alpha is 0."""
    effort = LARGE_EFFORT if pixels.shape[0] * pixels.shape[1] > LARGE else EFFORT
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", lossless=True, exact=True, method=METHOD, quality=effort)
    return stream.getvalue()


def size_of(data: bytes, name: str) -> tuple[int, int]:
    """Width and height that the header of a lossless WebP claims.

    Raises:
        BrokenSog: not a WebP, not a lossless one, or animated. Nothing is unpacked.
    """
    if len(data) < 25 or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise BrokenSog(f"{name} is not a WebP image.")
    at = 12
    while at + 8 <= len(data):
        kind, length = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        if kind == b"VP8L":
            return _vp8l_size(data[at + 8 : at + 13], name)
        if kind in (b"VP8 ", b"ANIM", b"ANMF"):
            raise BrokenSog(f"{name} is not a lossless still image; SOG values do not survive lossy coding.")
        at += 8 + length + (length & 1)
    raise BrokenSog(f"{name} holds no lossless image data.")


def _vp8l_size(header: bytes, name: str) -> tuple[int, int]:
    if len(header) < 5 or header[0] != 0x2F:
        raise BrokenSog(f"{name} has a damaged image header.")
    bits = int.from_bytes(header[1:5], "little")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def decode(data: bytes, name: str, channels: int) -> Pixels:
    """Unpack one image to [H,W,channels] (3 or 4; missing alpha is 255). Check `size_of` first.

    Raises:
        BrokenSog: the data cannot be decoded, or is of another size than its header says.
    """
    size = size_of(data, name)
    try:
        with open_picture(io.BytesIO(data), formats=("WEBP",)) as image:
            if image.size != size:
                raise BrokenSog(f"{name} contradicts itself about its size.")
            return np.asarray(image.convert("RGBA" if channels == 4 else "RGB"))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, BrokenSog):
            raise
        raise BrokenSog(f"{name} is damaged and cannot be decoded.") from error
