"""Importance scores of Gaussians, and what is pruned by them."""

from __future__ import annotations

import pytest
import seen_scene
import torch

from services.train.pruning import MAX_LOSS_DB, SCORE_LEVEL, importance_scores, prune
from services.train.rasterisers.cpu import CpuRasteriser
from services.train.rasterisers.protocol import Tensors
from spaceport.progress import Silent
from spaceport.splats.sh import C0

SCENE, CAMERA = seen_scene.scene(200, size=-2), seen_scene.view(96, 64).camera


def test_weights_sum_up_to_a_picture_of_white_gaussians() -> None:
    rasteriser = CpuRasteriser(2)
    white = SCENE | {"sh0": torch.full_like(SCENE["sh0"], 0.5 / C0)}
    weights = rasteriser.blend_weights(SCENE, CAMERA)
    assert float(weights.sum()) == pytest.approx(float(rasteriser.render(white, CAMERA, 0).sum()) / 3, rel=1e-4)


def test_who_is_behind_the_camera_or_hidden_weighs_nothing() -> None:
    scene = {name: value.clone() for name, value in SCENE.items()}
    scene["means"][0] = torch.tensor([0.0, 0.0, -9.0])  # behind
    scene["means"][1], scene["scales"][1], scene["opacities"][1] = torch.tensor([0.0, 0.0, -1.0]), 1.0, 9.0  # a wall
    importance = importance_scores(CpuRasteriser(1), scene, [CAMERA], Silent())
    assert importance[0] == 0
    assert importance[1] > 0.8 * CAMERA.width * CAMERA.height * SCORE_LEVEL**2  # others are in front of it
    assert importance.argmax() == 1


@pytest.mark.parametrize(
    ("free", "left"), [(7, 7), (8, 8), (9, 9), (10, 10)], ids=["as many as are tried", "fewer", "fewest", "none"]
)
def test_as_many_of_the_least_go_as_the_loss_allows(free: int, left: int) -> None:
    model = {name: value[:10] for name, value in SCENE.items()}
    importance = torch.tensor([5.0, 1, 9, 2, 8, 3, 7, 4, 6, 0])

    renders = 0

    def score(candidate: Tensors, sh_degree: int) -> float:
        nonlocal renders
        renders += 1
        return 30.0 - (0 if len(candidate["means"]) >= free else 2 * MAX_LOSS_DB)

    pruned_model, pruning = prune(model, importance, 0, score)
    assert renders <= 4  # the model as it is, and three of the parts
    remaining = torch.sort(torch.argsort(importance)[10 - left :]).values
    assert torch.equal(pruned_model["means"], model["means"][remaining])
    assert (pruning.gaussians, pruning.psnr_before, pruning.psnr_after) == (10 - left, 30.0, 30.0)


def test_what_is_left_out_was_measured_even_where_less_costs_more() -> None:
    scores = {200: 30.0, 190: 29.0, 180: 29.0, 170: 30.0 - MAX_LOSS_DB, 160: 29.0, 140: 30.0}
    pruned_model, pruning = prune(SCENE, torch.ones(200), 0, lambda candidate, _: scores[len(candidate["means"])])
    assert scores[len(pruned_model["means"])] == pruning.psnr_after >= pruning.psnr_before - MAX_LOSS_DB


@pytest.mark.parametrize(("needed", "cut_bands"), [(0, 3), (1, 2), (3, 0)])
def test_bands_that_show_nothing_become_zero(needed: int, cut_bands: int) -> None:
    def score(candidate: Tensors, sh_degree: int) -> float:
        return 30.0 if sh_degree >= needed else 29.0

    pruned_model, pruning = prune(SCENE, torch.ones(200), 3, score)
    assert pruning.sh_bands == cut_bands
    used = (needed + 1) ** 2 - 1
    assert not pruned_model["shN"][:, used:].any()
    assert pruned_model["shN"][:, :used].numel() == 0 or pruned_model["shN"][:, :used].any()
