"""Our rasteriser on the CPU against gsplat's on CUDA: same picture, loss and gradients, and a whole training."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "numeric"))
import seen_scene

from services.train.mcmc import McmcParameters, refine
from services.train.optimiser import Optimiser
from services.train.rasterisers.cpu import CpuRasteriser
from services.train.rasterisers.protocol import NAMES, Rasteriser, Tensors

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

COUNT = 3_000
PARAMETERS = seen_scene.scene(COUNT, size=-3, opacity=-2)
"""So faint that light is left everywhere: gsplat leaves out the Gaussian that would end a pixel, we do not."""
VIEW = seen_scene.view(320, 240)


def on_gpu(parameters: Tensors) -> Tensors:
    return {name: value.cuda() for name, value in parameters.items()}


def gsplat_rasteriser(antialiased: bool = False) -> Rasteriser:
    from services.train.rasterisers.gsplat_cuda import GsplatRasteriser  # noqa: PLC0415

    rasteriser: Rasteriser = GsplatRasteriser(antialiased=antialiased)
    return rasteriser


@pytest.mark.parametrize(("degree", "antialiased"), [(0, False), (1, False), (2, False), (3, False), (3, True)])
def test_same_picture(degree: int, antialiased: bool) -> None:
    theirs = gsplat_rasteriser(antialiased).render(on_gpu(PARAMETERS), VIEW.camera, degree)
    ours = CpuRasteriser(antialiased=antialiased).render(PARAMETERS, VIEW.camera, degree)
    assert np.abs(ours - theirs).mean() < 1e-4
    assert np.quantile(np.abs(ours - theirs), 0.999) < 1e-3  # a pixel may fall on the other side of alpha = 1/255


@pytest.mark.parametrize(("degree", "antialiased"), [(0, False), (3, False), (3, True)])
def test_same_loss_and_gradients(degree: int, antialiased: bool) -> None:
    theirs = gsplat_rasteriser(antialiased).step(on_gpu(PARAMETERS), VIEW, degree)
    ours = CpuRasteriser(antialiased=antialiased).step(PARAMETERS, VIEW, degree)
    assert float(ours.loss) == pytest.approx(float(theirs.loss), rel=1e-3)
    for name in NAMES:
        a, b = ours.grads[name].flatten(), theirs.grads[name].cpu().flatten()
        assert float((a - b).norm() / b.norm().clamp_min(1e-12)) < 1e-3, name
    np.testing.assert_allclose(ours.exposure_grad, theirs.exposure_grad.cpu(), rtol=1e-3, atol=1e-5)
    both = (ours.means2d_grads > 0) & (theirs.means2d_grads.cpu() > 0)
    ratio = ours.means2d_grads[both] / theirs.means2d_grads.cpu()[both]
    assert float(ratio.median()) == pytest.approx(1, abs=0.01)


def test_refinement_and_optimiser_run_on_the_gpu() -> None:
    optimiser = Optimiser(on_gpu(PARAMETERS))
    rasteriser = gsplat_rasteriser()
    learning_rates = dict.fromkeys(NAMES, 1e-3)
    first = rasteriser.step(optimiser.parameters, VIEW, 3).loss
    for _ in range(50):
        optimiser.step(rasteriser.step(optimiser.parameters, VIEW, 3).grads, learning_rates)
    refine(optimiser, COUNT + 500, McmcParameters(), torch.Generator(device="cuda").manual_seed(0))
    assert len(optimiser) == COUNT + 500
    assert rasteriser.step(optimiser.parameters, VIEW, 3).loss < first


def test_same_weights() -> None:
    theirs = gsplat_rasteriser().blend_weights(on_gpu(PARAMETERS), VIEW.camera).cpu()
    ours = CpuRasteriser().blend_weights(PARAMETERS, VIEW.camera)
    assert float((ours - theirs).norm() / ours.norm()) < 1e-3
