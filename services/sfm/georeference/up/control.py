"""Up of a model that lies on its control points: they decide it, and the photos are heard as witnesses."""

from __future__ import annotations

from typing import Final

import numpy as np

from services.sfm.georeference.similarity import Similarity
from services.sfm.georeference.up.combine import UpEstimate
from services.sfm.georeference.up.evidence import UpEvidence
from services.sfm.georeference.up.tilt import tilt_evidence
from services.sfm.georeference.wgs84 import Array

CONTROL_POINTS: Final = "control points"


def up_by_control_points(evidence: list[UpEvidence], places: Array, targets: Array) -> UpEstimate:
    """z, with the uncertainty that `places` [N,3] of the points in the final frame leave it.

    `evidence`: what the photos say in that frame; `targets` [N,3] is where the points were surveyed.
    """
    identity = Similarity(1.0, np.eye(3), np.zeros(3))
    own = tilt_evidence(places, identity, places - targets, drift_m=0.0, source=CONTROL_POINTS)
    return UpEstimate(np.array([0.0, 0.0, 1.0]), float(own.sigmas.max()), [*evidence, own])
