"""How much of the picture a Gaussian makes up, and so how coarsely each of its attributes may be stored.

A picture's squared error is about the sum over Gaussians of importance x squared error, where importance is
opacity x area. Bytes are best spent when all contribute equally, so tolerances are proportional to
1 / sqrt(importance).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes.rows import row_max, row_min

MULTIPLES = 2.0 ** np.arange(6)

Importance = NDArray[np.float64]


def visual_importance(gaussians: Gaussians) -> Importance:
    """Opacity x mean projected area of each Gaussian [N], the area capped at its 99 % quantile; mean 1."""
    a, b, c = np.exp(gaussians.scales.astype(np.float64)).T
    area = (a * b + b * c + a * c) / 3
    area = np.minimum(area, np.quantile(area, 0.99))
    product = area / (1 + np.exp(-np.clip(gaussians.opacities.astype(np.float64), -50, 50)))
    return np.asarray(np.maximum(product / max(product.mean(), 1e-300), 1e-6))


def position_slack(gaussians: Gaussians, importance: Importance, share: float) -> Importance:
    """How far each position may move [N], scene units: `share` of the smallest standard deviation at importance 1.

    Important ones get less than the square root gives: moved a little, a large Gaussian may swap places with another in
    the order of depth, which shows at once.
    """
    smallest = np.exp(row_min(gaussians.scales).astype(np.float64))
    return np.asarray(share * smallest / np.maximum(np.sqrt(importance), importance))


def rotation_slack(gaussians: Gaussians, importance: Importance, degrees: float) -> Importance:
    """How far each Gaussian may turn [N], degrees: `degrees` at importance 1 and an axis ratio r with r - 1/r = 1.

    The rotation of a sphere does not matter.
    """
    largest, smallest = row_max(gaussians.scales), row_min(gaussians.scales)
    ratio = np.exp(np.clip((largest - smallest).astype(np.float64), 0.01, 20))
    return np.asarray(degrees / np.sqrt(importance) / (ratio - 1 / ratio))


def multiples(slack: NDArray[np.floating], step: float | Importance) -> Importance:
    """The power of two, 1 to 32, nearest to how many steps of the format fit into `slack`."""
    allowed = slack / step
    powers = np.zeros(allowed.shape, np.intp)
    for border in MULTIPLES[1:] / np.sqrt(2):
        powers += allowed >= border
    return np.asarray(MULTIPLES[powers])
