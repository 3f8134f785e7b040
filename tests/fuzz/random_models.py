"""Models of noise, for whatever asks nothing of a model but that it is one. Here because the fuzzer runs alone."""

from __future__ import annotations

import numpy as np

from spaceport.splats.model import Gaussians


def noise(count: int, coefficients: int = 0, seed: int = 0) -> Gaussians:
    """`count` Gaussians around the origin, with so many SH coefficients a channel."""
    random = np.random.default_rng(seed)
    return Gaussians(
        means=random.normal(size=(count, 3)),
        quats=random.normal(size=(count, 4)),
        scales=random.normal(-4, 1, (count, 3)),
        opacities=random.normal(0, 1, count),
        sh0=random.normal(size=(count, 1, 3)),
        shN=random.normal(0, 0.1, (count, coefficients, 3)),
    )
