"""Models of photos that were reduced for training are as wide on larger pictures as training drew them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ring_scene import OPTIONS, SIDE, make_truth

from services.train.plan import make_plan
from services.train.rasterisers.cpu import CpuRasteriser
from services.train.rasterisers.protocol import Tensors
from services.train.smoothing import MARGIN, VARIANCE, pixel_sizes, smooth
from services.train.stage import run
from spaceport.progress import Silent
from spaceport.splats.cameras import Camera
from spaceport.splats.formats.ply import read_ply

WIDTH, HEIGHT, FOCAL = 60, 40, 50.0
REDUCED = 64
SHORT = OPTIONS.model_copy(update={"image_size": REDUCED, "max_iterations": 20, "prune": False})


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_truth(tmp_path_factory.mktemp("ring")).source


def camera(height: float) -> Camera:
    """Looks straight down on the origin."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[2, 3] = height
    return Camera("a", WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, pose)


def needles(count: int = 200, length: float = 0.5, width: float = 0.02) -> Tensors:
    generator = torch.Generator().manual_seed(0)
    across = torch.tensor([12.0, 8.0, 0.0]) * (torch.rand((count, 3), generator=generator) - 0.5)
    return {
        "means": across,
        "quats": torch.randn((count, 4), generator=generator),
        "scales": torch.log(torch.tensor([length, width, width])).repeat(count, 1),
        "opacities": torch.full((count,), 1.0),
        "sh0": torch.randn((count, 1, 3), generator=generator),
        "shN": torch.zeros((count, 15, 3)),
    }


def test_the_nearest_photo_that_shows_a_place_sets_its_pixels() -> None:
    beside = (1 + 2 * MARGIN) * WIDTH / 2 / FOCAL * 5  # at the edge of what the lower camera shows, and its margin
    means = np.array([[0, 0, 0], [0, 0, 1], [beside - 0.01, 0, 0], [beside + 0.01, 0, 0], [500, 0, 0], [0, 0, 30]])
    expected = np.array([5, 4, 5, 20, 0, 0]) / FOCAL
    np.testing.assert_allclose(pixel_sizes(means, [camera(20.0), camera(5.0)]), expected)


@given(st.floats(1.01, 10), st.floats(-6, 1), st.floats(2, 50))
def test_the_variance_that_is_added_is_that_of_the_blur_that_is_lost(reduction: float, scale: float, z: float) -> None:
    before = needles(3) | {"scales": torch.full((3, 3), scale), "means": torch.zeros((3, 3))}
    after = smooth(before, [camera(z)], reduction)
    added = torch.exp(2 * after["scales"].double()) - torch.exp(2 * before["scales"].double())
    expected = VARIANCE * (1 - 1 / reduction**2) * (z / FOCAL) ** 2
    assert float(added.max()) == pytest.approx(expected, rel=1e-3, abs=1e-5 * float(np.exp(2 * scale)))
    assert all(after[name] is before[name] for name in before if name != "scales")


def test_photos_that_were_not_reduced_and_what_no_photo_shows_stay() -> None:
    model = needles()
    assert smooth(model, [camera(10.0)], 1.0) is model
    unseen = smooth(model, [camera(-10.0)], 4.0)
    torch.testing.assert_close(unseen["scales"], model["scales"], rtol=0, atol=1e-6)


def test_a_larger_picture_shows_what_training_saw() -> None:
    model, small = needles(), camera(10.0)
    rasteriser, large = CpuRasteriser(1), small.rescale(4)
    seen = rasteriser.render(model, small, 0)

    def difference(shown: Tensors) -> float:
        picture = rasteriser.render(shown, large, 0).reshape(HEIGHT, 4, WIDTH, 4, 3).mean((1, 3))
        return float(np.abs(picture - seen).mean())

    assert difference(smooth(model, [small], 4.0)) < 0.5 * difference(model)


def test_what_is_published_is_smoothed_by_as_much_as_photos_were_reduced(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[Tensors] = []

    def watched(parameters: Tensors, cameras: list[Camera], reduction: float) -> Tensors:
        assert len(cameras) == 14  # of the 16 photos two are held out
        assert {max(one.width, one.height) for one in cameras} == {REDUCED}
        assert reduction == SIDE / REDUCED
        before.append(parameters)
        return smooth(parameters, cameras, reduction)

    monkeypatch.setattr("services.train.publish.smooth", watched)
    run(source, tmp_path, SHORT, Silent())
    published = read_ply(tmp_path / "gaussian/model.ply").scales.astype(np.float64)
    extent = json.loads((tmp_path / "gaussian/report.json").read_text())["frame"]["extent"]
    trained = before[0]["scales"].numpy() + np.log(extent)
    assert (np.median(published - trained) > 1e-3) and (published > trained - 1e-4).all()


def test_an_antialiased_model_is_left_as_it_is(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Tensors:
        raise AssertionError("smoothed")

    monkeypatch.setattr("services.train.publish.smooth", refuse)
    run(source, tmp_path, SHORT.model_copy(update={"antialiased": True}), Silent())


def test_only_photos_that_were_reduced_count(source: Path) -> None:
    assert make_plan(source / "colmap/dense", OPTIONS).reduction == 1
    assert make_plan(source / "colmap/dense", SHORT).reduction == SIDE / REDUCED
