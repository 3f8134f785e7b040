"""Which way is up in a finished model, from all that its photos and their positions say. Pure numpy."""

from __future__ import annotations

import numpy as np

from services.sfm.georeference.up.evidence import UpEvidence
from services.sfm.georeference.up.gimbal import gimbal_evidence
from services.sfm.georeference.up.held import held_evidence, level_evidence, one_way_evidence
from services.sfm.georeference.up.photos import PosedPhotos
from services.sfm.georeference.up.planes import flight_evidence, ground_evidence
from services.sfm.georeference.wgs84 import Array


def photo_evidence(photos: PosedPhotos, seed: int = 0) -> list[UpEvidence]:
    """What the photos say without their positions: angles, pictures' sides, flight and ground."""
    planes = [plane for plane in (flight_evidence(photos), ground_evidence(photos, seed)) if plane is not None]
    sources = [gimbal_evidence(photos), level_evidence(photos), held_evidence(photos)]
    return [source for source in sources if source is not None] + one_way_evidence(photos, planes)


def rotation_to_z(up: Array) -> Array:
    """The rotation [3,3] that takes the unit vector `up` to +z by the shortest way."""
    z = np.array([0.0, 0.0, 1.0])
    axis, cosine = np.cross(up, z), float(up @ z)
    if cosine < -1 + 1e-9:  # upside down: half a turn about x
        return np.diag([1.0, -1.0, -1.0])
    cross = np.array([[0.0, -axis[2], axis[1]], [axis[2], 0.0, -axis[0]], [-axis[1], axis[0], 0.0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + cosine))
