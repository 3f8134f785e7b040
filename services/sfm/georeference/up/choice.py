"""Which way is up once positions are heard beside the photos, and whether a full similarity to them may say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from services.sfm.georeference.similarity import Similarity
from services.sfm.georeference.up.combine import UpEstimate, combine_evidence
from services.sfm.georeference.up.evidence import UpEvidence
from services.sfm.georeference.up.tilt import tilt_evidence
from services.sfm.georeference.wgs84 import Array

EXACT: Final = np.radians(0.2)  # no photo says it as exactly
SURER: Final = 3.0  # times, from which on positions alone are as good as everything together


@dataclass(frozen=True, eq=False)
class UpChoice:
    """Which way is up in the model, once positions are heard beside the photos."""

    estimate: UpEstimate
    direction: Array
    """Of z in the final frame [3]."""
    contradicted: bool = False
    """Whether the positions' own up misses it by more than their uncertainties."""
    level: bool = True
    """Whether positions gave place, scale and north only: a full similarity would have another up."""
    tilt: float = float("nan")
    """Radians between it and the positions' own; NaN where they have none."""

    @property
    def sigma(self) -> float:
        """Standard deviation in radians."""
        return self.estimate.sigma


def by_photos(evidence: list[UpEvidence]) -> UpChoice:
    """Up without positions."""
    estimate = combine_evidence(evidence)
    return UpChoice(estimate, estimate.direction)


def choose_up(
    evidence: list[UpEvidence],
    photos: UpChoice,
    drift_m: float,
    centres: Array,
    similarity: Similarity,
    residuals: Array,
) -> UpChoice:
    """Up by the photos' `evidence` and the positions; by the positions alone where they are far surer.

    Args:
        evidence, photos: what the photos say, each source and all together.
        drift_m, centres, similarity, residuals: as `tilt_evidence` takes them.
    """
    own = tilt_evidence(centres, similarity, residuals, drift_m)
    estimate = combine_evidence([*evidence, own])
    contradicted = estimate.contradicted(own)
    tilt = float(np.arccos(np.clip(own.direction @ estimate.direction, -1.0, 1.0)))
    decides = not contradicted and own.sigmas.max() <= max(EXACT, photos.sigma / SURER)
    return UpChoice(
        estimate, own.direction if decides else estimate.direction, contradicted, level=not decides, tilt=tilt
    )
