"""The workspace at the rim: photos that are missing, of another size, or damaged; decoding at a level's size."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.train.dataset import Photos, limit_size, open_dataset
from spaceport.pipeline.errors import Refused, Slug
from spaceport.splats.cameras import Camera

WIDTH, HEIGHT = 64, 48


def write_workspace(folder: Path, photos: int, points: int = 10) -> Path:
    """A COLMAP workspace of `photos` grey gradients seen from a row of cameras."""
    (folder / "sparse").mkdir(parents=True)
    (folder / "images").mkdir()
    camera = struct.pack("<QiiQQ4d", 1, 1, 1, WIDTH, HEIGHT, 60, 60, WIDTH / 2, HEIGHT / 2)
    images = struct.pack("<Q", photos)
    for index in range(photos):
        images += struct.pack("<i7di", index, 1, 0, 0, 0, -0.1 * index, 0, 0, 1)
        images += f"{index:03}.jpg".encode() + b"\0" + struct.pack("<Q", 0)
        ramp = np.linspace(0, 255, WIDTH).astype(np.uint8)
        pixels = np.broadcast_to(ramp[None, :, None], (HEIGHT, WIDTH, 3))
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / "images" / f"{index:03}.jpg", quality=95)
    body = b"".join(struct.pack("<Q3d3BdQ", i, i % 3, i % 5, 3 + i, 9, 9, 9, 0.5, 0) for i in range(points))
    (folder / "sparse" / "cameras.bin").write_bytes(camera)
    (folder / "sparse" / "images.bin").write_bytes(images)
    (folder / "sparse" / "points3D.bin").write_bytes(struct.pack("<Q", points) + body)
    return folder


def refusal(dense: Path) -> Refused:
    with pytest.raises(Refused) as caught:
        open_dataset(dense, 8)
    return caught.value


def test_cameras_come_in_name_order_with_the_first_of_eight_held_out(tmp_path: Path) -> None:
    dataset = open_dataset(write_workspace(tmp_path / "dense", 18), 8)
    assert [camera.name for camera in dataset.cameras] == [f"{index:03}.jpg" for index in range(18)]
    assert dataset.held_out == [0, 8, 16]
    assert sorted(dataset.training + dataset.held_out) == list(range(18))
    np.testing.assert_allclose(dataset.cameras[3].position, [0.3, 0, 0])


def test_a_photo_that_is_not_there(tmp_path: Path) -> None:
    dense = write_workspace(tmp_path / "dense", 3)
    (dense / "images" / "001.jpg").unlink()
    error = refusal(dense)
    assert error.slug is Slug.PHOTO_MISMATCH
    assert "001.jpg is missing" in str(error)


def test_a_photo_of_another_size(tmp_path: Path) -> None:
    dense = write_workspace(tmp_path / "dense", 3)
    Image.new("RGB", (HEIGHT, WIDTH)).save(dense / "images" / "002.jpg")
    error = refusal(dense)
    assert error.slug is Slug.PHOTO_MISMATCH
    assert "48 x 64 pixels and its camera 64 x 48" in str(error)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0" + b"\0" * 40])
def test_a_photo_that_is_none(tmp_path: Path, content: bytes) -> None:
    dense = write_workspace(tmp_path / "dense", 3)
    (dense / "images" / "000.jpg").write_bytes(content)
    assert refusal(dense).slug is Slug.PHOTO_MISMATCH


def test_a_photo_cut_short_is_noticed_when_it_is_decoded(tmp_path: Path) -> None:
    dense = write_workspace(tmp_path / "dense", 3)
    path = dense / "images" / "000.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    dataset = open_dataset(dense, 8)
    with pytest.raises(Refused) as caught:
        Photos(dataset.folder).at(dataset.cameras[0])
    assert caught.value.slug is Slug.PHOTO_MISMATCH
    assert "000.jpg is damaged" in str(caught.value)


@pytest.mark.parametrize(("photos", "points"), [(1, 10), (0, 10), (5, 0), (5, 3)])
def test_too_little_to_train_on(tmp_path: Path, photos: int, points: int) -> None:
    assert refusal(write_workspace(tmp_path / "dense", photos, points)).slug is Slug.BAD_RECONSTRUCTION


def test_an_empty_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path).slug is Slug.BAD_RECONSTRUCTION


@pytest.mark.parametrize("factor", [1.0, 0.75, 0.5, 0.25, 0.13])
def test_smaller_photos_keep_their_place(tmp_path: Path, factor: float) -> None:
    """The grey ramp keeps its ends and its slope at every size, also where a JPEG is decoded at a part of its size."""
    dataset = open_dataset(write_workspace(tmp_path / "dense", 2), 8)
    camera = dataset.cameras[0].rescale(factor)
    photo = Photos(dataset.folder).at(camera)
    assert photo.shape == (camera.height, camera.width, 3)
    expected = (np.arange(camera.width) + 0.5) / camera.width * 255
    np.testing.assert_allclose(photo.mean((0, 2))[1:-1], expected[1:-1], atol=4)


def test_the_cache_is_bounded_and_gives_the_same_photo(tmp_path: Path) -> None:
    dataset = open_dataset(write_workspace(tmp_path / "dense", 6), 8)
    photos = Photos(dataset.folder, budget=2 * WIDTH * HEIGHT * 3)
    first = photos.at(dataset.cameras[0])
    assert photos.at(dataset.cameras[0]) is first
    for camera in dataset.cameras:
        photos.at(camera)
    again = photos.at(dataset.cameras[0])
    assert again is not first
    np.testing.assert_array_equal(again, first)


def test_photos_are_never_enlarged() -> None:
    camera = Camera("a", 100, 50, 80.0, 80.0, 50.0, 25.0, np.eye(4))
    assert limit_size(camera, 400).width == 100
    assert limit_size(camera, None).width == 100
    assert (limit_size(camera, 40).width, limit_size(camera, 40).fx) == (40, 32.0)
