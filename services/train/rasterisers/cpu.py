"""Our own rasteriser (numba). Torch tensors and numpy arrays share their memory, so nothing is copied."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from services.train.rasterisers.protocol import NAMES, SSIM_WEIGHT, StepResult, Tensors, TrainingView
from spaceport.splats.cameras import Camera
from spaceport.splats.render import Params, SimdRasteriser
from spaceport.splats.sh import C0


class CpuRasteriser:
    """`Rasteriser` on the CPU.

    Gradients and radii are views of the rasteriser's buffers: valid until the next call.

    Args:
        threads: of one render; for the same number gradients are the same, bit for bit.
        antialiased: opacities make up for the blur of the projection (Mip-Splatting).
    """

    device = torch.device("cpu")

    def __init__(self, threads: int | None = None, *, antialiased: bool = False) -> None:
        self._simd = SimdRasteriser(threads, antialiased)

    def step(self, parameters: Tensors, view: TrainingView, sh_degree: int) -> StepResult:
        gain, bias = view.exposure.numpy()
        result = self._simd.loss_and_grads(
            _arrays(parameters), view.camera, view.load(), sh_degree, ssim_weight=SSIM_WEIGHT, exposure=(gain, bias)
        )
        return StepResult(
            loss=torch.tensor(result.loss),
            grads={name: _tensor(result.grads[name]) for name in NAMES},
            exposure_grad=torch.from_numpy(np.stack([result.grads["gain"], result.grads["bias"]])),
            radii=_tensor(result.radii),
            means2d_grads=_tensor(result.means2d_grads),
        )

    def blend_weights(self, parameters: Tensors, camera: Camera) -> torch.Tensor:
        """From the gradient of the mean colour: with all Gaussians grey, that of each sh0 is its weight times C0."""
        grey = parameters | {"sh0": torch.zeros_like(parameters["sh0"])}
        black = np.zeros((camera.height, camera.width, 3), np.uint8)
        grads = self._simd.loss_and_grads(_arrays(grey), camera, black, 0, ssim_weight=0.0).grads
        return _tensor(grads["sh0"]).sum((1, 2)) * (camera.height * camera.width / C0)

    def update(
        self,
        parameters: Tensors,
        moments: tuple[Tensors, Tensors],
        grads: Tensors,
        learning_rates: dict[str, float],
        steps: int,
    ) -> None:
        """Adam, with the threads of the rasteriser."""
        exp_avg, exp_avg_sq = moments
        self._simd.adam(
            _arrays(parameters), (_arrays(exp_avg), _arrays(exp_avg_sq)), _arrays(grads), learning_rates, steps
        )

    def render(self, parameters: Tensors, camera: Camera, sh_degree: int) -> npt.NDArray[np.float32]:
        picture: npt.NDArray[np.float32] = self._simd.render(_arrays(parameters), camera, sh_degree)
        return picture


def _arrays(parameters: Tensors) -> Params:
    return {name: parameters[name].detach().numpy() for name in NAMES}


def _tensor(array: npt.NDArray[np.float32]) -> torch.Tensor:
    """A tensor on the same memory. Torch has no read-only tensors and warns of such arrays; nothing writes to these."""
    view = array.view()
    view.setflags(write=True)
    return torch.from_numpy(view)
