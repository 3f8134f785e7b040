"""Up from the gimbal's angles: each photo has an upward direction of its own, and in the model they must agree."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.sfm.georeference.up.evidence import UpEvidence, isotropic
from services.sfm.georeference.up.photos import PosedPhotos
from services.sfm.georeference.up.robust import mean_direction, mean_sigma
from services.sfm.georeference.wgs84 import Array

SOURCE: Final = "gimbal angles"
HORIZON_ERROR: Final = np.radians(1.0)  # of a gimbal that was not calibrated lately
DOUBTFUL_ERROR: Final = np.radians(5.0)
MAX_SCATTER: Final = np.radians(12.0)  # on each axis; true angles agree to a degree or two
BETTER: Final = 0.6  # scatter to that of the plain reading, from which on another reading is believed
TURNED: Final = np.radians(5.0)  # cameras that turn by more have no equal angles
RELIABILITY: Final = 0.9
DOUBTFUL: Final = 0.4


def gimbal_evidence(photos: PosedPhotos) -> UpEvidence | None:
    """What DJI's GimbalPitch, Roll and YawDegree say; None where no two photos have them.

    They lie at times: 0/0/0 or one constant in all photos, a roll of 180 degrees of a gimbal that hangs upside down,
    angles of the picture as it is shown instead of as it is stored. The reading whose directions agree best is
    taken; where none agrees, the reliability is 0.
    """
    known = np.isfinite(photos.gimbals[:, 0])
    if known.sum() < 2:
        return None
    angles = photos.gimbals[known]
    readings = [mean_direction(ups) for ups in _readings(photos, known)]
    mean, scatter = readings[0]
    for other, other_scatter in readings[1:]:
        if other_scatter < BETTER * scatter:
            mean, scatter = other, other_scatter
    reliability, floor = _reliability(angles, photos.rotations[known])
    if scatter > MAX_SCATTER:
        reliability = 0.0
    return isotropic(SOURCE, mean, mean_sigma(scatter, len(angles), floor), reliability)


def _readings(photos: PosedPhotos, known: Array) -> list[Array]:
    """The upward direction in the model of each photo [K,3]: as DJI defines the angles, then other readings."""
    pitch, roll, _ = np.radians(np.nan_to_num(photos.gimbals[known])).T
    sides = [(np.asarray(photos.rotations[:, 0])[known], -photos.rotations[known, 1])]
    if (photos.orientations[known] != 1).any():
        sides.append((photos.rights[known], photos.tops[known]))
    views = photos.views[known]
    readings = []
    for right, top in sides:
        for turn in (roll, np.zeros_like(roll)) if roll.any() else (roll,):
            # a camera rolled clockwise sees up turned to the left
            level = np.cos(turn)[:, None] * top - np.sin(turn)[:, None] * right
            readings.append(np.cos(pitch)[:, None] * level + np.sin(pitch)[:, None] * views)
    return readings


def _reliability(angles: Array, rotations: Array) -> tuple[float, float]:
    """The probability that `angles` [K,3] were measured at all, and an error that they share (radians)."""
    constant = bool((np.nan_to_num(angles) == np.nan_to_num(angles[0])).all())
    if constant and not np.nan_to_num(angles[0]).any():
        return 0.0, DOUBTFUL_ERROR
    cosines = (np.einsum("nij,ij->n", rotations, rotations[0]) - 1) / 2
    turned = float(np.arccos(np.clip(cosines, -1.0, 1.0)).max()) > TURNED
    if constant and turned and np.isfinite(angles[0, 2]):
        return 0.0, DOUBTFUL_ERROR
    if not np.nan_to_num(angles[:, :2]).any():
        return DOUBTFUL, DOUBTFUL_ERROR
    return RELIABILITY, HORIZON_ERROR
