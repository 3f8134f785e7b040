"""Finishes the best model of the mappers: its last adjustments, and its place on the earth. In COLMAP's process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from services.sfm.colmap.evidence import Evidence, position_priors
from services.sfm.colmap.findings import list_findings
from services.sfm.colmap.lens_report import camera_reports, focal_witnesses, lens_findings
from services.sfm.colmap.lenses import (
    Lens,
    adjust_lenses,
    focal_priors,
    focal_uncertainty,
    with_positions,
)
from services.sfm.colmap.refine import Refinement, refine
from services.sfm.colmap.straighten import straighten
from services.sfm.georeference.alignment import Alignment
from services.sfm.georeference.control_points import ControlNetwork, fit_control_points, measure_control_points
from services.sfm.georeference.gcp_alignment import control_georeference, point_reports
from services.sfm.georeference.gps_alignment import estimate_gps_alignment, to_sim3d
from services.sfm.georeference.position_priors import MIN_PHOTOS, georeference_fields, prior_std
from services.sfm.georeference.up.combine import UpEstimate
from services.sfm.georeference.up.control import up_by_control_points
from services.sfm.georeference.up.photos import posed_photos
from services.sfm.georeference.up.report import up_findings, up_report
from services.sfm.georeference.upright import photo_evidence
from services.sfm.georeference.wgs84 import Array
from services.sfm.georeference.witnesses import Witness, contradict, height_witnesses
from services.sfm.messages import ColmapTask
from spaceport.pipeline.reports.sfm import CameraReport, Finding, Georeference


@dataclass(frozen=True)
class FinishedModel:
    """An adjusted `pycolmap.Reconstruction` in its final frame, and what the report says of it."""

    reconstruction: Any
    georeference: Georeference
    cameras: list[CameraReport] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def finish_model(task: ColmapTask, model: Any) -> FinishedModel:
    """Adjust a `pycolmap.Reconstruction` and move it into its final frame; `model` is changed, and may be left behind.

    1. Adjusted by what its photos show and what is known of the lenses. 2. Moved by one similarity onto its photos'
    positions, or turned upright. 3. Moved onto its control points. 4. Where positions or control points are more exact
    than the model, adjusted with them, and measured again: what was said of positions may have been the lens's fault.
    """
    lenses = adjust_lenses(task, model)
    alignment = _onto_positions(task, model, lenses)
    straightened = straighten(model, lenses, alignment)
    if straightened is not None:
        model, lenses = straightened.model, straightened.lenses
        alignment = straightened.report(_onto_positions(task, model, lenses))
    lags = alignment.georeference.clock_shift_s is not None  # and what was flown meanwhile is known to decimetres only
    exact = {} if lags else position_priors(task, alignment.positions)
    network, reason = _onto_control_points(task, model, _origin(alignment.georeference) if exact else None)
    evidence = Evidence(exact, network, focal_priors(model, lenses, has_positions=True))
    refinement = refine(model, evidence)
    model = refinement.model
    if refinement.is_adjusted:
        lenses = with_positions(model, lenses, refinement.priors)
    if refinement.used.positions and refinement.used.network is None:
        alignment = _onto_positions(task, model, lenses)
    georeference = _georeference(alignment, refinement)
    if reason:
        georeference = _with_unused_control_points(georeference, reason, model, task)
    up = _up(task, model, refinement) or alignment.up
    if up is not None:
        georeference = georeference.model_copy(update={"up": up_report(up)})
    witnesses = [*_height_witnesses(task, model, georeference), *focal_witnesses(model, lenses)]
    findings = [
        *alignment.findings,
        *list_findings(refinement, exact),
        *lens_findings(model, lenses),
        *(up_findings(up) if up else []),
        *(witness.finding() for witness in witnesses),
    ]
    return FinishedModel(model, contradict(georeference, witnesses), camera_reports(model, lenses), findings)


def _onto_positions(task: ColmapTask, model: Any, lenses: list[Lens]) -> Alignment:
    """Move the model onto its photos' positions, or turn it upright."""
    uncertainty = focal_uncertainty(lenses)
    alignment = estimate_gps_alignment(model, task.photos, task.options.seed, focal_uncertainty=uncertainty)
    model.transform(alignment.similarity)
    return alignment


def _height_witnesses(task: ColmapTask, model: Any, georeference: Georeference) -> list[Witness]:
    """The drone's barometer against a model in metres."""
    if not georeference.aligned:
        return []
    altitude_of = {photo.file: photo.relative_altitude_m for photo in task.photos}
    images = [image for image in model.images.values() if image.has_pose]
    altitudes = np.array([altitude_of.get(image.name) for image in images], dtype=np.float64)
    centres = np.array([image.projection_center() for image in images])
    return height_witnesses(altitudes, centres, np.array([point.xyz for point in model.points3D.values()]))


def _up(task: ColmapTask, model: Any, refinement: Refinement) -> UpEstimate | None:
    """How z was decided where control points did it."""
    network = refinement.used.network
    if network is None:
        return None
    places = np.array([point.place for point in network.control])
    targets = np.array([point.target for point in network.control])
    evidence = photo_evidence(posed_photos(model, task.photos), task.options.seed)
    return up_by_control_points(evidence, places, targets)


def _onto_control_points(
    task: ColmapTask, model: Any, origin: Array | None
) -> tuple[ControlNetwork | None, str | None]:
    """Move the model onto its control points. Their network, or the reason why they determine nothing.

    `origin` [3]: of the frame, where the photos' positions are to take part in the adjustment.
    """
    if not task.control_points:
        return None, None
    network = measure_control_points(model, task.control_points, origin)
    try:
        similarity, network = fit_control_points(network)
    except ValueError as reason:
        return None, str(reason)
    model.transform(to_sim3d(similarity))
    return network.measured(model), None


def _origin(georeference: Georeference) -> Array | None:
    place = georeference.origin
    return None if place is None else np.array([place.latitude, place.longitude, place.altitude_m])


def _georeference(by_positions: Alignment, refinement: Refinement) -> Georeference:
    """Of the refined model, measured anew."""
    network, priors = refinement.used.network, refinement.used.positions
    stds = {file: prior.std for file, prior in priors.items()}
    if network is not None:
        method = "similarity over control points"
        if refinement.is_adjusted:
            method = f"bundle adjustment with {len(network.control)} control points"
            method += f" and the positions of {len(priors)} photos" if priors else ""
        used = {"prior_photos": len(priors), "prior_std_m": prior_std(stds)} if priors else {}
        return control_georeference(network, method=method).model_copy(update=used)
    if not priors:
        return by_positions.georeference
    targets = {
        file: at.place for file, at in by_positions.positions.items() if file in priors and np.isfinite(at.place).all()
    }
    if len(targets) < MIN_PHOTOS:
        return by_positions.georeference
    centres = {file: refinement.model.find_image_with_name(file).projection_center() for file in targets}
    update = georeference_fields(centres, targets, stds)
    update["residuals_m"] = (by_positions.georeference.residuals_m or {}) | update["residuals_m"]
    return by_positions.georeference.model_copy(update=update)


def _with_unused_control_points(georeference: Georeference, reason: str, model: Any, task: ColmapTask) -> Georeference:
    """Control points that decide nothing still check a model that is in metres."""
    update: dict[str, Any] = {"control_points_unused": reason}
    if georeference.aligned and (origin := _origin(georeference)) is not None:
        network = measure_control_points(model, task.control_points, origin).only_checking()
        update["control_points"] = point_reports(network)
    return georeference.model_copy(update=update)
