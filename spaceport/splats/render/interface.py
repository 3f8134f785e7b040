"""The rasteriser's inputs and outputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spaceport.splats.model import Floats
from spaceport.splats.render import record
from spaceport.splats.render.kernel_arguments import Parameters
from spaceport.splats.sh import degree_of_size

Params = dict[str, Floats]
"""The arrays of `Gaussians` by name: means [N, 3], quats [N, 4] wxyz of any length, scales [N, 3] log,
opacities [N] logit, sh0 [N, 1, 3], shN [N, K, 3]; all contiguous float32."""

Photo = Floats | npt.NDArray[np.uint8]
"""[H, W, 3] float32 0 to 1, or uint8."""

Exposure = tuple[Floats, Floats]
"""(gain [3], bias [3]): the photo is compared with gain * picture + bias."""

NAMES = Parameters._fields


@dataclass(frozen=True, eq=False)
class LossAndGrads:
    """The loss of one picture and its gradients.

    All arrays are read-only views of the rasteriser's buffers: valid until its next call, copy what must live longer.
    """

    loss: float
    """(1 - w) mean |difference| + w (1 - mean SSIM)."""
    image: Floats
    """[H, W, 3] the picture before exposure, not clamped."""
    grads: Params
    """d loss / d parameter, same names and shapes as `params`; rows of invisible Gaussians are zero.
    With exposure also `gain` [3] and `bias` [3]."""
    visible: npt.NDArray[np.bool_]
    """[N] whether the Gaussian's footprint (alpha >= 1/255) intersects the picture."""
    gaussian_ids: npt.NDArray[np.int32]
    """[M] rows that are visible, ascending."""
    radii: Floats
    """[N] half the longer side of the footprint's box in pixels; 0 for the invisible."""
    means2d_grads: Floats
    """[N] length of d loss / d means2d, the projected means in pixels; 0 for the invisible."""


def to_parameters(params: Params) -> Parameters:
    """The arrays as kernels take them."""
    return Parameters(**{name: params[name] for name in NAMES})


def check_params(params: Params, sh_degree: int | None) -> int:
    """Check that kernels, which check nothing, can trust the arrays.

    Returns:
        The SH degree to use: that of `params`, at most `sh_degree`.

    Raises:
        ValueError: for arrays of wrong shape or type, or more than can be numbered.
    """
    count, size = len(params["means"]), params["shN"].shape[1]
    shapes = ((count, 3), (count, 4), (count, 3), (count,), (count, 1, 3), (count, size, 3))
    for name, shape in zip(NAMES, shapes, strict=True):
        array = params[name]
        if array.shape != shape or array.dtype != np.float32 or not array.flags.c_contiguous:
            raise ValueError(f"{name} must be {list(shape)} contiguous float32")
    degree = degree_of_size(size)
    if count * max(3 * size, record.SIZE) >= 2**31:
        raise ValueError(f"{count} Gaussians are more than the rasteriser can number")
    return degree if sh_degree is None else max(0, min(sh_degree, degree))
