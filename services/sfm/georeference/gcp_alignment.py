"""Lays a model over surveyed control points, which say more than the photos' own positions."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pycolmap

from services.sfm.georeference.similarity import Fit, fit, triangulate
from services.sfm.georeference.wgs84 import Array, centre, enu_to_ecef, to_enu
from services.sfm.messages import TaskPoint

METRIC_SHARE: Final = 0.05  # of the points' extent, up to which their median distance may be and metres be trusted


def lay_over(model: Any, points: list[TaskPoint]) -> dict[str, object]:
    """Transform `model` in place so that `points` lie where they were surveyed, in metres east, north and up.

    Returns the facts for the report; each control point with its residual, or the reason why it was not used.

    Raises:
        ValueError: the points decide no place; the model is as it was.
    """
    similarity, facts = locate_by_points(model, points)
    model.transform(similarity)
    return facts


def locate_by_points(model: Any, points: list[TaskPoint]) -> tuple[Any, dict[str, object]]:
    """The similarity (`Sim3d`) that `lay_over` applies, and the facts; raises as it does. The model stays as it is."""
    seen = {image.name: image for image in model.images.values() if image.has_pose}
    found = {
        number: place for number, point in enumerate(points) if (place := _seen_at(model, seen, point)) is not None
    }
    surveyed = np.array([point.position for point in points], dtype=np.float64).reshape(-1, 3)
    origin = centre(surveyed)
    targets = to_enu(surveyed, origin)[list(found)]
    fitted = fit(np.array(list(found.values())).reshape(-1, 3), targets)
    turn = fitted.similarity
    similarity = pycolmap.Sim3d(np.column_stack([turn.scale * turn.rotation, turn.translation]))
    off = np.linalg.norm(fitted.residuals, axis=1)
    extent = float(np.linalg.norm(np.ptp(targets, axis=0)))
    return similarity, {
        "aligned": True,
        "metric": bool(np.median(off) <= METRIC_SHARE * extent),
        "method": "similarity over control points",
        "axes": "x east, y north, z up, metres",
        "crs": "local east-north-up on WGS84; origin in EPSG:4979, to_ecef into EPSG:4978",
        "origin": {"latitude": origin[0], "longitude": origin[1], "altitude_m": origin[2]},
        "to_ecef": enu_to_ecef(origin).tolist(),
        "extent_m": extent,
        "median_residual_m": float(np.median(off)),
        "max_residual_m": float(off.max()),
        "control_points": _told(points, list(found), fitted),
    }


def _seen_at(model: Any, images: dict[str, Any], point: TaskPoint) -> Array | None:
    """Where the model's photos see the point [3], in the model's own units."""
    origins, directions = [], []
    for file, x, y in point.seen:
        image = images.get(file)
        ray = model.cameras[image.camera_id].cam_from_img(np.array([x, y])) if image is not None else None
        if image is None or ray is None:
            continue
        turned = image.cam_from_world().rotation.matrix().T @ np.array([*ray, 1.0])
        origins.append(image.projection_center())
        directions.append(turned / np.linalg.norm(turned))
    return triangulate(np.array(origins).reshape(-1, 3), np.array(directions).reshape(-1, 3))


def _told(points: list[TaskPoint], used: list[int], fitted: Fit) -> list[dict[str, object]]:
    residuals = dict(zip(used, fitted.residuals, strict=True))
    return [
        {"name": point.name, "photos": len(point.seen)}
        | (
            {"east_m": float(off[0]), "north_m": float(off[1]), "up_m": float(off[2])}
            if (off := residuals.get(number)) is not None
            else {"reason": "fewer than two placed photos see it from different sides"}
        )
        for number, point in enumerate(points)
    ]
