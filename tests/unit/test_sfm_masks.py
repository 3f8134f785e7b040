"""Masks: which are used, and what COLMAP gets of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.sfm.photos.decode import LeftOutError
from services.sfm.photos.ingest import ingest
from services.sfm.photos.masks import write_mask
from services.sfm.stage import StageProgress
from spaceport.progress import Silent

LEFT = np.zeros((120, 160), np.uint8)
LEFT[:, 80:] = 1


def written(folder: Path, image: Image.Image, suffix: str = "png") -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    image.save(folder / f"mask.{suffix}")
    write_mask(folder / f"mask.{suffix}", folder / "out.png", (80, 60))
    with Image.open(folder / "out.png") as made:
        return np.asarray(made)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("mode", ["1", "L", "RGB", "labels", "P"])
def test_masks_of_any_kind(tmp_path: Path, mode: str, suffix: str) -> None:
    if suffix == "jpg" and mode in ("1", "labels", "P"):
        return
    image = Image.fromarray(LEFT if mode == "labels" else LEFT * np.uint8(255))
    made = written(tmp_path, image if mode == "labels" else image.convert(mode), suffix)
    assert made.shape == (60, 80)
    assert not made[:, :39].any()
    assert (made[:, 41:] == 255).all()


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.random.default_rng(0).integers(0, 255, (120, 160)).astype(np.uint8), "picture, not a mask"),
        (np.zeros((120, 160), np.uint8), "black all over"),
        (np.full((160, 120), 255, np.uint8), "another shape"),
    ],
)
def test_masks_of_no_use(tmp_path: Path, pixels: np.ndarray[tuple[int, int], np.dtype[np.uint8]], words: str) -> None:
    with pytest.raises(LeftOutError, match=words):
        written(tmp_path, Image.fromarray(pixels))


def test_a_folder_of_masks_is_taken_with_its_photos(tmp_path: Path) -> None:
    source = tmp_path / "in"
    (source / "masks").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 255, (4, 120, 160, 3)).astype(np.uint8)
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).save(source / f"{number}.jpg")
        Image.fromarray(LEFT * np.uint8(255)).save(source / f"masks/{number}.jpg.png")
    Image.fromarray(LEFT * np.uint8(255)).save(source / "masks/0.png")
    Image.fromarray(LEFT * np.uint8(255)).save(source / "masks/9.png")
    Image.fromarray(noise[0]).save(source / "masks/3.jpg.png")
    result = ingest(source, tmp_path / "extracted", tmp_path / "copies", 800, StageProgress(Silent()))
    assert [photo.name for photo in result.readable] == [f"{number}.jpg" for number in range(4)]
    assert result.masked == ["0.jpg", "1.jpg", "2.jpg"]
    reasons = {file.name: file.reason for file in result.left_out}
    assert reasons.keys() == {"masks/0.png", "masks/9.png", "masks/3.jpg.png"}
    assert "no photo has its name" in reasons["masks/9.png"]
    assert result.findings[0].sentence.startswith("3 of 6 masks not used. masks/")
    assert len(list((tmp_path / "copies/masks").iterdir())) == 3
