"""Our rasteriser on the CPU against gsplat's on CUDA: same picture, loss and gradients, and a whole training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from services.train.mcmc import refine
from services.train.optimiser import Optimiser
from services.train.rasterisers.cpu import CpuRasteriser
from services.train.rasterisers.protocol import NAMES, Tensors, View
from spaceport.splats.cameras import Camera

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

WIDTH, HEIGHT, COUNT = 320, 240, 3_000


def scene() -> Tensors:
    random = torch.Generator().manual_seed(3)
    shapes = {"means": (3,), "quats": (4,), "scales": (3,), "opacities": (), "sh0": (1, 3), "shN": (15, 3)}
    found = {name: torch.randn((COUNT, *shape), generator=random) for name, shape in shapes.items()}
    found["scales"] = found["scales"] * 0.3 - 3
    found["means"] = found["means"] * 0.5
    found["shN"] = found["shN"] * 0.1
    return found


def view() -> View:
    pose = np.eye(4)
    pose[2, 3] = 3.0
    camera = Camera("a", WIDTH, HEIGHT, 300.0, 310.0, 158.0, 121.0, pose)
    photo = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return View(camera, photo, np.array([[1.1, 0.9, 1.0], [0.02, 0.0, -0.03]], np.float32))


def on_gpu(parameters: Tensors) -> Tensors:
    return {name: value.cuda() for name, value in parameters.items()}


def gsplat_rasteriser():
    from services.train.rasterisers.gsplat_cuda import GsplatRasteriser  # noqa: PLC0415

    return GsplatRasteriser()


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_same_picture(degree: int) -> None:
    parameters, camera = scene(), view().camera
    theirs = gsplat_rasteriser().render(on_gpu(parameters), camera, degree)
    ours = CpuRasteriser().render(parameters, camera, degree)
    assert np.abs(ours - theirs).mean() < 1e-4
    assert np.quantile(np.abs(ours - theirs), 0.999) < 1e-3  # a pixel may fall on the other side of alpha = 1/255


@pytest.mark.parametrize("degree", [0, 3])
def test_same_loss_and_gradients(degree: int) -> None:
    parameters = scene()
    theirs = gsplat_rasteriser().step(on_gpu(parameters), view(), degree)
    ours = CpuRasteriser().step(parameters, view(), degree)
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-3)
    for name in NAMES:
        a, b = ours.grads[name].flatten(), theirs.grads[name].cpu().flatten()
        assert float((a - b).norm() / b.norm().clamp_min(1e-12)) < 1e-2, name
    np.testing.assert_allclose(ours.exposure_grad, theirs.exposure_grad, rtol=1e-2, atol=1e-5)
    both = (ours.screen_grads > 0) & (theirs.screen_grads.cpu() > 0)
    ratio = ours.screen_grads[both] / theirs.screen_grads.cpu()[both]
    assert float(ratio.median()) == pytest.approx(1, abs=0.01)


def test_refinement_and_optimiser_run_on_the_gpu() -> None:
    optimiser = Optimiser(on_gpu(scene()))
    rasteriser = gsplat_rasteriser()
    rates = dict.fromkeys(NAMES, 1e-3)
    first = rasteriser.step(optimiser.parameters, view(), 3).loss
    for _ in range(50):
        optimiser.step(rasteriser.step(optimiser.parameters, view(), 3).grads, rates)
    refine(optimiser, COUNT + 500, torch.Generator(device="cuda").manual_seed(0))
    assert len(optimiser) == COUNT + 500
    assert rasteriser.step(optimiser.parameters, view(), 3).loss < first
