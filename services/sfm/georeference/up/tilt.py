"""What positions say about up, with its uncertainty: a strip leaves the rotation about its line open, and bad heights
tilt everything."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.sfm.georeference.similarity import Similarity
from services.sfm.georeference.up.evidence import UpEvidence
from services.sfm.georeference.up.robust import COMMON_SHARE
from services.sfm.georeference.wgs84 import Array

POSITIONS: Final = "positions"
GOOD_SHARE: Final = 0.02  # residual to extent, up to which positions are those of the photos
BAD_SHARE: Final = 0.08
GOOD, BAD = 0.97, 0.3  # reliabilities
FREEDOM: Final = 7 / 3  # positions that a similarity uses up
DRIFT_TO_RESIDUAL: Final = 10.0  # a drift that is straight to a tenth leaves no more
RANGE_TO_SPREAD: Final = 12.0  # square of an even distribution's length to its variance


def tilt_evidence(
    centres: Array, similarity: Similarity, residuals: Array, drift_m: float, source: str = POSITIONS
) -> UpEvidence:
    """The z axis of a full similarity to positions, as evidence in the model's frame.

    Args:
        centres: [N,3] of the photos whose positions decided.
        similarity: from the model to east, north and up.
        residuals: [N,3] metres that they miss after it.
        drift_m: by which heights differ from one end of the survey to the other without showing in the residuals, at
            most; receivers do not drift along a line so straight that residuals of millimetres are left.

    The covariance is that of least squares for a small rotation, p x w for each position p about their middle, with
    the residuals of heights and of east and north each for themselves. Errors of neighbours are correlated, so no
    number of positions counts for more than twelve.
    """
    places = similarity.apply(centres)
    places = places - places.mean(axis=0)
    count = max(1.0, len(centres) - FREEDOM)
    level = max(1e-6, float(np.square(residuals[:, :2]).sum() / count / 2))
    height = max(1e-6, float(np.square(residuals[:, 2]).sum() / count))
    shared = 1 + len(centres) * COMMON_SHARE
    information = _rotation_information(places, np.array([1 / level, 1 / level, 1 / height]) / shared)
    drift_m = max(1e-3, min(drift_m, DRIFT_TO_RESIDUAL * float(np.sqrt(height))))
    drift = RANGE_TO_SPREAD / len(centres) / drift_m**2
    common = _rotation_information(places, np.full(3, drift))
    prior = np.eye(3) / np.pi**2  # a rotation that is open is not wider than the circle
    covariance = np.linalg.inv(information + prior) + np.linalg.inv(common + prior)
    squares, columns = np.linalg.eigh(covariance[:2, :2])
    # a rotation about (a, b, 0) moves z towards (b, -a, 0)
    towards = np.column_stack([columns[1], -columns[0], np.zeros(2)])
    rotation = similarity.rotation
    extent = float(np.linalg.norm(np.ptp(places, axis=0)))
    share = float(np.median(np.linalg.norm(residuals, axis=1))) / max(1e-9, extent)
    reliability = float(np.interp(share, [GOOD_SHARE, BAD_SHARE], [GOOD, BAD]))
    return UpEvidence(source, rotation[2], towards @ rotation, np.sqrt(squares), reliability)


def _rotation_information(places: Array, weights: Array) -> Array:
    """The information [3,3] about a small rotation, from `places` [N,3] and the weights of east, north and up [3]."""
    x, y, z = places.T
    zero = np.zeros_like(x)
    cross = np.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]]).transpose(2, 0, 1)  # place x rotation
    return np.asarray(np.einsum("nij,i,nik->jk", cross, weights, cross))
