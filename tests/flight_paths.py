"""Made flights as arrays, for tests of georeferencing: where cameras were at any time, and models in any frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flight = Callable[[Array], Array]
"""Places [N,3] in metres at times [N] in seconds."""
SPEED = 5.0


def lawnmower(length: float = 60.0, step: float = 15.0, height: float = 45.0) -> Flight:
    """Lines along north, joined at their ends, the next one to the east."""

    def places(times: Array) -> Array:
        line, along = np.divmod(SPEED * times, length + step)
        north = np.minimum(along, length)
        east = line * step + np.maximum(0, along - length)
        return np.column_stack([east, np.where(line % 2 == 0, north, length - north), np.full_like(east, height)])

    return places


def circle(radius: float = 40.0, height: float = 30.0) -> Flight:
    def places(times: Array) -> Array:
        turn = SPEED * times / radius
        return np.column_stack([radius * np.cos(turn), radius * np.sin(turn), np.full_like(turn, height)])

    return places


def strip(height: float = 45.0) -> Flight:
    def places(times: Array) -> Array:
        return np.column_stack([SPEED * times, np.zeros_like(times), np.full_like(times, height)])

    return places


def moments(photos: int, every_s: float = 2.0) -> Array:
    return np.array([number * every_s + 8.0 for number in range(photos)])


def random_rotation(random: np.random.Generator) -> Array:
    rotation: Array = np.linalg.qr(random.normal(size=(3, 3)))[0]
    return rotation if np.linalg.det(rotation) > 0 else -rotation


def as_model(places: Array, random: np.random.Generator, scale: float = 0.1, noise: float = 0.002) -> Array:
    """The same places in a frame of its own, turned, scaled and moved, as structure from motion finds them."""
    turned = scale * places @ random_rotation(random).T + random.normal(size=3)
    return np.asarray(turned + noise * random.normal(size=places.shape))
