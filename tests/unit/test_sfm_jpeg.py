"""Metadata goes, pixels stay."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import ExifTags, Image

from services.sfm.jpeg import strip_metadata


def jpeg(mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (48, 64, 4 if mode == "CMYK" else 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    out = io.BytesIO()
    Image.fromarray(pixels, mode=mode).save(out, "JPEG", exif=exif, comment=b"where I live", xmp=b"<x/>", dpi=(72, 72))
    return out.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_orientation_and_comments_go_and_every_pixel_stays(mode: str) -> None:
    data = jpeg(mode)
    stripped = strip_metadata(data)
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(stripped)) as after:
        assert dict(before.getexif())
        assert not dict(after.getexif())
        assert not {"exif", "xmp", "comment"} & set(after.info)
        np.testing.assert_array_equal(np.asarray(before), np.asarray(after))


def test_twice_is_once() -> None:
    once = strip_metadata(jpeg())
    assert strip_metadata(once) == once


@pytest.mark.parametrize(
    "data", [b"", b"PNG", b"\xff\xd8", b"\xff\xd8\xff\xe0\0\0", jpeg()[:30], b"\xff\xd8" + b"x" * 50]
)
def test_what_is_no_jpeg_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="JPEG"):
        strip_metadata(data)
