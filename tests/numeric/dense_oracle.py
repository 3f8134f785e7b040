"""The renderer and its loss in their plainest form: every pixel against every Gaussian, float64, torch's autograd.

Where the fast rasteriser decides by comparison (which Gaussian counts where), the same rules hold here.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from spaceport.splats.cameras import Camera
from spaceport.splats.sh import C0, C1, C2, C3

Params = dict[str, Tensor]


def tensors(params: dict[str, np.ndarray]) -> Params:
    """The same values as float64 leaves that gather gradients."""
    return {name: torch.tensor(array, dtype=torch.float64, requires_grad=True) for name, array in params.items()}


def rotations(quats: Tensor) -> Tensor:
    w, x, y, z = (quats / quats.norm(dim=1, keepdim=True)).unbind(1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, 1).reshape(-1, 3, 3)


def basis(d: Tensor, degree: int) -> Tensor:
    x, y, z = d.unbind(1)
    values = [torch.full_like(x, C0), -C1 * y, C1 * z, -C1 * x]
    values += [C2[0] * x * y, -C2[0] * y * z, C2[1] * (2 * z * z - x * x - y * y)]
    values += [-C2[0] * x * z, C2[2] * (x * x - y * y)]
    values += [-C3[0] * y * (3 * x * x - y * y), C3[1] * x * y * z, -C3[2] * y * (4 * z * z - x * x - y * y)]
    values += [C3[3] * z * (2 * z * z - 3 * x * x - 3 * y * y), -C3[2] * x * (4 * z * z - x * x - y * y)]
    values += [C3[4] * z * (x * x - y * y), -C3[0] * x * (x * x - 3 * y * y)]
    return torch.stack(values[: (degree + 1) ** 2], 1)


def project(params: Params, camera: Camera) -> tuple[Tensor, Tensor, Tensor]:
    """Centres [N, 2] in pixels, covariances [N, 2, 2] with blur, depths [N]."""
    pose = torch.tensor(camera.world_to_camera)
    x, y, z = (params["means"] @ pose[:3, :3].T + pose[:3, 3]).unbind(1)
    wide, high = 0.15 * camera.width / camera.fx, 0.15 * camera.height / camera.fy
    rx = torch.clamp(x / z, -camera.cx / camera.fx - wide, (camera.width - camera.cx) / camera.fx + wide)
    ry = torch.clamp(y / z, -camera.cy / camera.fy - high, (camera.height - camera.cy) / camera.fy + high)
    zero = torch.zeros_like(z)
    jacobian = torch.stack([camera.fx / z, zero, -camera.fx * rx / z, zero, camera.fy / z, -camera.fy * ry / z], 1)
    shape = rotations(params["quats"]) * params["scales"].exp()[:, None, :]
    v = jacobian.reshape(-1, 2, 3) @ pose[:3, :3] @ shape
    covariances = v @ v.transpose(1, 2) + 0.3 * torch.eye(2, dtype=torch.float64)
    centres = torch.stack([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy], 1)
    return centres, covariances, z


def colours(params: Params, camera: Camera, degree: int) -> Tensor:
    d = params["means"] - torch.tensor(camera.position)
    sh = torch.cat([params["sh0"], params["shN"]], 1)[:, : (degree + 1) ** 2]
    return torch.clamp_min((basis(d / d.norm(dim=1, keepdim=True), degree)[:, :, None] * sh).sum(1) + 0.5, 0.0)


def render(
    params: Params,
    camera: Camera,
    degree: int,
    background: tuple[float, float, float] = (0, 0, 0),
    antialiased: bool = False,
) -> Tensor:
    centres, covariances, depths = project(params, camera)
    opacities = torch.sigmoid(params["opacities"])
    if antialiased:
        own = torch.linalg.det(covariances - 0.3 * torch.eye(2, dtype=torch.float64))
        opacities = opacities * torch.sqrt(own / torch.linalg.det(covariances))
    rgb = colours(params, camera, degree)
    order = [k for k in torch.argsort(depths, stable=True).tolist() if depths[k] > 0.01]
    v, u = torch.meshgrid(
        torch.arange(camera.height, dtype=torch.float64) + 0.5,
        torch.arange(camera.width, dtype=torch.float64) + 0.5,
        indexing="ij",
    )
    light = torch.ones_like(u)
    picture = torch.zeros(camera.height, camera.width, 3, dtype=torch.float64)
    for k in order:
        (a, b), (_, c) = torch.linalg.inv(covariances[k])
        dx, dy = u - centres[k, 0], v - centres[k, 1]
        raw = opacities[k] * torch.exp(-0.5 * (a * dx * dx + 2 * b * dx * dy + c * dy * dy))
        alpha = torch.where(raw >= 1 / 255, torch.clamp_max(raw, 0.999), torch.zeros_like(raw))
        picture = picture + (alpha * light)[:, :, None] * rgb[k]
        light = light * (1 - alpha)
    return picture + light[:, :, None] * torch.tensor(background, dtype=torch.float64)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    taps = torch.exp(-0.5 * (torch.arange(-5.0, 6.0, dtype=torch.float64) / 1.5) ** 2)
    window = torch.outer(taps, taps) / taps.sum() ** 2
    kernel = window.expand(3, 1, 11, 11)

    def blur(t: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(t.permute(2, 0, 1)[None], kernel, groups=3)

    ma, mb = blur(a), blur(b)
    va, vb, cov = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    above = (2 * ma * mb + 0.01**2) * (2 * cov + 0.03**2)
    return (above / ((ma * ma + mb * mb + 0.01**2) * (va + vb + 0.03**2))).mean()


def loss(picture: Tensor, photo: np.ndarray, ssim_weight: float) -> Tensor:
    target = torch.tensor(photo, dtype=torch.float64)
    l1 = (picture - target).abs().mean()
    if min(picture.shape[:2]) < 11 or math.isclose(ssim_weight, 0):
        return l1
    return (1 - ssim_weight) * l1 + ssim_weight * (1 - ssim(picture, target))
