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
        photo: [H,W,3] uint8.
        exposure: [2,3] float32, gain and bias per channel; the render is multiplied and shifted before it is compared.
    """

    camera: Camera
    photo: npt.NDArray[np.uint8]
    exposure: npt.NDArray[np.float32]


@dataclass(frozen=True)
class StepResult:
    """Loss and gradients of one view.

    Args:
        loss: of this view.
        grads: of the loss, like the parameters.
        exposure_grad: [2,3] float32.
        radii: [N] in pixels, 0 where a Gaussian was not seen in this view.
        means2d_grads: [N] length of the gradient of the projected mean, per pixel.
    """

    loss: float
    grads: Tensors
    exposure_grad: npt.NDArray[np.float32]
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
