"""Opacity as the format has it: a byte of alpha, where a model has a logit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spaceport.splats.sog.attributes.rows import map_rows

OPAQUE_LOGIT = 40.0


def alpha(opacities: NDArray[np.floating]) -> NDArray[np.float64]:
    """What opacity logits [N] stand for, 0 to 1."""
    return np.asarray(1 / (1 + np.exp(-np.clip(opacities.astype(np.float64), -50, 50))))


def encode(opacities: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Opacity logits [N] as bytes, rounded."""
    return map_rows(lambda part: np.floor(255 * alpha(part) + 0.5).astype(np.uint8), opacities)


def decode(code: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Opacity logits of alpha bytes; the ends, which have no finite logit, become -40 and 40."""
    logits = logit(np.arange(256) / 255)
    return map_rows(lambda part: logits[part], code)


def logit(share: NDArray[np.floating]) -> NDArray[np.float32]:
    """The logits of opacities 0 to 1, cut at -40 and 40."""
    with np.errstate(divide="ignore"):
        logits = np.log(share) - np.log1p(-share)
    return np.asarray(np.clip(logits, -OPAQUE_LOGIT, OPAQUE_LOGIT), np.float32)
