"""Models made of any arrays, noise among them. Here because the fuzzer runs alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from spaceport.splats.model import Gaussians


def gaussians(**arrays: Any) -> Gaussians:
    """A model of arrays of any float type: the constructor converts them, but its annotations ask for float32."""
    return Gaussians(**arrays)


def noise(count: int, coefficients: int = 0, seed: int = 0) -> Gaussians:
    """`count` Gaussians around the origin, with so many SH coefficients a channel."""
    random = np.random.default_rng(seed)
    return gaussians(
        means=random.normal(size=(count, 3)),
        quats=random.normal(size=(count, 4)),
        scales=random.normal(-4, 1, (count, 3)),
        opacities=random.normal(0, 1, count),
        sh0=random.normal(size=(count, 1, 3)),
        shN=random.normal(0, 0.1, (count, coefficients, 3)),
    )
