"""gsplat's rasteriser on CUDA, differentiated by torch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from services.train.rasterisers.photo_loss import photo_loss
from services.train.rasterisers.protocol import NAMES, StepResult, Tensors, TrainingView
from spaceport.splats.cameras import Camera
from spaceport.splats.sh import C0, SHN_SIZES, degree_of_size

NEAR: Final = 0.01
"""Near plane, in units of the training frame."""
EPS2D: Final = 0.3
"""Pixels squared, added to the diagonal of each projected covariance."""


PHOTO_SHARE: Final = 0.2
"""Of a GPU's memory, for photos; the cap on Gaussians leaves more than that."""


class DevicePhotos:
    """Photos as bytes on the device, each loaded once; the least recently used go when their share of memory is full.

    Args:
        device: of the tensors.
        budget: bytes; by default a share of the GPU's memory.
    """

    def __init__(self, device: torch.device, budget: int | None = None) -> None:
        if budget is None:
            cuda = device.type == "cuda"
            memory = torch.cuda.get_device_properties(device).total_memory if cuda else 0
            budget = int(PHOTO_SHARE * memory)
        self._device = device
        self._budget = budget
        self._photos: OrderedDict[tuple[str, int, int], torch.Tensor] = OrderedDict()
        self._bytes = 0

    def at(self, view: TrainingView) -> torch.Tensor:
        """[H,W,3] uint8."""
        key = (view.camera.name, view.camera.width, view.camera.height)
        photo = self._photos.get(key)
        if photo is None:
            photo = self._photos[key] = torch.tensor(view.load(), device=self._device)
            self._bytes += photo.numel()
            while self._bytes > self._budget and len(self._photos) > 1:
                self._bytes -= self._photos.popitem(last=False)[1].numel()
        self._photos.move_to_end(key)
        return photo


class GsplatRasteriser:
    """`Rasteriser` on a GPU.

    A step waits for nothing: photos are bytes on the device, and its results stay there.

    Not packed: with one camera that saves memory only where few Gaussians are seen, and costs a sort and the plain
    shape of radii and gradients. No `absgrad`: MCMC does not split by gradients. SSIM is two separable convolutions:
    `fused-ssim` is not on PyPI.

    Args:
        rasterization: gsplat's function, or one with its signature: for tests on machines without a GPU.
        device: of the tensors.
        antialiased: opacities make up for the blur of the projection (Mip-Splatting).
        mark: called with a part's name when its work has been queued; for benchmarks.

    Raises:
        RuntimeError: there is no CUDA device, and no other function was passed.
    """

    def __init__(
        self,
        rasterization: Callable[..., Any] | None = None,
        device: torch.device | None = None,
        *,
        antialiased: bool = False,
        mark: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._mode = "antialiased" if antialiased else "classic"
        self.device = device or torch.device("cuda")
        self._rasterization = rasterization or _gsplat_rasterization()
        self._mark = mark
        self._photos = DevicePhotos(self.device)
        self._camera_tensors: dict[tuple[Any, ...], tuple[torch.Tensor, torch.Tensor]] = {}
        torch.backends.cudnn.allow_tf32 = False  # SSIM subtracts squares of almost the same size

    update = None

    def step(self, parameters: Tensors, view: TrainingView, sh_degree: int) -> StepResult:
        leaves = {name: parameters[name].detach().requires_grad_(True) for name in NAMES}
        exposure = view.exposure.detach().to(self.device, copy=True).requires_grad_(True)
        photo = self._photos.at(view).float() / 255
        self._mark("photo")
        picture, info = self._rasterise(leaves, view.camera, sh_degree)
        info["means2d"].retain_grad()
        self._mark("rasterisation forward")
        loss = photo_loss(picture * exposure[0] + exposure[1], photo)
        self._mark("loss forward")
        loss.backward()
        self._mark("backward")
        result = StepResult(
            loss=loss.detach(),
            grads={name: _grad(leaf) for name, leaf in leaves.items()},
            exposure_grad=_grad(exposure),
            radii=info["radii"][0].amax(-1).float(),
            means2d_grads=_grad(info["means2d"])[0].norm(dim=-1),
        )
        self._mark("results")
        return result

    def blend_weights(self, parameters: Tensors, camera: Camera) -> torch.Tensor:
        """From the gradient of the sum of colours: with all Gaussians grey, that of each sh0 is its weight times C0."""
        grey = torch.zeros_like(parameters["sh0"]).requires_grad_(True)
        picture, _ = self._rasterise({name: parameters[name].detach() for name in NAMES} | {"sh0": grey}, camera, 0)
        picture.sum().backward()
        return _grad(grey).sum((1, 2)) / (3 * C0)

    def render(self, parameters: Tensors, camera: Camera, sh_degree: int) -> npt.NDArray[np.float32]:
        with torch.no_grad():
            picture, _ = self._rasterise({name: parameters[name] for name in NAMES}, camera, sh_degree)
            pixels: npt.NDArray[np.float32] = picture.cpu().numpy()
        return pixels

    def _rasterise(
        self, leaves: Tensors, camera: Camera, sh_degree: int
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The picture [H,W,3] on a black background, and gsplat's intermediate results."""
        coefficients = SHN_SIZES[sh_degree]
        viewmats, intrinsics = self._matrices(camera)
        pictures, _, info = self._rasterization(
            means=leaves["means"],
            quats=leaves["quats"],
            scales=torch.exp(leaves["scales"]),
            opacities=torch.sigmoid(leaves["opacities"]),
            colors=torch.cat([leaves["sh0"], leaves["shN"][:, :coefficients]], dim=1),
            viewmats=viewmats,
            Ks=intrinsics,
            width=camera.width,
            height=camera.height,
            sh_degree=min(sh_degree, degree_of_size(leaves["shN"].shape[1])),
            near_plane=NEAR,
            eps2d=EPS2D,
            packed=False,
            rasterize_mode=self._mode,
        )
        return pictures[0], info

    def _matrices(self, camera: Camera) -> tuple[torch.Tensor, torch.Tensor]:
        """gsplat's viewmats [1,4,4] and Ks [1,3,3] on the device, uploaded once for each camera."""
        fx, fy, cx, cy = camera.fx, camera.fy, camera.cx, camera.cy
        key = (fx, fy, cx, cy, camera.world_to_camera.tobytes())
        if key not in self._camera_tensors:
            intrinsics = [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]
            self._camera_tensors[key] = (
                torch.tensor(camera.world_to_camera, dtype=torch.float32, device=self.device)[None],
                torch.tensor(intrinsics, dtype=torch.float32, device=self.device)[None],
            )
        return self._camera_tensors[key]


def _grad(leaf: torch.Tensor) -> torch.Tensor:
    """The gradient, zeros where nothing flowed."""
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def _gsplat_rasterization() -> Callable[..., Any]:
    if not torch.cuda.is_available():  # gsplat's own message would be about a missing compiler
        raise RuntimeError("gsplat needs a CUDA device, and there is none")
    import gsplat  # noqa: PLC0415 - builds its CUDA code at first use

    rasterization: Callable[..., Any] = gsplat.rasterization
    return rasterization
