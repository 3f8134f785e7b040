"""What a Gaussian weighs in the photos, and what is left out for it."""

from __future__ import annotations

import pytest
import seen_scene
import torch

from services.train.pruning import LEVEL, MOST_LOSS_DB, pruned, significance
from services.train.rasterisers.cpu import CpuRasteriser
from services.train.rasterisers.protocol import Tensors
from spaceport.progress import Silent
from spaceport.splats.sh import C0

SCENE, CAMERA = seen_scene.scene(200, size=-2), seen_scene.view(96, 64).camera


def test_weights_sum_up_to_a_picture_of_white_gaussians() -> None:
    rasteriser = CpuRasteriser(2)
    white = SCENE | {"sh0": torch.full_like(SCENE["sh0"], 0.5 / C0)}
    weights = rasteriser.weights(SCENE, CAMERA)
    assert float(weights.sum()) == pytest.approx(float(rasteriser.render(white, CAMERA, 0).sum()) / 3, rel=1e-4)


def test_who_is_behind_the_camera_or_hidden_weighs_nothing() -> None:
    scene = {name: value.clone() for name, value in SCENE.items()}
    scene["means"][0] = torch.tensor([0.0, 0.0, -9.0])  # behind
    scene["means"][1], scene["scales"][1], scene["opacities"][1] = torch.tensor([0.0, 0.0, -1.0]), 1.0, 9.0  # a wall
    weights = significance(CpuRasteriser(1), scene, [CAMERA], Silent())
    assert weights[0] == 0
    assert weights[1] > 0.8 * CAMERA.width * CAMERA.height * LEVEL**2  # others stand before it
    assert weights.argmax() == 1


@pytest.mark.parametrize(
    ("free", "left"), [(7, 7), (8, 8), (9, 9), (10, 10)], ids=["as many as are tried", "fewer", "fewest", "none"]
)
def test_as_many_of_the_least_go_as_the_loss_allows(free: int, left: int) -> None:
    model = {name: value[:10] for name, value in SCENE.items()}
    weights = torch.tensor([5.0, 1, 9, 2, 8, 3, 7, 4, 6, 0])

    renders = 0

    def score(tried: Tensors, sh_degree: int) -> float:
        nonlocal renders
        renders += 1
        return 30.0 - (0 if len(tried["means"]) >= free else 2 * MOST_LOSS_DB)

    lean, cut = pruned(model, weights, 0, score)
    assert renders <= 4  # the model as it is, and three of the parts
    kept = torch.sort(torch.argsort(weights)[10 - left :]).values
    assert torch.equal(lean["means"], model["means"][kept])
    assert (cut.gaussians, cut.psnr_before, cut.psnr_after) == (10 - left, 30.0, 30.0)


def test_what_is_left_out_was_measured_even_where_less_costs_more() -> None:
    scores = {200: 30.0, 190: 29.0, 180: 29.0, 170: 30.0 - MOST_LOSS_DB, 160: 29.0, 140: 30.0}
    lean, cut = pruned(SCENE, torch.ones(200), 0, lambda tried, _: scores[len(tried["means"])])
    assert scores[len(lean["means"])] == cut.psnr_after >= cut.psnr_before - MOST_LOSS_DB


@pytest.mark.parametrize(("needed", "cut_bands"), [(0, 3), (1, 2), (3, 0)])
def test_bands_that_show_nothing_become_zero(needed: int, cut_bands: int) -> None:
    def score(tried: Tensors, sh_degree: int) -> float:
        return 30.0 if sh_degree >= needed else 29.0

    lean, cut = pruned(SCENE, torch.ones(200), 3, score)
    assert cut.sh_bands == cut_bands
    used = (needed + 1) ** 2 - 1
    assert not lean["shN"][:, used:].any()
    assert lean["shN"][:, :used].numel() == 0 or lean["shN"][:, :used].any()
