"""The last adjustment of a finished model: what was found precisely decides, what was found roughly no longer pulls."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pycolmap

from spaceport.simd.cores import usable_cores

LEAST_SCALE_PX: Final = 0.05  # a model that fits better than this is made up, and a scale of 0 would mean nothing
TOLERANCE: Final = 1e-4  # relative change of the cost; 1e-6 costs three times as much and moves no camera
MAX_ERROR_PX: Final = 4.0  # COLMAP's own bounds of an observation
MIN_ANGLE_DEG: Final = 1.5


def settle(model: Any) -> None:
    """Adjust all cameras and points of `model` together, in place, with Cauchy's loss at its own median error.

    The mappers minimise squares, though the errors of SIFT have long tails: half of them under 0.1 pixels, and a few of
    2 to 4 that then bend the cameras. On how a robust loss weighs them: Triggs et al., "Bundle Adjustment: A Modern
    Synthesis" (2000), section 3. Points that no two photos see well any more are gone afterwards.
    """
    model.update_point_3d_errors()
    errors = [point.error for point in model.points3D.values() if point.has_error()]
    if not errors:
        return
    options = pycolmap.BundleAdjustmentOptions()
    options.print_summary = False
    options.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
    options.ceres.loss_function_scale = max(LEAST_SCALE_PX, float(np.median(errors)))
    options.ceres.solver_options.function_tolerance = TOLERANCE
    options.ceres.solver_options.num_threads = usable_cores()
    pycolmap.bundle_adjustment(model, options)
    pycolmap.ObservationManager(model).filter_all_points3D(MAX_ERROR_PX, MIN_ANGLE_DEG)
    model.update_point_3d_errors()
