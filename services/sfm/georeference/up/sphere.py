"""Directions spread evenly over the sphere, among which a search begins."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.sfm.georeference.wgs84 import Array


def _spiral(count: int) -> Array:
    """Unit vectors [N,3]: the Fibonacci lattice (Gonzalez, "Measurement of areas on a sphere", 2010)."""
    turns = np.arange(count) + 0.5
    height, angle = 1 - 2 * turns / count, np.pi * (1 + 5**0.5) * turns
    radius = np.sqrt(1 - height**2)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle), height])


DIRECTIONS: Final = _spiral(2_000)
"""[2000,3], 4.5 degrees from each other."""
