"""PSNR on photos that training never saw: which photos count, and what a coarser model loses on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from random_models import gaussians

from services.compress.proving.held_out import compare_held_out, read_held_out
from services.compress.proving.proof import Prover
from services.compress.proving.views import views_of_photos
from spaceport.progress import Silent
from spaceport.splats.cameras import Camera
from spaceport.splats.model import Gaussians

WIDTH, HEIGHT = 120, 90


def camera(name: str, *, held_out: bool = True) -> Camera:
    """Twice the size of the photos."""
    return Camera(name, 2 * WIDTH, 2 * HEIGHT, 200.0, 200.0, WIDTH, HEIGHT, np.eye(4), held_out)


@pytest.fixture
def model() -> Gaussians:
    random = np.random.default_rng(3)
    return gaussians(
        means=random.uniform((-2, -1.5, 3), (2, 1.5, 4), (400, 3)),
        quats=random.normal(size=(400, 4)),
        scales=random.normal(-2.2, 0.3, (400, 3)),
        opacities=random.normal(1, 1, 400),
        sh0=random.normal(0, 1, (400, 1, 3)),
        shN=np.zeros((400, 0, 3)),
    )


@pytest.fixture
def folder(tmp_path: Path, model: Gaussians) -> Path:
    """One photo, which is a picture of the model."""
    prover = Prover(model, views_of_photos([camera("a.jpg")]), Silent())
    pixels = np.round(prover.render(model, camera("a.jpg").rescale(0.5)) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "held-out-0.jpg", quality=95, subsampling=0)
    return tmp_path


def test_a_coarser_model_loses_and_the_same_one_does_not(folder: Path, model: Gaussians) -> None:
    photos = read_held_out(folder, ["a.jpg"], [camera("b.jpg"), camera("a.jpg")])
    assert [photo.camera.name for photo in photos] == ["a.jpg"]
    prover = Prover(model, views_of_photos([camera("a.jpg")]), Silent())
    same = compare_held_out(model, model, photos, prover)
    assert same is not None and same.photos == 1 and same.loss == 0 and same.model > 35
    coarser = replace(model, sh0=np.round(model.sh0))
    worse = compare_held_out(model, coarser, photos, prover)
    assert worse is not None and worse.model == same.model and worse.loss == worse.model - worse.file > 3


@pytest.mark.parametrize(
    ("change", "cameras"),
    [
        ("nothing", [camera("b.jpg")]),
        ("nothing", [camera("a.jpg", held_out=False)]),
        ("no photo", [camera("a.jpg")]),
        ("damaged photo", [camera("a.jpg")]),
        ("photo of another shape", [camera("a.jpg")]),
        ("no picture of a photo", [camera("a.jpg")]),
    ],
)
def test_photos_that_cannot_be_used_are_left_out(folder: Path, change: str, cameras: list[Camera]) -> None:
    photo = folder / "held-out-0.jpg"
    match change:
        case "no photo":
            photo.unlink()
        case "damaged photo":
            photo.write_bytes(photo.read_bytes()[:200])
        case "photo of another shape":
            Image.new("RGB", (WIDTH, HEIGHT + 1)).save(photo)
        case "no picture of a photo":
            Image.new("RGB", (WIDTH, HEIGHT)).save(photo, "PNG")
    assert read_held_out(folder, ["a.jpg"], cameras) == [] == read_held_out(folder, [], cameras)


def test_without_photos_nothing_is_rendered(model: Gaussians) -> None:
    assert compare_held_out(model, model, [], Prover(model, views_of_photos([camera("a.jpg")]), Silent())) is None
