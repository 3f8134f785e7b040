"""What goes into the rasteriser and what comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spaceport.splats.model import Floats
from spaceport.splats.render import record
from spaceport.splats.sh import degree_of_size

Params = dict[str, Floats]
"""The arrays of `Gaussians` by name: means [N, 3], quats [N, 4] wxyz of any length, scales [N, 3] log,
opacities [N] logit, sh0 [N, 1, 3], shN [N, K, 3]; all contiguous float32."""

Photo = Floats | npt.NDArray[np.uint8]

Exposure = tuple[Floats, Floats]
"""(gain [3], bias [3]): the photo is compared with gain * picture + bias."""


@dataclass(frozen=True, eq=False)
class Step:
    """What one picture says about the model.

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
    """[N] whether the Gaussian's footprint (alpha >= 1/255) meets the picture."""
    index: npt.NDArray[np.int32]
    """[M] rows that are visible, ascending."""
    radii: Floats
    """[N] half the longer side of the footprint's box in pixels; 0 for the invisible."""
    screen_grads: Floats
    """[N] length of d loss / d (projected centre in pixels); 0 for the invisible."""


NAMES = ("means", "quats", "scales", "opacities", "sh0", "shN")
Arrays = tuple[Floats, Floats, Floats, Floats, Floats, Floats]


def arrays_of(params: Params) -> Arrays:
    """The arrays in the order in which kernels take them."""
    means, quats, scales, opacities, sh0, rest = (params[name] for name in NAMES)
    return means, quats, scales, opacities, sh0, rest


def degree_of(params: Params, asked: int | None) -> int:
    """The SH degree to use, after a check that kernels, which check nothing, can trust the arrays.

    Raises:
        ValueError: for arrays of wrong shape or type, or more than can be numbered.
    """
    count, rest = len(params["means"]), params["shN"].shape[1]
    shapes = ((count, 3), (count, 4), (count, 3), (count,), (count, 1, 3), (count, rest, 3))
    for name, shape in zip(NAMES, shapes, strict=True):
        array = params[name]
        if array.shape != shape or array.dtype != np.float32 or not array.flags.c_contiguous:
            raise ValueError(f"{name} must be {list(shape)} contiguous float32")
    degree = degree_of_size(rest)
    if count * max(3 * rest, record.SIZE) >= 2**31:
        raise ValueError(f"{count} Gaussians are more than the rasteriser can number")
    return degree if asked is None else max(0, min(asked, degree))
