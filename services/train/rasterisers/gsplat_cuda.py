"""gsplat's rasteriser on CUDA, differentiated by torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from services.train.rasterisers.photo_loss import photo_loss
from services.train.rasterisers.protocol import NAMES, Step, Tensors, View
from spaceport.splats.cameras import Camera
from spaceport.splats.sh import C0, SHN_SIZES, degree_of_size

NEAR = 0.01
BLUR = 0.3


class GsplatRasteriser:
    """`Rasteriser` on a GPU.

    Not packed: with one camera that saves memory only where few Gaussians are seen, and costs a sort and the plain
    shape of radii and gradients. No `absgrad`: MCMC does not split by gradients. SSIM is two separable convolutions:
    `fused-ssim` is not on PyPI.

    Args:
        rasterization: gsplat's function, or one with its signature; given only by tests on machines without a GPU.
        device: of the tensors.
        antialiased: opacities make up for the blur of the projection (Mip-Splatting).

    Raises:
        RuntimeError: no CUDA device is there, and no other function was given.
    """

    def __init__(
        self,
        rasterization: Callable[..., Any] | None = None,
        device: torch.device | None = None,
        *,
        antialiased: bool = False,
    ) -> None:
        self._mode = "antialiased" if antialiased else "classic"
        self.device = device or torch.device("cuda")
        self._rasterization = rasterization or _from_gsplat()
        torch.backends.cudnn.allow_tf32 = False  # SSIM subtracts squares of almost the same size

    update = None

    def step(self, parameters: Tensors, view: View, sh_degree: int) -> Step:
        leaves = {name: parameters[name].detach().requires_grad_(True) for name in NAMES}
        exposure = torch.tensor(view.exposure, device=self.device, requires_grad=True)
        picture, facts = self._draw(leaves, view.camera, sh_degree)
        facts["means2d"].retain_grad()
        photo = torch.from_numpy(view.photo).to(self.device, torch.float32) / 255
        loss = photo_loss(picture * exposure[0] + exposure[1], photo)
        loss.backward()
        return Step(
            loss=float(loss.detach()),
            grads={name: _grad(leaf) for name, leaf in leaves.items()},
            exposure_grad=_grad(exposure).cpu().numpy(),
            radii=facts["radii"][0].amax(-1).float(),
            screen_grads=_grad(facts["means2d"])[0].norm(dim=-1),
        )

    def weights(self, parameters: Tensors, camera: Camera) -> torch.Tensor:
        """From the gradient of the sum of colours: with all Gaussians grey, that of each sh0 is its weight times C0."""
        grey = torch.zeros_like(parameters["sh0"]).requires_grad_(True)
        picture, _ = self._draw({name: parameters[name].detach() for name in NAMES} | {"sh0": grey}, camera, 0)
        picture.sum().backward()
        return _grad(grey).sum((1, 2)) / (3 * C0)

    def render(self, parameters: Tensors, camera: Camera, sh_degree: int) -> npt.NDArray[np.float32]:
        with torch.no_grad():
            picture, _ = self._draw({name: parameters[name] for name in NAMES}, camera, sh_degree)
            pixels: npt.NDArray[np.float32] = picture.cpu().numpy()
        return pixels

    def _draw(self, leaves: Tensors, camera: Camera, sh_degree: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        used = SHN_SIZES[sh_degree]
        pose = torch.tensor(camera.world_to_camera, dtype=torch.float32, device=self.device)
        lens = torch.tensor(
            [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]], dtype=torch.float32, device=self.device
        )
        pictures, _, facts = self._rasterization(
            means=leaves["means"],
            quats=leaves["quats"],
            scales=torch.exp(leaves["scales"]),
            opacities=torch.sigmoid(leaves["opacities"]),
            colors=torch.cat([leaves["sh0"], leaves["shN"][:, :used]], dim=1),
            viewmats=pose[None],
            Ks=lens[None],
            width=camera.width,
            height=camera.height,
            sh_degree=min(sh_degree, degree_of_size(leaves["shN"].shape[1])),
            near_plane=NEAR,
            eps2d=BLUR,
            packed=False,
            rasterize_mode=self._mode,
        )
        return pictures[0], facts


def _grad(leaf: torch.Tensor) -> torch.Tensor:
    """The gradient, zeros where nothing flowed."""
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def _from_gsplat() -> Callable[..., Any]:
    if not torch.cuda.is_available():  # gsplat's own message would speak of a missing compiler
        raise RuntimeError("gsplat needs a CUDA device, and none is there")
    import gsplat  # noqa: PLC0415 - builds its CUDA code at first use

    rasterization: Callable[..., Any] = gsplat.rasterization
    return rasterization
