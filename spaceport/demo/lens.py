"""The demo's camera: a 14 mm lens on a sensor 17.3 mm wide, without distortion, whatever the photo's size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

FOCAL_MM: Final = 14.0
SENSOR_MM: Final = 17.3
_FILM_DIAGONAL_MM: Final = math.hypot(36.0, 24.0)


@dataclass(frozen=True)
class Lens:
    """Photos of `width` x `height` pixels; square pixels, principal point in the middle."""

    width: int
    height: int

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return FOCAL_MM / SENSOR_MM * self.width

    @property
    def centre(self) -> tuple[float, float]:
        return self.width / 2, self.height / 2

    @property
    def focal_on_film(self) -> int:
        """The focal length that sees the same diagonal on 35 mm film (CIPA DCG-001), in whole millimetres."""
        return round(self.focal * _FILM_DIAGONAL_MM / math.hypot(self.width, self.height))
