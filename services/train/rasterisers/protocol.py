"""What the trainer expects of a rasteriser. It does not know which one it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import torch

from spaceport.splats.cameras import Camera

Tensors = dict[str, torch.Tensor]
"""Parameters or their gradients by name: means [N,3], quats [N,4] wxyz, scales [N,3] (log), opacities [N] (logit),
sh0 [N,1,3], shN [N,K,3]; float32 on the rasteriser's device."""

Update = Callable[[Tensors, tuple[Tensors, Tensors], Tensors, dict[str, float], int], None]
"""One update by Adam, in place: parameters, their first and second moments, gradients, learning rates by name, and the
number of updates including this one."""

NAMES: Final = ("means", "quats", "scales", "opacities", "sh0", "shN")
SSIM_WEIGHT: Final = 0.2
"""Loss = (1 - w) L1 + w (1 - SSIM), as in 3DGS (Kerbl et al. 2023)."""


@dataclass(frozen=True)
class TrainingView:
    """One photo to learn from, at the size in use.

    Args:
        camera: in the training frame; its size is the photo's.
        load: the camera's photo [H,W,3] uint8; called where the rasteriser does not have it yet.
        exposure: [2,3] float32 on the rasteriser's device, gain and bias per channel; the render is multiplied and
            shifted before it is compared.
    """

    camera: Camera
    load: Callable[[], npt.NDArray[np.uint8]]
    exposure: torch.Tensor


@dataclass(frozen=True)
class StepResult:
    """Loss and gradients of one view, on the rasteriser's device: to read one of them on the host is to wait for it.

    Args:
        loss: of this view, a tensor of no dimensions.
        grads: of the loss, like the parameters.
        exposure_grad: [2,3] float32.
        radii: [N] in pixels, 0 where a Gaussian was not seen in this view.
        means2d_grads: [N] length of the gradient of the projected mean, per pixel.
    """

    loss: torch.Tensor
    grads: Tensors
    exposure_grad: torch.Tensor
    radii: torch.Tensor
    means2d_grads: torch.Tensor


class Rasteriser(Protocol):
    """Renders Gaussians, and differentiates the training loss."""

    @property
    def device(self) -> torch.device:
        """Where parameters and gradients live."""

    @property
    def update(self) -> Update | None:
        """Adam with the rasteriser's threads; None where torch's own is as good."""

    def step(self, parameters: Tensors, view: TrainingView, sh_degree: int) -> StepResult:
        """Loss and gradients of one view; SH bands above `sh_degree` are neither used nor changed."""

    def blend_weights(self, parameters: Tensors, camera: Camera) -> torch.Tensor:
        """[N] how much each Gaussian contributes to the render: its blend weights, summed over pixels."""

    def render(self, parameters: Tensors, camera: Camera, sh_degree: int) -> npt.NDArray[np.float32]:
        """The picture [H,W,3], not clamped, on a black background."""
