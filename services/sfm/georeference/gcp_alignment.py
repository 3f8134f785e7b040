"""Aligns a model to surveyed ground control points (GCPs), which are more exact than the photos' own positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from services.sfm.georeference.accuracy import assess_accuracy
from services.sfm.georeference.alignment import ENU_AXES, ENU_CRS, Alignment
from services.sfm.georeference.control_points import (
    ControlNetwork,
    MeasuredPoint,
    fit_control_points,
    measure_control_points,
)
from services.sfm.georeference.gps_alignment import to_sim3d
from services.sfm.georeference.similarity import Similarity
from services.sfm.georeference.wgs84 import Array, enu_to_ecef
from services.sfm.messages import TaskControlPoint
from spaceport.pipeline.reports.sfm import ControlPointReport, GeodeticOrigin, Georeference


def estimate_gcp_alignment(model: Any, points: list[TaskControlPoint]) -> Alignment:
    """The alignment of a `pycolmap.Reconstruction` to `points`; the model is not moved.

    The report has each control point with its residual, or the reason why it was not used.

    Raises:
        ValueError: the points determine no similarity; the message says why.
    """
    similarity, network = fit_control_points(measure_control_points(model, points))
    return Alignment(to_sim3d(similarity), control_georeference(network, similarity))


def control_georeference(
    network: ControlNetwork, similarity: Similarity | None = None, method: str = "similarity over control points"
) -> Georeference:
    """The georeference of a model in the frame of its control points, once `similarity` has moved it there."""
    similarity = similarity or Similarity(1.0, np.eye(3), np.zeros(3))
    used = [*network.control, *network.check]
    targets = np.array([point.target for point in used])
    residuals = np.array([_residual(point, similarity) for point in used])
    distances = np.linalg.norm(residuals[: len(network.control)], axis=1)
    across = float(np.median([point.point.std_m[0] for point in network.control]))
    accuracy = assess_accuracy(targets, residuals, what="control points", stated_std_m=across)
    check = residuals[len(network.control) :]
    return Georeference(
        aligned=True,
        **accuracy.fields(),
        method=method,
        axes=ENU_AXES,
        crs=ENU_CRS,
        origin=GeodeticOrigin(latitude=network.origin[0], longitude=network.origin[1], altitude_m=network.origin[2]),
        to_ecef=enu_to_ecef(network.origin).tolist(),
        extent_m=float(np.linalg.norm(np.ptp(targets, axis=0))),
        median_residual_m=float(np.median(distances)),
        max_residual_m=float(distances.max()),
        control_points=point_reports(network, similarity),
        check_rms_m=_rms(check) if len(check) else None,
    )


def point_reports(network: ControlNetwork, similarity: Similarity | None = None) -> list[ControlPointReport]:
    """Each point with its residual after `similarity` and its marks, or why it was not used."""
    similarity = similarity or Similarity(1.0, np.eye(3), np.zeros(3))
    reports = []
    for each in network.points:
        fields: dict[str, Any] = {"name": each.point.name, "role": each.role, "photos": len(each.point.observations)}
        if np.isfinite(each.place).all():
            east, north, up = map(float, _residual(each, similarity))
            fields |= {"east_m": east, "north_m": north, "up_m": up, "reprojection_px": each.reprojection_px}
        if each.left_out:
            fields["left_out"] = each.left_out
        if each.reason:
            fields["reason"] = each.reason
        reports.append(ControlPointReport(**fields))
    return reports


def _residual(point: MeasuredPoint, similarity: Similarity) -> Array:
    """Model minus survey [3], metres."""
    return np.asarray(similarity.apply(point.place[None])[0] - point.target)


def _rms(residuals: Array) -> tuple[float, float]:
    """Horizontal and vertical, of residuals [N,3]."""
    squares = np.square(residuals).mean(axis=0)
    return float(np.sqrt(squares[:2].sum())), float(np.sqrt(squares[2]))
