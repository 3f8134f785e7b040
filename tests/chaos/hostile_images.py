"""Hostile images and models, made at random from a seed."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator

import numpy as np
import pillow_heif
from fuzz_targets import COLMAP, CORPUS
from hostile_zips import damaged
from PIL import Image
from test_sfm_hostile import lying_dng, png_of

Random = random.Random
SMALL = (96, 64)
FORMATS = {"JPEG": "jpg", "PNG": "png", "TIFF": "tif", "WEBP": "webp", "HEIC": "heic"}


def hostile_image(choose: Random) -> tuple[str, bytes]:
    """The suffix of an image and its bytes: damaged, lying, bombs, other files under its name."""
    make: Callable[[Random], tuple[str, bytes]] = choose.choice((_damaged, _damaged, _damaged, _lying, _other))
    return make(choose)


def hostile_model(choose: Random) -> tuple[str, bytes]:
    """The name of a reader of `tests/fuzz`, and bytes for it."""
    readers = sorted(path.name for path in CORPUS.iterdir() if path.name not in {"zip", "colmap-binary", "colmap-text"})
    reader = choose.choice(readers)
    whole = choose.choice(sorted((CORPUS / reader).iterdir())).read_bytes()
    return reader, damaged(choose, damaged(choose, whole))


def hostile_colmap_model(choose: Random) -> dict[str, bytes]:
    """The files of a COLMAP model, one of them damaged."""
    parts = COLMAP.parts(choose.choice((".bin", ".txt")))
    name = choose.choice(sorted(parts))
    return parts | {name: damaged(choose, parts[name])}


def hostile_images(choose: Random, count: int) -> Iterator[tuple[str, bytes]]:
    """Names and bytes."""
    for number in range(count):
        suffix, data = hostile_image(choose)
        yield f"hostile/{number:03d}.{suffix}", data


def _damaged(choose: Random) -> tuple[str, bytes]:
    kind = choose.choice(sorted(FORMATS))
    picture = Image.fromarray(
        np.frombuffer(choose.randbytes(SMALL[0] * SMALL[1] * 3), np.uint8).reshape(SMALL[1], SMALL[0], 3)
    )
    out = io.BytesIO()
    if kind == "HEIC":
        pillow_heif.from_pillow(picture).save(out, quality=60)
    else:
        picture.save(out, kind)
    return FORMATS[kind], damaged(choose, out.getvalue())


def _lying(choose: Random) -> tuple[str, bytes]:
    """Fewer rows than its header claims, a bomb in a comment, one pixel, a strip."""
    claims = ((12_000, 12_000), (60_000, 60_000), (2**31 - 1, 1), (0, 0))
    match choose.randrange(4):
        case 0:
            return "png", png_of(40, 30, choose.choice(claims))
        case 1:
            return "png", png_of(160, 120, text=bytes(8 << 20))
        case 2:
            return "png", png_of(*choose.choice(((1, 1), (4000, 3), (3, 4000))))
    return "dng", lying_dng()


def _other(choose: Random) -> tuple[str, bytes]:
    begin = choose.choice(
        (
            b"",
            b"\xff\xd8\xff\xe0",
            b"\x89PNG\r\n\x1a\n",
            b"II*\0\x08\0\0\0",
            b"GIF89a",
            b"\0\0\0\x18ftypheic",
            b"%!PS\n",
            b"<svg>",
        )
    )
    return choose.choice(sorted(FORMATS.values())), begin + choose.randbytes(choose.randrange(4000))
