"""Aligns a model to surveyed ground control points (GCPs), which are more exact than the photos' own positions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pycolmap

from services.sfm.georeference.alignment import ENU_AXES, ENU_CRS, METRIC_SHARE, Alignment
from services.sfm.georeference.similarity import fit_similarity, triangulate
from services.sfm.georeference.wgs84 import Array, enu_to_ecef, median_position, to_enu
from services.sfm.messages import TaskControlPoint
from spaceport.pipeline.reports.sfm import ControlPointReport, GeodeticOrigin, Georeference


def estimate_gcp_alignment(model: Any, points: list[TaskControlPoint]) -> Alignment:
    """The alignment of a `pycolmap.Reconstruction` to `points`; the model is not moved.

    The report has each control point with its residual, or the reason why it was not used.

    Raises:
        ValueError: the points determine no similarity; the message says why.
    """
    images = {image.name: image for image in model.images.values() if image.has_pose}
    triangulated = {
        number: place
        for number, point in enumerate(points)
        if (place := _triangulate_point(model, images, point)) is not None
    }
    surveyed = np.array([point.position for point in points], dtype=np.float64).reshape(-1, 3)
    origin = median_position(surveyed)
    targets = to_enu(surveyed, origin)[list(triangulated)]
    fit = fit_similarity(np.array(list(triangulated.values())).reshape(-1, 3), targets)
    scaled_rotation = fit.similarity.scale * fit.similarity.rotation
    similarity = pycolmap.Sim3d(np.column_stack([scaled_rotation, fit.similarity.translation]))
    distances = np.linalg.norm(fit.residuals, axis=1)
    extent = float(np.linalg.norm(np.ptp(targets, axis=0)))
    residuals = dict(zip(triangulated, fit.residuals, strict=True))
    georeference = Georeference(
        aligned=True,
        metric=bool(np.median(distances) <= METRIC_SHARE * extent),
        method="similarity over control points",
        axes=ENU_AXES,
        crs=ENU_CRS,
        origin=GeodeticOrigin(latitude=origin[0], longitude=origin[1], altitude_m=origin[2]),
        to_ecef=enu_to_ecef(origin).tolist(),
        extent_m=extent,
        median_residual_m=float(np.median(distances)),
        max_residual_m=float(distances.max()),
        control_points=[_point_report(point, residuals.get(number)) for number, point in enumerate(points)],
    )
    return Alignment(similarity, georeference)


def _triangulate_point(model: Any, images: dict[str, Any], point: TaskControlPoint) -> Array | None:
    """The point [3] in the model's units, from the registered photos in which it is marked; None where they cannot."""
    origins, directions = [], []
    for file, x, y in point.observations:
        image = images.get(file)
        ray = model.cameras[image.camera_id].cam_from_img(np.array([x, y])) if image is not None else None
        if image is None or ray is None:
            continue
        direction = image.cam_from_world().rotation.matrix().T @ np.array([*ray, 1.0])
        origins.append(image.projection_center())
        directions.append(direction / np.linalg.norm(direction))
    return triangulate(np.array(origins).reshape(-1, 3), np.array(directions).reshape(-1, 3))


def _point_report(point: TaskControlPoint, residual: Array | None) -> ControlPointReport:
    name, photos = point.name, len(point.observations)
    if residual is None:
        reason = "fewer than two placed photos see it from different sides"
        return ControlPointReport(name=name, photos=photos, reason=reason)
    east, north, up = map(float, residual)
    return ControlPointReport(name=name, photos=photos, east_m=east, north_m=north, up_m=up)
