"""What each attribute does to the picture, alone: beside its bytes, it says where a file's loss comes from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from services.compress.allocate import SMALLEST_ERROR
from services.compress.proof import Prover
from spaceport.splats.model import Gaussians

VIEWS = 2
ATTRIBUTES = {
    "means": ("means",),
    "scales": ("scales",),
    "quats": ("quats",),
    "sh0_opacity": ("sh0", "opacities"),
    "shN": ("shN",),
}
"""Which arrays of the model each part of the file holds; palette and labels make up `shN` together."""


def psnr_alone(prover: Prover, stored: Gaussians, decoded: Gaussians) -> dict[str, float]:
    """PSNR in dB, mean of the first `VIEWS` views, of the model with nothing rounded but one attribute, for each.

    `stored` and `decoded` hold the same Gaussians in the same order, before and after the file.
    """
    missing = stored.shN.shape[1] - decoded.shN.shape[1]  # bands that were left out are decoded as zeros
    after: dict[str, Any] = decoded.arrays() | {"shN": np.pad(decoded.shN, ((0, 0), (0, missing), (0, 0)))}
    found = {}
    for part, names in ATTRIBUTES.items():
        if part == "shN" and not stored.shN.shape[1]:
            continue
        errors = prover.squared_errors(replace(stored, **{name: after[name] for name in names}), VIEWS)
        found[part] = float(np.mean(-10 * np.log10(np.maximum(errors, SMALLEST_ERROR))))
    return found
