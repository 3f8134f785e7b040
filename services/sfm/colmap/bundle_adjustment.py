"""The last bundle adjustment of a finished model, with a robust loss: precise features decide, rough ones pull less."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pycolmap

from services.sfm.colmap.priors import PriorBlocks, Priors
from services.sfm.georeference.wgs84 import Array
from spaceport.simd.cores import usable_cores

MIN_LOSS_SCALE_PX: Final = 0.05  # a model with smaller errors is synthetic, and a scale of 0 would mean nothing
FUNCTION_TOLERANCE: Final = 1e-4  # relative change of the cost; 1e-6 costs three times as much and moves no camera
PRIOR_FUNCTION_TOLERANCE: Final = 1e-5  # bends that priors straighten change the cost by little
MAX_REPROJ_ERROR_PX: Final = 4.0  # COLMAP's own bounds of an observation
MIN_TRI_ANGLE_DEG: Final = 1.5


@dataclass(frozen=True, eq=False)
class Adjustment:
    """What an adjustment says beside the model: its median reprojection error afterwards, in pixels.

    `shift` [3] leads from the frame of the priors' positions to that of their ground points, zero unless asked for;
    `ground_points` are where the model has them, in the order of the priors.
    """

    error_px: float = 0.0
    shift: Array = field(default_factory=lambda: np.zeros(3))
    ground_points: list[Array] = field(default_factory=list)


def robust_bundle_adjustment(model: Any, priors: Priors | None = None) -> Adjustment:
    """Adjust all cameras and points of a `pycolmap.Reconstruction`, in place, with Cauchy's loss at its median error.

    The mappers minimise squares, though the errors of SIFT have long tails: half of them are under 0.1 pixels, and a
    few of 2 to 4 bend the cameras. On robust losses: Triggs et al., "Bundle Adjustment: A Modern Synthesis" (2000),
    section 3. Points that no two photos still see well are removed afterwards.

    Positions and ground points of `priors` must be in the model's frame, to within what adjusting can mend; then they
    determine the frame, which is otherwise held by two cameras.
    """
    priors = priors or Priors()
    error = median_error(model)
    if error is None:
        return Adjustment()
    sigma = max(MIN_LOSS_SCALE_PX, error)
    config = pycolmap.BundleAdjustmentConfig()
    for image_id in model.reg_image_ids():
        config.add_image(image_id)
    if not priors.fix_the_frame:
        config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    tolerance = PRIOR_FUNCTION_TOLERANCE if priors.fix_the_frame else FUNCTION_TOLERANCE
    adjuster = pycolmap.create_default_ceres_bundle_adjuster(_options(sigma, tolerance), config, model)
    blocks = PriorBlocks(adjuster.problem, model, priors, sigma)
    adjuster.solve()
    after = median_error(model)
    pycolmap.ObservationManager(model).filter_all_points3D(MAX_REPROJ_ERROR_PX, MIN_TRI_ANGLE_DEG)
    model.update_point_3d_errors()
    return Adjustment(after or 0.0, blocks.shift, blocks.points)


def median_error(model: Any) -> float | None:
    """The median over points of their mean reprojection error in pixels; None for a model without points."""
    model.update_point_3d_errors()
    errors = [point.error for point in model.points3D.values() if point.has_error()]
    return float(np.median(errors)) if errors else None


def _options(loss_scale_px: float, function_tolerance: float) -> Any:
    options = pycolmap.BundleAdjustmentOptions()
    options.print_summary = False
    options.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
    options.ceres.loss_function_scale = loss_scale_px
    options.ceres.solver_options.function_tolerance = function_tolerance
    options.ceres.solver_options.num_threads = usable_cores()
    return options
