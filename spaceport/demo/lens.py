"""The demo's camera: a 14 mm lens on a sensor 17.3 mm wide, without distortion unless it is given some.

Distortion is Brown's, with OpenCV's names and signs: D. C. Brown, "Close-Range Camera Calibration", Photogrammetric
Engineering 37 (1971).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

FOCAL_MM: Final = 14.0
SENSOR_MM: Final = 17.3
_FILM_DIAGONAL_MM: Final = math.hypot(36.0, 24.0)


class Projection(NamedTuple):
    """A lens as compiled code takes it: focal length and principal point in pixels, then the distortion."""

    focal: float
    cx: float
    cy: float
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0


@dataclass(frozen=True)
class Lens:
    """Photos of `width` x `height` square pixels; `offset` moves the principal point out of the middle."""

    width: int
    height: int
    focal_mm: float = FOCAL_MM
    offset: tuple[float, float] = (0.0, 0.0)
    """Pixels to the right and down."""
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    """k1, k2, p1, p2, k3. It must grow from the middle to the corners, as that of lenses does."""

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.focal_mm / SENSOR_MM * self.width

    @property
    def centre(self) -> tuple[float, float]:
        return self.width / 2 + self.offset[0], self.height / 2 + self.offset[1]

    @property
    def focal_on_film(self) -> int:
        """The focal length that sees the same diagonal on 35 mm film (CIPA DCG-001), in whole millimetres."""
        return round(self.focal * _FILM_DIAGONAL_MM / math.hypot(self.width, self.height))

    @property
    def projection(self) -> Projection:
        return Projection(self.focal, *self.centre, *self.distortion)

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Image points [n, 2] in pixels of `points` [n, 3], which lie before the camera, in its axes."""
        k1, k2, p1, p2, k3 = self.distortion
        x, y = points[:, 0] / points[:, 2], points[:, 1] / points[:, 2]
        square = x * x + y * y
        radial = 1.0 + square * (k1 + square * (k2 + square * k3))
        across = x * radial + 2.0 * p1 * x * y + p2 * (square + 2.0 * x * x)
        down = y * radial + p1 * (square + 2.0 * y * y) + 2.0 * p2 * x * y
        return self.focal * np.column_stack([across, down]) + self.centre
