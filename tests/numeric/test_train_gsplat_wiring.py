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
import seen_scene

from services.train.rasterisers.cpu import CpuRasteriser
from services.train.rasterisers.gsplat_cuda import GsplatRasteriser
from services.train.rasterisers.photo_loss import photo_loss
from services.train.rasterisers.protocol import NAMES
from spaceport.splats.cameras import Camera

CPU = torch.device("cpu")
PARAMETERS, VIEW = seen_scene.scene(80, size=-2), seen_scene.view(48, 32)


def dense(**given: Any) -> tuple[torch.Tensor, None, dict[str, torch.Tensor]]:
    """gsplat's `rasterization`, by the plain renderer."""
    assert given["packed"] is False
    antialiased = {"classic": False, "antialiased": True}[given["rasterize_mode"]]
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
    picture = dense_oracle.render(parameters, camera, degree, antialiased=antialiased).float()
    centres = given["means"][None, :, :2] * 1
    radii = torch.ones((1, len(given["means"]), 2), dtype=torch.int32)
    return picture[None], None, {"means2d": centres, "radii": radii}


@pytest.mark.parametrize(("degree", "antialiased"), [(0, False), (2, False), (3, False), (3, True)])
def test_both_rasterisers_say_the_same(degree: int, antialiased: bool) -> None:
    theirs = GsplatRasteriser(dense, CPU, antialiased=antialiased).step(PARAMETERS, VIEW, degree)
    ours = CpuRasteriser(2, antialiased=antialiased).step(PARAMETERS, VIEW, degree)
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)
    for name in NAMES:
        scale = float(theirs.grads[name].abs().max())
        torch.testing.assert_close(ours.grads[name], theirs.grads[name], atol=1e-3 * scale + 1e-9, rtol=1e-3)
    np.testing.assert_allclose(ours.exposure_grad, theirs.exposure_grad, rtol=1e-3, atol=1e-6)
    assert (theirs.grads["shN"][:, (degree + 1) ** 2 - 1 :] == 0).all()
    assert theirs.radii.shape == ours.radii.shape == (80,)
    assert theirs.screen_grads.shape == ours.screen_grads.shape == (80,)


def test_both_render_the_same_picture() -> None:
    theirs = GsplatRasteriser(dense, CPU).render(PARAMETERS, VIEW.camera, 3)
    np.testing.assert_allclose(CpuRasteriser(2).render(PARAMETERS, VIEW.camera, 3), theirs, atol=1e-4)


@pytest.mark.parametrize("antialiased", [False, True])
def test_both_weigh_the_same(antialiased: bool) -> None:
    theirs = GsplatRasteriser(dense, CPU, antialiased=antialiased).weights(PARAMETERS, VIEW.camera)
    ours = CpuRasteriser(2, antialiased=antialiased).weights(PARAMETERS, VIEW.camera)
    assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.max()))


def test_the_step_leaves_the_parameters_alone() -> None:
    before = {name: value.clone() for name, value in PARAMETERS.items()}
    GsplatRasteriser(dense, CPU).step(PARAMETERS, VIEW, 1)
    for name in NAMES:
        assert torch.equal(PARAMETERS[name], before[name])
        assert not PARAMETERS[name].requires_grad


def test_pictures_too_small_for_the_window_have_an_l1_loss() -> None:
    a, b = torch.zeros((8, 40, 3)), torch.full((8, 40, 3), 0.25)
    assert float(photo_loss(a, b)) == 0.25


@pytest.mark.skipif(torch.cuda.is_available(), reason="here a GPU is there")
def test_without_a_gpu_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="CUDA"):
        GsplatRasteriser()
