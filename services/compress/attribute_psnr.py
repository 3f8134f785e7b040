"""What rounding each attribute alone does to the picture: beside its bytes, it shows where a file's loss comes from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from services.compress.rate_control.allocation import SMALLEST_ERROR
from services.compress.rate_control.windows import Windows
from spaceport.splats.model import Gaussians

ATTRIBUTES = {
    "means": ("means",),
    "scales": ("scales",),
    "quats": ("quats",),
    "sh0_opacity": ("sh0", "opacities"),
    "shN": ("shN",),
}
"""The model's arrays that each attribute of the file holds; centroids and labels make up `shN` together."""


def attribute_psnr(windows: Windows, decoded: Gaussians) -> dict[str, float]:
    """PSNR in dB, over the windows of the search, of the model with nothing rounded but one attribute, for each.

    `decoded` holds the rows `windows.index` of the decoded model.
    """
    stored = windows.prepared.stored
    missing = stored.shN.shape[1] - decoded.shN.shape[1]  # bands that were left out are decoded as zeros
    rounded: dict[str, Any] = decoded.arrays() | {"shN": np.pad(decoded.shN, ((0, 0), (0, missing), (0, 0)))}
    result = {}
    for attribute, names in ATTRIBUTES.items():
        if attribute == "shN" and not stored.shN.shape[1]:
            continue
        errors = windows.squared_errors(replace(stored, **{name: rounded[name] for name in names}))
        result[attribute] = float(np.mean(-10 * np.log10(np.maximum(errors, SMALLEST_ERROR))))
    return result
