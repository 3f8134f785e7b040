"""Scans of a JPEG are counted by its markers, where they can make a difference."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from services.sfm.photos.jpeg_scans import MAX_SCANS, count_scans, has_too_many_scans


def jpeg(mode: str = "RGB", *, progressive: bool, exif: bytes = b"") -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(3).integers(0, 255, (96, 128, 3)).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(out, "JPEG", progressive=progressive, exif=exif)
    return out.getvalue()


def repeated(data: bytes, scans: int) -> bytes:
    """The same with its last scan until there are so many."""
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * (scans - count_scans(data)) + data[-2:]


@pytest.mark.parametrize(("mode", "scans"), [("L", 6), ("RGB", 10)])
def test_scans_as_libjpeg_writes_them(mode: str, scans: int) -> None:
    assert count_scans(jpeg(mode, progressive=True)) == scans
    assert count_scans(jpeg(mode, progressive=False)) == 1


def test_only_the_scans_of_the_picture_itself_count(tmp_path: Path) -> None:
    thumbnails = b"Exif\0\0" + b"\xff\xda\xff\xd9" * 2000
    for progressive in (False, True):
        data = jpeg(progressive=progressive, exif=thumbnails)
        (tmp_path / "a.jpg").write_bytes(data + data * 30)  # others behind its end, as in MPO
        assert not has_too_many_scans(tmp_path / "a.jpg")


def test_too_many(tmp_path: Path) -> None:
    good = repeated(jpeg(progressive=True), MAX_SCANS)
    (tmp_path / "good.jpg").write_bytes(good)
    (tmp_path / "bad.jpg").write_bytes(repeated(good, MAX_SCANS + 1))
    assert not has_too_many_scans(tmp_path / "good.jpg")
    assert has_too_many_scans(tmp_path / "bad.jpg")


def test_scans_of_single_components_that_are_not_progressive(tmp_path: Path) -> None:
    """A frame of three components whose first scan has one: libjpeg reads all scans before it shows anything."""
    data = jpeg("L", progressive=False)
    frame = data.index(b"\xff\xc0")
    three = b"\xff\xc0" + (17).to_bytes(2) + data[frame + 4 : frame + 9] + b"\x03\x01\x11\0\x02\x11\0\x03\x11\0"
    many = data[:frame] + three + data[frame + 13 :]
    (tmp_path / "a.jpg").write_bytes(repeated(many, 150))
    assert has_too_many_scans(tmp_path / "a.jpg")


@given(data=st.binary(max_size=300), cut=st.integers(0, 400))
def test_any_bytes_have_a_number(tmp_path_factory: pytest.TempPathFactory, data: bytes, cut: int) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jpg"
    for body in (data, jpeg(progressive=True)[:cut] + data):
        path.write_bytes(body)
        assert has_too_many_scans(path) is (count_scans(body) > MAX_SCANS)
