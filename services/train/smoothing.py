"""Gaussians as wide as training drew them, for who looks from nearer than the photos that were trained on.

A rasteriser adds 0.3 square pixels to each Gaussian's covariance on the picture. Where photos were reduced for training
these are pixels of the reduced photo: at the photo's own size, or on a larger screen, the same Gaussian is drawn
thinner than it ever was compared, and the model shows needles and holes. Part of that blur is therefore kept in the
model, as Mip-Splatting's 3D smoothing filter is (Yu et al. 2023, arXiv 2311.16493), whose variance this has.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from services.train.rasterisers.protocol import Tensors
from spaceport.splats.cameras import Camera, sample_evenly

VARIANCE: Final = 0.2
"""Square pixels of the nearest photo, as trained on."""
MARGIN: Final = 0.15
"""A Gaussian this far beyond a photo's edge, as a part of its side, still reaches into it."""
NEAR: Final = 0.01
"""As in the rasteriser: what is nearer is not drawn."""
MAX_CAMERAS: Final = 200


def smooth(parameters: Tensors, cameras: list[Camera], reduction: float) -> Tensors:
    """The parameters with wider Gaussians; the same ones where photos were trained on in full.

    Args:
        parameters: in the frame of the cameras.
        cameras: of the training photos, at the size that was trained on.
        reduction: sides of the photos, as multiples of those that were trained on.
    """
    if reduction <= 1:
        return parameters
    sizes = pixel_sizes(parameters["means"].detach().cpu().numpy().astype(np.float64), cameras)
    variances = VARIANCE * (1 - reduction**-2) * sizes**2
    added = torch.tensor(variances, dtype=torch.float32, device=parameters["scales"].device)[:, None]
    return parameters | {"scales": torch.log(torch.exp(2 * parameters["scales"]) + added) / 2}


def pixel_sizes(means: npt.NDArray[np.float64], cameras: list[Camera]) -> npt.NDArray[np.float64]:
    """[N] the width of a pixel where each mean [N,3] is, in the photo that shows it from nearest; 0 where none does."""
    sizes = np.full(len(means), np.inf)
    for camera in sample_evenly(cameras, MAX_CAMERAS):
        u, v, depth = camera.project(means)
        across, down = MARGIN * camera.width, MARGIN * camera.height
        inside = (u > -across) & (u < camera.width + across) & (v > -down) & (v < camera.height + down)
        seen = inside & (depth > NEAR)
        sizes = np.where(seen, np.minimum(sizes, depth / max(camera.fx, camera.fy)), sizes)
    return np.where(np.isfinite(sizes), sizes, 0.0)
