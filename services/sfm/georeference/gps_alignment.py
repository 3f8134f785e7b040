"""Aligns a model to east, north and up in metres where the photos have GPS positions, and upright where they do not.

The model is moved by one similarity after mapping, estimated by RANSAC. Position priors within bundle adjustment were
the other choice: on good GPS they give the same residual, on bad GPS they bend the model, which a similarity cannot.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pycolmap

from services.sfm.georeference.accuracy import GPS_DRIFT_M, assess_accuracy
from services.sfm.georeference.alignment import ENU_AXES, ENU_CRS, Alignment
from services.sfm.georeference.upright import estimate_up, rotation_to_z
from services.sfm.georeference.wgs84 import Array, enu_to_ecef, median_position, to_enu
from spaceport.pipeline.reports.sfm import GeodeticOrigin, Georeference

MIN_LOCATED: Final = 3
MIN_INLIER_M: Final = 10.0  # a phone under trees; drones do better
INLIER_SHARE: Final = 0.05  # of the extent of all positions
MIN_EXTENT_M: Final = 1.0
MIN_BREADTH: Final = 0.02  # second axis to first: positions on one line leave the rotation about it open
ALIGNED_SHARE: Final = 0.15  # median residual to extent, up to which at least up is up


def estimate_gps_alignment(model: Any, positions: dict[str, Array], seed: int) -> Alignment:
    """The alignment of a `pycolmap.Reconstruction` to its photos' positions; the model is not moved.

    `positions` are latitude, longitude (degrees, WGS84) and altitude (m) [3] by image name, NaN where unknown.
    """
    centres = {image.name: image.projection_center() for image in model.images.values() if image.has_pose}
    names = sorted(name for name in positions if name in centres and np.isfinite(positions[name]).all())
    if len(names) < MIN_LOCATED:
        return _upright_alignment(model, "fewer than 3 placed photos have a position with altitude")
    located = np.array([positions[name] for name in names])
    origin = median_position(located)
    targets = to_enu(located, origin)
    extent = float(np.linalg.norm(np.ptp(targets, axis=0)))
    if extent < MIN_EXTENT_M or _is_line(targets):
        return _upright_alignment(model, "all positions lie in one place or on one line")
    max_error = max(MIN_INLIER_M, INLIER_SHARE * extent)
    similarity = _ransac_similarity(model, names, targets, max_error, seed)
    if similarity is None:
        return _upright_alignment(model, "the positions contradict the photos")
    moved = np.array([similarity * centres[name] for name in names])
    offsets = moved - targets
    residuals = np.linalg.norm(offsets, axis=1)
    median = float(np.median(residuals))
    if median > ALIGNED_SHARE * extent:
        return _upright_alignment(model, f"the positions miss the model by {median:.1f} m in the median")
    inliers = residuals <= max_error
    accuracy = assess_accuracy(targets[inliers], offsets[inliers], drift_m=GPS_DRIFT_M)
    georeference = Georeference(
        aligned=True,
        **accuracy.fields(),
        method="similarity, RANSAC over camera centres",
        axes=ENU_AXES,
        crs=ENU_CRS,
        origin=GeodeticOrigin(latitude=origin[0], longitude=origin[1], altitude_m=origin[2]),
        to_ecef=enu_to_ecef(origin).tolist(),
        photos=len(names),
        extent_m=extent,
        median_residual_m=median,
        max_residual_m=float(residuals.max()),
        residuals_m=dict(zip(names, residuals.tolist(), strict=True)),
    )
    return Alignment(similarity, georeference)


def _is_line(points: Array) -> bool:
    """Whether points [N,3] are all on one line, nearly."""
    first, second = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[:2] / np.sqrt(len(points))
    return bool(second < MIN_BREADTH * first)


def _ransac_similarity(model: Any, names: list[str], targets: Array, max_error_m: float, seed: int) -> Any:
    options = pycolmap.RANSACOptions()
    options.max_error = max_error_m
    options.random_seed = seed
    return pycolmap.align_reconstruction_to_locations(model, names, targets, MIN_LOCATED, options)


def _upright_alignment(model: Any, reason: str) -> Alignment:
    """What turns `model` so that z is up as its cameras were held, its origin in their middle, at COLMAP's scale."""
    poses = [image.cam_from_world() for image in model.images.values() if image.has_pose]
    rotations = np.array([pose.rotation.matrix() for pose in poses])
    centres = np.array([image.projection_center() for image in model.images.values() if image.has_pose])
    rotation = rotation_to_z(estimate_up(rotations, centres))
    similarity = pycolmap.Sim3d(np.column_stack([rotation, -rotation @ np.median(centres, axis=0)]))
    georeference = Georeference(
        aligned=False, metric=False, reason=reason, axes="z up as the cameras were held, no scale"
    )
    return Alignment(similarity, georeference)
