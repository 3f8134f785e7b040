"""How much of the picture a Gaussian makes up, and so how coarsely each of its attributes may be stored.

A picture's squared error is about the sum over Gaussians of weight x squared error, the weight being opacity x area.
Bytes are best spent when all contribute equally, so tolerances are proportional to 1 / sqrt(weight).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spaceport.splats.model import Gaussians
from spaceport.splats.sog.attributes.rows import row_max, row_min

MULTIPLES = 2.0 ** np.arange(6)

Weights = NDArray[np.float64]


def visual_weight(gaussians: Gaussians) -> Weights:
    """Opacity x mean projected area of each Gaussian [N], the area capped at its 99 % quantile; mean 1."""
    a, b, c = np.exp(gaussians.scales.astype(np.float64)).T
    area = (a * b + b * c + a * c) / 3
    area = np.minimum(area, np.quantile(area, 0.99))
    weight = area / (1 + np.exp(-np.clip(gaussians.opacities.astype(np.float64), -50, 50)))
    return np.asarray(np.maximum(weight / max(weight.mean(), 1e-300), 1e-6))


def position_slack(gaussians: Gaussians, weights: Weights, share: float) -> Weights:
    """How far each position may move [N], scene units: `share` of the smallest standard deviation at weight 1.

    Heavy ones get less than the square root gives: moved a little, a large Gaussian may change places with another
    in the order of depth, and the picture jumps.
    """
    smallest = np.exp(row_min(gaussians.scales).astype(np.float64))
    return np.asarray(share * smallest / np.maximum(np.sqrt(weights), weights))


def rotation_slack(gaussians: Gaussians, weights: Weights, degrees: float) -> Weights:
    """How far each Gaussian may turn [N], degrees: `degrees` at weight 1 and an axis ratio r with r - 1/r = 1.

    A sphere may turn as it likes.
    """
    largest, smallest = row_max(gaussians.scales), row_min(gaussians.scales)
    ratio = np.exp(np.clip((largest - smallest).astype(np.float64), 0.01, 20))
    return np.asarray(degrees / np.sqrt(weights) / (ratio - 1 / ratio))


def multiples(slack: NDArray[np.floating], step: float | Weights) -> Weights:
    """The power of two, 1 to 32, nearest to how many steps of the format fit into `slack`."""
    allowed = slack / step
    powers = np.zeros(allowed.shape, np.intp)
    for border in MULTIPLES[1:] / np.sqrt(2):
        powers += allowed >= border
    return np.asarray(MULTIPLES[powers])
