"""Finishes the best model of the mappers: the last adjustment, then its place on the earth. In COLMAP's process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from services.sfm.colmap.bundle_adjustment import robust_bundle_adjustment
from services.sfm.georeference.alignment import Alignment
from services.sfm.georeference.gcp_alignment import estimate_gcp_alignment
from services.sfm.georeference.gps_alignment import estimate_gps_alignment
from services.sfm.messages import ColmapTask
from spaceport.pipeline.reports.sfm import Finding, Georeference


@dataclass(frozen=True)
class FinishedModel:
    """What the report says of a model that was adjusted and moved to its final frame."""

    georeference: Georeference
    findings: list[Finding] = field(default_factory=list)


def finish_model(task: ColmapTask, model: Any) -> FinishedModel:
    """Adjust a `pycolmap.Reconstruction` and move it into its final frame, in place."""
    robust_bundle_adjustment(model)
    alignment = _align(task, model)
    return FinishedModel(alignment.georeference, alignment.findings)


def _align(task: ColmapTask, model: Any) -> Alignment:
    """Move `model` to where its control points, else its photos' positions say; else turn it upright."""
    alignment = estimate_gps_alignment(model, task.photos, task.options.seed)
    model.transform(alignment.similarity)
    if not task.control_points:
        return alignment
    try:
        by_gcps = estimate_gcp_alignment(model, task.control_points)
    except ValueError as reason:
        return alignment.without_control_points(str(reason))
    model.transform(by_gcps.similarity)
    return by_gcps
