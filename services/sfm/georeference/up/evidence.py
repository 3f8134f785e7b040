"""What one source says about the upward direction in a model, and with which uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.sfm.georeference.wgs84 import Array

OPEN: Final = np.radians(90.0)
"""A standard deviation from which on a source says nothing about an axis."""


@dataclass(frozen=True, eq=False)
class UpEvidence:
    """A direction with its uncertainty.

    The source may be about something else than up altogether (a slope, a facade, angles that lie): `reliability` is
    the probability beforehand that it is not.
    """

    source: str
    """For people: `gimbal angles`."""
    direction: Array
    """Of unit length [3], in the model's frame."""
    axes: Array
    """Two unit vectors [2,3] at right angles to `direction` and to each other."""
    sigmas: Array
    """Standard deviations in radians [2] of `direction` towards each of `axes`; `OPEN` or more says nothing."""
    reliability: float
    signed: bool = True
    """False where the opposite direction would do as well."""
    vote: float = 1.0
    """The power of its likelihood: less than 1 for sources that are right or wrong together."""

    @property
    def sigma_deg(self) -> float:
        """Standard deviation across the weaker axis, at most 90 degrees."""
        return float(np.degrees(min(OPEN, self.sigmas.max())))

    def deviations(self, directions: Array) -> Array:
        """By how many standard deviations the unit vectors `directions` [M,3] miss this one [M,2]."""
        along, across = directions @ self.direction, directions @ self.axes.T
        if not self.signed:  # nothing is further from an axis than a right angle
            return np.asarray(across / self.sigmas)
        length = np.linalg.norm(across, axis=1)
        # the logarithm map of the sphere; opposite to `direction` it points anywhere, so to the firmer axis
        firm = np.where(self.sigmas == self.sigmas.min(), 1.0, 0.0)
        unit = np.where(length[:, None] > 1e-12, across / np.maximum(length, 1e-12)[:, None], firm)
        return np.asarray(np.arctan2(length, along)[:, None] * unit / self.sigmas)

    def angle_deg(self, direction: Array) -> float:
        """Degrees between this direction and another, up to the sign where that is open."""
        cosine = float(self.direction @ direction)
        return float(np.degrees(np.arccos(np.clip(cosine if self.signed else abs(cosine), -1.0, 1.0))))


def isotropic(source: str, direction: Array, sigma: float, reliability: float, signed: bool = True) -> UpEvidence:
    """Evidence that is equally uncertain (`sigma`, radians) towards all sides."""
    unit = direction / np.linalg.norm(direction)
    return UpEvidence(source, unit, tangents(unit), np.array([sigma, sigma]), reliability, signed)


def tangents(directions: Array) -> Array:
    """Two unit vectors [...,2,3] at right angles to each unit vector [...,3] and to each other.

    Duff et al., "Building an orthonormal basis, revisited" (2017).
    """
    x, y, z = np.moveaxis(directions, -1, 0)
    sign = np.copysign(1.0, z)
    a = -1 / (sign + z)
    b = x * y * a
    first = np.stack([1 + sign * x * x * a, sign * b, -sign * x], axis=-1)
    return np.stack([first, np.stack([b, sign + y * y * a, -y], axis=-1)], axis=-2)
