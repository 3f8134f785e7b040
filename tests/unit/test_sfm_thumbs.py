"""Sheets of small pictures: whose tile is where, upright, and what cannot be one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.sfm.messages import TaskPhoto
from services.sfm.report.thumbs import BACKGROUND, write_thumbs
from spaceport.pipeline.reports.sfm import THUMB_SIZE
from spaceport.progress import Silent

WIDTH, HEIGHT = THUMB_SIZE


def photo(number: int, orientation: int = 1) -> TaskPhoto:
    return TaskPhoto(f"{number:06}.jpg", f"flight/<b>{number}.jpg", "", 0, 64, 48, None, orientation=orientation)


def write(folder: Path, number: int, size: tuple[int, int] = (64, 48)) -> None:
    """A photo of one colour, by which it is known."""
    Image.new("RGB", size, colour(number)).save(folder / f"{number:06}.jpg", quality=95)


def colour(number: int) -> tuple[int, int, int]:
    return 40 + number % 50 * 4, 60 + number // 50 * 60, 120


def tile(folder: Path, number: int) -> Image.Image:
    with Image.open(folder / f"thumbs-{number // 100}.webp") as sheet:
        row, column = divmod(number % 100, 10)
        return sheet.convert("RGB").crop((column * WIDTH, row * HEIGHT, (column + 1) * WIDTH, (row + 1) * HEIGHT))


def middle(picture: Image.Image) -> tuple[float, ...]:
    return tuple(np.asarray(picture)[40:56, 54:74].reshape(-1, 3).mean(axis=0))


def test_every_photo_is_in_its_own_tile(tmp_path: Path) -> None:
    photos = [photo(number) for number in range(113)]
    for number in range(113):
        write(tmp_path, number)
    numbers = write_thumbs(tmp_path, photos, tmp_path, Silent().check)
    assert numbers == {each.name: number for number, each in enumerate(photos)}
    with Image.open(tmp_path / "thumbs-0.webp") as sheet:
        assert (sheet.format, sheet.size) == ("WEBP", (10 * WIDTH, 10 * HEIGHT))
    with Image.open(tmp_path / "thumbs-1.webp") as sheet:
        assert sheet.size == (10 * WIDTH, 2 * HEIGHT)
    for number in (0, 9, 10, 57, 99, 100, 112):
        assert middle(tile(tmp_path, number)) == pytest.approx(colour(number), abs=8)
    assert {path.name for path in tmp_path.glob("*.webp")} == {"thumbs-0.webp", "thumbs-1.webp"}


def test_what_cannot_be_made_is_an_empty_tile_and_loses_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, 0)
    (tmp_path / "000001.jpg").write_bytes((tmp_path / "000000.jpg").read_bytes()[:200])
    (tmp_path / "000002.jpg").write_bytes(b"<svg onload=alert(1)>")
    write(tmp_path, 4, (20_000, 2))
    numbers = write_thumbs(tmp_path, [photo(number) for number in range(5)], tmp_path, Silent().check)
    assert numbers == {photo(0).name: 0, photo(4).name: 4}
    assert middle(tile(tmp_path, 2)) == pytest.approx(BACKGROUND, abs=4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_upright(tmp_path: Path, orientation: int) -> None:
    upright = Image.new("RGB", (128, 96), (0, 0, 255))
    upright.paste((255, 0, 0), (0, 0, 64, 48))  # the upper left quarter
    turned = {
        1: upright,
        2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.transpose(Image.Transpose.ROTATE_180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.transpose(Image.Transpose.ROTATE_90),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.transpose(Image.Transpose.ROTATE_270),
    }
    turned[orientation].save(tmp_path / "000000.jpg", quality=95)
    write_thumbs(tmp_path, [photo(0, orientation)], tmp_path, Silent().check)
    pixels = np.asarray(tile(tmp_path, 0)).astype(int)
    is_red = pixels[..., 0] > pixels[..., 2] + 60
    assert is_red[8:40, 8:56].all()
    assert not is_red[56:, :].any() and not is_red[:, 72:].any()


def test_a_stop_ends_it(tmp_path: Path) -> None:
    def check() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_thumbs(tmp_path, [photo(0)], tmp_path, check)
