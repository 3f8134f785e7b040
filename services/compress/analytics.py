"""What each attribute does to the picture, alone: beside its bytes, it says where a file's loss comes from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from services.compress.tuning.allocate import SMALLEST_ERROR
from services.compress.tuning.windows import Windows
from spaceport.splats.model import Gaussians

ATTRIBUTES = {
    "means": ("means",),
    "scales": ("scales",),
    "quats": ("quats",),
    "sh0_opacity": ("sh0", "opacities"),
    "shN": ("shN",),
}
"""Which arrays of the model each part of the file holds; palette and labels make up `shN` together."""


def psnr_alone(windows: Windows, shown: Gaussians) -> dict[str, float]:
    """PSNR in dB, over the windows of the search, of the model with nothing rounded but one attribute, for each.

    `shown` is what of the decoded model the windows look at.
    """
    stored = windows.prepared.stored
    missing = stored.shN.shape[1] - shown.shN.shape[1]  # bands that were left out are decoded as zeros
    after: dict[str, Any] = shown.arrays() | {"shN": np.pad(shown.shN, ((0, 0), (0, missing), (0, 0)))}
    found = {}
    for part, names in ATTRIBUTES.items():
        if part == "shN" and not stored.shN.shape[1]:
            continue
        errors = windows.squared_errors(replace(stored, **{name: after[name] for name in names}))
        found[part] = float(np.mean(-10 * np.log10(np.maximum(errors, SMALLEST_ERROR))))
    return found
