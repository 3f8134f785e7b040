"""`straighten` on a flight that a wrong distortion has bent: `straightened_flight.py` prints what came out as JSON.

Run by test_sfm_straighten.py in a process of its own, since COLMAP shares none with Pillow.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from finished_flight import degrees
from nadir_model import Array, fly

from services.sfm.colmap.lenses import adjust_lenses
from services.sfm.colmap.straighten import straighten
from services.sfm.georeference.gps_alignment import estimate_gps_alignment
from services.sfm.messages import ColmapTask, TaskCamera, TaskPhoto
from spaceport.pipeline.options import SfmOptions

FOCAL = 1970.0
GPS_NOISE_M = np.array([0.3, 0.3, 0.3])


def bend(model: Any, k1: float) -> None:
    """Adjusted with a distortion that is off by `k1`: what an adjustment makes of a lens that it does not know."""
    camera = model.cameras[1]
    camera.params = [*camera.params[:4], camera.params[4] + k1, *camera.params[5:]]
    options = pycolmap.BundleAdjustmentOptions()
    options.print_summary = options.refine_focal_length = options.refine_extra_params = False
    pycolmap.bundle_adjustment(model, options)


def heights(model: Any) -> float:
    """Of the cameras over the ground, in the model's unit."""
    centres = np.array([image.projection_center() for image in model.images.values()])
    return float(np.median(centres[:, 2]) - np.median([point.xyz[2] for point in model.points3D.values()]))


def straightened(k1: float) -> dict[str, Any]:
    flight = fly(points=600)
    random, names = np.random.default_rng(4), sorted(flight.centres)
    measured: list[Array] = [flight.centres[name] + random.normal(0, GPS_NOISE_M) for name in names]
    photos = [TaskPhoto(n, n, n, 0, 1600, 1300, degrees(place)) for n, place in zip(names, measured, strict=True)]
    camera = TaskCamera("", 1600, 1300, "SIMPLE_RADIAL", [FOCAL, 800.0, 650.0, 0.0], "exif", 0.02, "OPENCV")
    task = ColmapTask(photos, [camera], Path(), Path(), Path(), SfmOptions())
    lenses = adjust_lenses(task, flight.model)
    bend(flight.model, k1)
    alignment = estimate_gps_alignment(flight.model, photos, 0)
    flight.model.transform(alignment.similarity)
    done = straighten(flight.model, lenses, alignment)
    figures = {"before": alignment.georeference.model_dump(), "height_before": heights(flight.model)}
    if done is None:
        return figures
    after = done.report(estimate_gps_alignment(done.model, photos, 0))
    done.model.transform(after.similarity)
    findings = [finding.sentence for finding in after.findings]
    return figures | {"after": after.georeference.model_dump(), "height": heights(done.model), "findings": findings}


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print("FIGURES", json.dumps({"name": argument, **straightened(float(argument))}))
