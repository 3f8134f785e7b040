"""The copy of a photo that COLMAP gets: no larger than it works on, its pixels square, its picture the photo's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from services.sfm.photos.decode import MIN_SIDE, LeftOutError, copy_size, read_photo

LONGEST = 400


def photo_file(path: Path, width: int, height: int) -> Image.Image:
    """A JPEG of waves that any size shows."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    waves = 127 + 60 * np.sin(11 * x) + 60 * np.cos(7 * y)
    picture = Image.fromarray(np.stack([waves, waves, 255 - waves], 2).astype("u1"))
    picture.save(path, quality=95)
    return picture


@given(st.integers(64, 12_000), st.integers(64, 12_000), st.integers(640, 8192))
def test_a_copy_has_square_pixels(width: int, height: int, longest: int) -> None:
    try:
        size = copy_size(width, height, longest)
    except LeftOutError:
        assert min(width, height) * longest / max(width, height) < 1.04 * MIN_SIDE
        return
    if max(width, height) <= longest:
        assert size == (width, height)
        return
    assert 0.97 * longest - 1 <= max(size) <= longest
    ratio = min(width, height) / max(width, height)
    rounding = {length: abs(length * ratio - round(length * ratio)) for length in range(max(size), longest + 1)}
    assert abs(min(size) - max(size) * ratio) <= min(rounding.values()) + 1e-6, "another length has squarer pixels"


@pytest.mark.parametrize(
    ("size", "copy"),
    [
        ((4000, 3000), (1600, 1200)),
        ((5472, 3648), (1599, 1066)),
        ((3648, 5472), (1066, 1599)),
        ((1600, 900), (1600, 900)),
    ],
)
def test_sizes_of_common_cameras(size: tuple[int, int], copy: tuple[int, int]) -> None:
    assert copy_size(*size, 1600) == copy


@pytest.mark.parametrize(("width", "height"), [(401, 300), (1000, 750), (1500, 1000), (720, 1280), (4096, 64 * 16)])
def test_a_large_jpeg_is_scaled_down_once_for_all_of_colmap(tmp_path: Path, width: int, height: int) -> None:
    picture = photo_file(tmp_path / "a.jpg", width, height)
    decoded = read_photo(tmp_path / "a.jpg", "a.jpg", tmp_path / "copy.jpg", LONGEST)
    assert (decoded.metadata.width, decoded.metadata.height) == (width, height), "the report has the photo's own size"
    with Image.open(tmp_path / "copy.jpg") as copy:
        assert copy.size == decoded.size == copy_size(width, height, LONGEST)
        expected = picture.resize(copy.size, Image.Resampling.BOX)
        assert np.abs(np.asarray(copy, int) - np.asarray(expected, int)).mean() < 2


def test_a_small_jpeg_is_linked(tmp_path: Path) -> None:
    photo_file(tmp_path / "a.jpg", LONGEST, 300)
    assert read_photo(tmp_path / "a.jpg", "a.jpg", tmp_path / "copy.jpg", LONGEST).size == (LONGEST, 300)
    assert (tmp_path / "copy.jpg").is_symlink()


def test_a_large_jpeg_without_its_end_is_scaled_down_too(tmp_path: Path) -> None:
    photo_file(tmp_path / "a.jpg", 1000, 750)
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-2])
    assert read_photo(tmp_path / "a.jpg", "a.jpg", tmp_path / "copy.jpg", LONGEST).size == (400, 300)
    with Image.open(tmp_path / "copy.jpg") as copy:
        assert copy.size == (400, 300)


def test_a_large_jpeg_of_which_half_is_missing_is_left_out(tmp_path: Path) -> None:
    photo_file(tmp_path / "a.jpg", 1000, 750)
    body = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(body[: len(body) // 2])
    with pytest.raises((LeftOutError, OSError)):
        read_photo(tmp_path / "a.jpg", "a.jpg", tmp_path / "copy.jpg", LONGEST)
    assert not (tmp_path / "copy.jpg").exists()
