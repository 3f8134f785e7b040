"""COLMAP's camera models, one richer than the other: which one views may determine, and which one they do.

Polynomials of distortion that are not determined cancel each other where there are observations, and are anything
where there are none.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pycolmap

from services.sfm.colmap.bundle_adjustment import median_error
from services.sfm.colmap.priors import ASPECT_STD, PriorBlocks, Priors
from services.sfm.georeference.wgs84 import Array
from services.sfm.messages import TaskCamera

SIMPLEST: Final = "SIMPLE_PINHOLE"
BEGINNING: Final = "SIMPLE_RADIAL"
"""What the mappers use, and what is always tried."""
RICHER: Final = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
"""Camera models in order; each has all the parameters of the one before."""
NEEDED: Final = {"RADIAL": (4, 300), "OPENCV": (6, 1000)}
"""Photos and observations that a model takes before it is tried at all."""
MIN_REACH: Final = 0.7  # of the way to the corners: how far out observations must go for more than one coefficient
REACH_PERCENTILE: Final = 98.0
INFLATION: Final = 4.0
"""By how much real errors of a lens exceed the formal ones, for which every feature errs by itself: rolling shutters,
the pixels' grid and the rest of the distortion err alike in a whole photo."""
MAX_DISTORTION_STD_PX: Final = 5.0  # standard deviation of the distortion in the corners, per 1,000 pixels of length
SIGNIFICANT_SIGMAS: Final = 3.0  # of a coefficient: without it the model would be worse than with it, as it is
MAX_COEFFICIENT: Final = 3.0  # beyond, polynomials cancel each other
MIN_NOISE_PX: Final = 0.02  # a model with smaller errors is synthetic
NOISE_TO_MEDIAN: Final = 1.25  # median length of a two-dimensional error to its standard deviation in one dimension
MAX_POINTS: Final = 6_000  # that a covariance is computed from: 3 % off that of 50,000, in a quarter of the time
PARALLEL: Final = math.cos(math.radians(8))


def richest_model(known: TaskCamera, camera: Any, images: list[Any]) -> tuple[str, str]:
    """The model to try, and why not a richer one."""
    observations = [point.xy for image in images for point in image.points2D if point.has_point3D()]
    if known.is_calibrated and camera.model.name == "OPENCV":
        return "OPENCV", "OPENCV, from the drone's calibration"
    highest = RICHER.index(known.final_model)
    for name in reversed(RICHER[RICHER.index(BEGINNING) + 1 : highest + 1]):
        photos_needed, observations_needed = NEEDED[name]
        if len(images) >= photos_needed and len(observations) >= observations_needed:
            reach = _reach(camera, np.array(observations))
            if reach >= MIN_REACH:
                return name, f"{name}: {len(images)} photos and {len(observations):,} observations determine it"
            return BEGINNING, f"{BEGINNING}: no observations beyond {reach:.0%} of the way to the corners"
    return BEGINNING, f"{BEGINNING}: {len(images)} photos with {len(observations):,} observations carry no more"


def _reach(camera: Any, observations: Array) -> float:
    """How far observations [N,2] go out from the principal point, as a share of the way to the corners."""
    centre = np.array([camera.principal_point_x, camera.principal_point_y])
    radii = np.linalg.norm(observations - centre, axis=1)
    return float(np.percentile(radii, REACH_PERCENTILE)) / (math.hypot(camera.width, camera.height) / 2)


def set_model(camera: Any, name: str) -> None:
    """Give a `pycolmap.Camera` another of the `RICHER` models, in place; parameters of both keep their values."""
    if camera.model.name == name:
        return
    focal, x, y = camera.mean_focal_length(), camera.principal_point_x, camera.principal_point_y
    coefficients = [camera.params[index] for index in camera.extra_params_idxs()]
    radial = [*coefficients, 0.0, 0.0, 0.0, 0.0][:4]
    camera.model = getattr(pycolmap.CameraModelId, name)
    camera.params = {
        "SIMPLE_PINHOLE": [focal, x, y],
        "SIMPLE_RADIAL": [focal, x, y, radial[0]],
        "RADIAL": [focal, x, y, *radial[:2]],
        "OPENCV": [focal, focal, x, y, *radial],
    }[name]


def intrinsic_covariances(model: Any, camera_ids: Sequence[int], priors: Priors | None = None) -> dict[int, Array]:
    """The formal covariance [P,P] of each camera's focal lengths and distortion, without any prior of them.

    In COLMAP's order, the constant principal point left out; a camera is missing where the problem is singular. From
    the inverse of the normal equations (Triggs et al. 2000, section 9), with the median error of the features for
    their standard deviation. `priors`: positions and ground points that determine them too.
    """
    sample, share = _sample(model)
    error = median_error(sample)
    if error is None:
        return {}
    noise = max(MIN_NOISE_PX, error / NOISE_TO_MEDIAN)
    options, config = pycolmap.BundleAdjustmentOptions(), pycolmap.BundleAdjustmentConfig()
    options.print_summary = False
    for image_id in sample.reg_image_ids():
        config.add_image(image_id)
    without_focal = replace(priors, focal={}) if priors else Priors()
    if not without_focal.fix_the_frame:
        config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    adjuster = pycolmap.create_default_ceres_bundle_adjuster(options, config, sample)
    blocks = PriorBlocks(adjuster.problem, sample, without_focal, noise)
    estimate = pycolmap.estimate_ba_covariance(pycolmap.BACovarianceOptions(), sample, adjuster)
    del blocks  # its points are parameters of the problem until here
    found = {}
    for camera_id in camera_ids if estimate else ():
        covariance = estimate.get_other_params_cov(sample.cameras[camera_id].params)
        if covariance is not None and np.isfinite(covariance).all():
            found[camera_id] = np.asarray(covariance) * noise**2 * share
    return found


def _sample(model: Any) -> tuple[Any, float]:
    """The model, or where it is large a copy with as many points as a covariance needs, and their share."""
    numbers = sorted(model.points3D)
    if len(numbers) <= MAX_POINTS:
        return model, 1.0
    sample = copy.deepcopy(model)
    for index in np.random.default_rng(0).permutation(len(numbers))[MAX_POINTS:]:
        sample.delete_point3D(numbers[index])
    return sample, MAX_POINTS / len(numbers)


def with_square_pixels(covariance: Array, focal: float, number: int) -> Array:
    """The covariance where fx and fy are known to be nearly equal, as the adjustment's prior has it.

    One step of a Kalman filter, which observes that fx - fy is zero.
    """
    if number == 1:
        return covariance
    row = np.zeros(len(covariance))
    row[:2] = 1.0, -1.0
    spread = covariance @ row
    return np.asarray(covariance - np.outer(spread, spread) / (row @ spread + (focal * ASPECT_STD) ** 2))


def doubt_of_distortion(camera: Any, covariance: Array | None) -> str:
    """Why the camera's distortion cannot be believed; empty where it can."""
    if covariance is None:
        return "the views do not determine the lens"
    number, focal = len(camera.focal_length_idxs()), camera.mean_focal_length()
    coefficients = np.array([camera.params[index] for index in camera.extra_params_idxs()])
    covariance = with_square_pixels(covariance, focal, number)
    shared = covariance[number:, :number]
    of_distortion = covariance[number:, number:] - shared @ np.linalg.pinv(covariance[:number, :number]) @ shared.T
    corner = np.array([camera.width / 2, camera.height / 2]) / focal
    shifts = focal * _displacements(corner, len(coefficients))
    std = INFLATION * math.sqrt(max(0.0, float(np.trace(shifts @ of_distortion @ shifts.T))))
    limit = MAX_DISTORTION_STD_PX * max(camera.width, camera.height) / 1000
    last = slice(len(coefficients) // 2, None)  # what the next simpler model lacks
    sigmas = np.abs(coefficients[last]) / (INFLATION * np.sqrt(np.maximum(np.diag(of_distortion)[last], 1e-30)))
    if std > limit and not (sigmas > SIGNIFICANT_SIGMAS).any():
        return f"a richer model would be uncertain by {std:.1f} pixels in the corners"
    radial = coefficients[:2] if len(coefficients) > 1 else coefficients
    if (np.abs(coefficients) > MAX_COEFFICIENT).any() or not _grows_outwards(radial, float(np.linalg.norm(corner))):
        return "a richer model comes out as no lens is"
    return ""


def _displacements(corner: Array, number: int) -> Array:
    """[2,K] by how much the direction `corner` [2] moves for each of K coefficients: k; k1, k2; k1, k2, p1, p2."""
    x, y = corner
    square = x * x + y * y
    radial = [[x * square, x * square**2], [y * square, y * square**2]]
    tangential = [[2 * x * y, square + 2 * x * x], [square + 2 * y * y, 2 * x * y]]
    return np.hstack([radial, tangential])[:, :number]


def _grows_outwards(radial: Array, reach: float) -> bool:
    """Whether no two directions are shown at the same place, out to the corners."""
    squares = np.linspace(0, reach, 32) ** 2
    slope = 1 + sum((2 * power + 3) * k * squares ** (power + 1) for power, k in enumerate(radial))
    return bool(np.min(slope) > 0)


def has_parallel_views(model: Any) -> bool:
    """Whether all photos look nearly the same way, so that heights scale with the focal length."""
    views = np.array([image.cam_from_world().rotation.matrix()[2] for image in model.images.values() if image.has_pose])
    mean = views.mean(axis=0)
    return bool(np.median(views @ mean / np.linalg.norm(mean)) > PARALLEL)
