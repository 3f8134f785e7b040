"""The alignment of a model: the similarity that moves it, and what the report says of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from services.sfm.georeference.up.combine import UpEstimate
from services.sfm.georeference.wgs84 import Array
from spaceport.pipeline.reports.sfm import Finding, Georeference

METRIC_SHARE: Final = 0.05  # median residual to extent, up to which metres may be trusted
PRIOR_MODEL_AXES: Final = "those of the given model"
ENU_AXES: Final = "x east, y north, z up, metres"
ENU_CRS: Final = "local east-north-up on WGS84; origin in EPSG:4979, to_ecef into EPSG:4978"


@dataclass(frozen=True, eq=False)
class PositionTarget:
    """Where a photo was taken by its position, and the standard deviation of that, each [3]: metres east, north, up.

    In the frame of the alignment, the clock's shift and the system of heights mended. Up is NaN where it says nothing.
    """

    place: Array
    std: Array


@dataclass(frozen=True, eq=False)
class Alignment:
    """A `pycolmap.Sim3d` that moves the model into its final frame, and the georeference of that frame."""

    similarity: Any
    georeference: Georeference
    findings: list[Finding] = field(default_factory=list)
    positions: dict[str, PositionTarget] = field(default_factory=dict)
    """By file, of the photos whose position decided."""
    up: UpEstimate | None = None
    """How z of the final frame was decided, in the model's frame."""

    def without_control_points(self, reason: str) -> Alignment:
        """The same, with the reason why control points did not decide."""
        return replace(self, georeference=self.georeference.model_copy(update={"control_points_unused": reason}))


def keep_own_frame(alignment: Alignment) -> Georeference:
    """The georeference of a model that is not moved: `to_ecef` begins in its own frame, whose unit is `unit_m`."""
    georeference, similarity = alignment.georeference, alignment.similarity
    if not georeference.aligned:
        return georeference.model_copy(update={"axes": PRIOR_MODEL_AXES})
    into_enu = np.eye(4)
    into_enu[:3] = similarity.matrix()
    return georeference.model_copy(
        update={
            "axes": PRIOR_MODEL_AXES,
            "crs": "the given model's own; to_ecef leads into EPSG:4978",
            "to_ecef": (np.array(georeference.to_ecef) @ into_enu).tolist(),
            "unit_m": float(similarity.scale),
            "metric": bool(georeference.metric and abs(similarity.scale - 1) <= METRIC_SHARE),
        }
    )
