"""The last bundle adjustment of a finished model, with a robust loss: precise features decide, rough ones pull less."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pycolmap

from spaceport.simd.cores import usable_cores

MIN_LOSS_SCALE_PX: Final = 0.05  # a model with smaller errors is synthetic, and a scale of 0 would mean nothing
FUNCTION_TOLERANCE: Final = 1e-4  # relative change of the cost; 1e-6 costs three times as much and moves no camera
MAX_REPROJ_ERROR_PX: Final = 4.0  # COLMAP's own bounds of an observation
MIN_TRI_ANGLE_DEG: Final = 1.5


def robust_bundle_adjustment(model: Any) -> None:
    """Adjust all cameras and points of a `pycolmap.Reconstruction`, in place, with Cauchy's loss at its median error.

    The mappers minimise squares, though the errors of SIFT have long tails: half of them are under 0.1 pixels, and a
    few of 2 to 4 bend the cameras. On robust losses: Triggs et al., "Bundle Adjustment: A Modern Synthesis" (2000),
    section 3. Points that no two photos still see well are removed afterwards.
    """
    model.update_point_3d_errors()
    errors = [point.error for point in model.points3D.values() if point.has_error()]
    if not errors:
        return
    options = pycolmap.BundleAdjustmentOptions()
    options.print_summary = False
    options.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
    options.ceres.loss_function_scale = max(MIN_LOSS_SCALE_PX, float(np.median(errors)))
    options.ceres.solver_options.function_tolerance = FUNCTION_TOLERANCE
    options.ceres.solver_options.num_threads = usable_cores()
    pycolmap.bundle_adjustment(model, options)
    pycolmap.ObservationManager(model).filter_all_points3D(MAX_REPROJ_ERROR_PX, MIN_TRI_ANGLE_DEG)
    model.update_point_3d_errors()
