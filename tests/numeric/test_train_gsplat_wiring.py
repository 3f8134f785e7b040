"""The CUDA path without a GPU: gsplat's function is replaced by a plain float64 renderer with the same signature.

What is proven here is all that is ours: which activations, camera, SH bands, loss and exposure gsplat is given, and
that the gradients come back under the right names. The kernels themselves are compared in tests/gpu.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
import dense_oracle

from services.train.rasterisers.cpu import CpuRasteriser
from services.train.rasterisers.gsplat_cuda import GsplatRasteriser
from services.train.rasterisers.photo_loss import photo_loss
from services.train.rasterisers.protocol import NAMES, Tensors, View
from spaceport.splats.cameras import Camera

WIDTH, HEIGHT = 48, 32


def scene(count: int = 80) -> Tensors:
    random = torch.Generator().manual_seed(3)
    shapes = {"means": (3,), "quats": (4,), "scales": (3,), "opacities": (), "sh0": (1, 3), "shN": (15, 3)}
    found = {name: torch.randn((count, *shape), generator=random) for name, shape in shapes.items()}
    found["scales"] = found["scales"] * 0.3 - 2
    found["means"] = found["means"] * 0.5
    found["shN"] = found["shN"] * 0.1
    return found


def view() -> View:
    pose = np.eye(4)
    pose[2, 3] = 3.0
    camera = Camera("a", WIDTH, HEIGHT, 45.0, 47.0, 23.0, 17.0, pose)
    photo = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return View(camera, photo, np.array([[1.1, 0.9, 1.0], [0.02, 0.0, -0.03]], np.float32))


def dense(**given: Any) -> tuple[torch.Tensor, None, dict[str, torch.Tensor]]:
    """gsplat's `rasterization`, by the plain renderer."""
    assert given["packed"] is False
    lens, degree = given["Ks"][0], given["sh_degree"]
    pose = given["viewmats"][0].numpy().astype(np.float64)
    camera = Camera(
        "a", given["width"], given["height"], *(float(lens[at]) for at in ((0, 0), (1, 1), (0, 2), (1, 2))), pose
    )
    parameters = {
        "means": given["means"].double(),
        "quats": given["quats"].double(),
        "scales": given["scales"].double().log(),
        "opacities": given["opacities"].double().logit(),
        "sh0": given["colors"][:, :1].double(),
        "shN": given["colors"][:, 1:].double(),
    }
    picture = dense_oracle.render(parameters, camera, degree).float()
    centres = given["means"][None, :, :2] * 1
    radii = torch.ones((1, len(given["means"]), 2), dtype=torch.int32)
    return picture[None], None, {"means2d": centres, "radii": radii}


@pytest.mark.parametrize("degree", [0, 2, 3])
def test_both_rasterisers_say_the_same(degree: int) -> None:
    parameters = scene()
    theirs = GsplatRasteriser(dense, torch.device("cpu")).step(parameters, view(), degree)
    ours = CpuRasteriser(2).step(parameters, view(), degree)
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)
    for name in NAMES:
        scale = float(theirs.grads[name].abs().max())
        torch.testing.assert_close(ours.grads[name], theirs.grads[name], atol=1e-3 * scale + 1e-9, rtol=1e-3)
    np.testing.assert_allclose(ours.exposure_grad, theirs.exposure_grad, rtol=1e-3, atol=1e-6)
    assert (theirs.grads["shN"][:, (degree + 1) ** 2 - 1 :] == 0).all()
    assert theirs.radii.shape == ours.radii.shape == (80,)
    assert theirs.screen_grads.shape == ours.screen_grads.shape == (80,)


def test_both_render_the_same_picture() -> None:
    parameters, camera = scene(), view().camera
    theirs = GsplatRasteriser(dense, torch.device("cpu")).render(parameters, camera, 3)
    np.testing.assert_allclose(CpuRasteriser(2).render(parameters, camera, 3), theirs, atol=1e-4)


def test_the_step_leaves_the_parameters_alone() -> None:
    parameters = scene()
    before = {name: value.clone() for name, value in parameters.items()}
    GsplatRasteriser(dense, torch.device("cpu")).step(parameters, view(), 1)
    for name in NAMES:
        assert torch.equal(parameters[name], before[name])
        assert not parameters[name].requires_grad


def test_pictures_too_small_for_the_window_have_an_l1_loss() -> None:
    a, b = torch.zeros((8, 40, 3)), torch.full((8, 40, 3), 0.25)
    assert float(photo_loss(a, b)) == 0.25


@pytest.mark.skipif(torch.cuda.is_available(), reason="here a GPU is there")
def test_without_a_gpu_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="CUDA"):
        GsplatRasteriser()
