"""Turns a model into metres east, north and up where the photos carry GPS positions, and upright where they do not.

The model is placed by one similarity after mapping, found by RANSAC. Priors within bundle adjustment were the other
choice: on good GPS they give the same residual, on bad GPS they bend the model, which a similarity cannot.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pycolmap

from services.sfm.georeference.upright import turn_to_z, up_of
from services.sfm.georeference.wgs84 import Array, centre, enu_to_ecef, scale_error, to_enu

MIN_LOCATED: Final = 3
MIN_INLIER_M: Final = 10.0  # a phone under trees; drones do better
INLIER_SHARE: Final = 0.05  # of the extent of all positions
MIN_EXTENT_M: Final = 1.0
MIN_BREADTH: Final = 0.02  # second axis to first: positions on one line leave the turn about it open
METRIC_SHARE: Final = 0.05  # median residual to extent, up to which metres may be trusted,
MOST_SCALE_ERROR: Final = 0.02  # and the standard error of lengths
PLACED_SHARE: Final = 0.15  # up to which at least up is up
GIVEN_AXES: Final = "those of the given model"


def georeference(model: Any, positions: dict[str, Array], seed: int) -> dict[str, object]:
    """Transform `model` in place; `positions` are latitude, longitude, altitude [3] by image name.

    Returns the facts for the report: whether and how it was aligned, the origin, the residuals in metres.
    """
    similarity, facts = locate(model, positions, seed)
    model.transform(similarity)
    return facts


def locate(model: Any, positions: dict[str, Array], seed: int) -> tuple[Any, dict[str, object]]:
    """The similarity (`Sim3d`) that `georeference` applies, and the facts; the model stays as it is."""
    centres = {image.name: image.projection_center() for image in model.images.values() if image.has_pose}
    names = sorted(name for name in positions if name in centres and np.isfinite(positions[name]).all())
    if len(names) < MIN_LOCATED:
        return _upright(model, "fewer than 3 placed photos have a position with altitude")
    located = np.array([positions[name] for name in names])
    origin = centre(located)
    targets = to_enu(located, origin)
    first, second = np.linalg.svd(targets - targets.mean(axis=0), compute_uv=False)[:2] / np.sqrt(len(names))
    extent = float(np.linalg.norm(np.ptp(targets, axis=0)))
    if extent < MIN_EXTENT_M or second < MIN_BREADTH * first:
        return _upright(model, "all positions lie in one place or on one line")
    most_off = max(MIN_INLIER_M, INLIER_SHARE * extent)
    similarity = _similarity(model, names, targets, most_off, seed)
    if similarity is None:
        return _upright(model, "the positions contradict the photos")
    moved = np.array([similarity * centres[name] for name in names])
    residuals = np.linalg.norm(moved - targets, axis=1)
    median = float(np.median(residuals))
    if median > PLACED_SHARE * extent:
        return _upright(model, f"the positions miss the model by {median:.1f} m in the median")
    near = residuals <= most_off
    uncertain = scale_error(targets[near], residuals[near])
    return similarity, {
        "aligned": True,
        "metric": median <= METRIC_SHARE * extent and uncertain <= MOST_SCALE_ERROR,
        "method": "similarity, RANSAC over camera centres",
        "axes": "x east, y north, z up, metres",
        "crs": "local east-north-up on WGS84; origin in EPSG:4979, to_ecef into EPSG:4978",
        "origin": {"latitude": origin[0], "longitude": origin[1], "altitude_m": origin[2]},
        "to_ecef": enu_to_ecef(origin).tolist(),
        "photos": len(names),
        "extent_m": extent,
        "scale_error": uncertain if np.isfinite(uncertain) else None,
        "median_residual_m": median,
        "max_residual_m": float(residuals.max()),
        "residuals_m": dict(zip(names, residuals.tolist(), strict=True)),
    }


def _similarity(model: Any, names: list[str], targets: Array, max_error_m: float, seed: int) -> Any:
    options = pycolmap.RANSACOptions()
    options.max_error = max_error_m
    options.random_seed = seed
    return pycolmap.align_reconstruction_to_locations(model, names, targets, MIN_LOCATED, options)


def in_its_own_frame(similarity: Any, facts: dict[str, object]) -> dict[str, object]:
    """The facts of `locate` for a model that is not moved: `to_ecef` begins in its own frame, whose unit is told."""
    if not facts["aligned"]:
        return facts | {"axes": GIVEN_AXES}
    into_enu = np.eye(4)
    into_enu[:3] = similarity.matrix()
    return facts | {
        "axes": GIVEN_AXES,
        "crs": "the given model's own; to_ecef leads into EPSG:4978",
        "to_ecef": (np.array(facts["to_ecef"]) @ into_enu).tolist(),
        "unit_m": float(similarity.scale),
        "metric": bool(facts["metric"] and abs(similarity.scale - 1) <= METRIC_SHARE),
    }


def _upright(model: Any, reason: str) -> tuple[Any, dict[str, object]]:
    """What turns `model` so that z is up as its cameras were held, its origin in their middle, at COLMAP's scale."""
    poses = [image.cam_from_world() for image in model.images.values() if image.has_pose]
    rotations = np.array([pose.rotation.matrix() for pose in poses])
    centres = np.array([image.projection_center() for image in model.images.values() if image.has_pose])
    turn = turn_to_z(up_of(rotations, centres))
    similarity = pycolmap.Sim3d(np.column_stack([turn, -turn @ np.median(centres, axis=0)]))
    return similarity, {
        "aligned": False,
        "metric": False,
        "reason": reason,
        "axes": "z up as the cameras were held, no scale",
    }
