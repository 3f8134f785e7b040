"""Which photos' positions may shape the model, and how exact each is. Pure numpy.

Plain GPS, a few metres off, places a model and must not bend it: between neighbours the photos themselves know
distances to centimetres. Positions by RTK or PPK know more than the photos over the whole extent, where a wrong lens
bends a model by decimetres, and hold it straight.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from services.sfm.georeference.accuracy import assess_accuracy
from services.sfm.georeference.wgs84 import Array
from services.sfm.messages import TaskPhoto

FIXED: Final = 50  # DJI's RTK flags: a fix to centimetres
FLOAT: Final = range(32, 50)
MIN_STD_M: Final = np.array([0.02, 0.02, 0.03])  # antenna above lens, time of exposure: receivers know nothing of them
UNSTATED_STD_M: Final = np.array([0.03, 0.03, 0.05])  # of a fix that states none
FLOAT_STD_M: Final = np.array([0.2, 0.2, 0.4])  # at least: a float solution drifts by more than it states
MAX_STD_M: Final = 0.5
MAX_STD_SHARE: Final = 1 / 300  # of the extent: photos alone keep a model straighter than that
MIN_PHOTOS: Final = 4
MIN_SHARE: Final = 0.25  # of the located photos; a few good ones among plain ones are not worth a second frame


def stated_std(photo: TaskPhoto) -> Array | None:
    """The standard deviation of a photo's position [3], east, north, up in metres, as far as it can be believed."""
    flag, std = photo.rtk_flag, photo.position_std_m
    if flag is not None and flag != FIXED and flag not in FLOAT:
        return None
    if std is None:
        return UNSTATED_STD_M if flag == FIXED else None
    stated = np.array(std, dtype=np.float64)
    if not (np.isfinite(stated) & (stated > 0)).all():
        return None
    return np.asarray(np.maximum(stated, FLOAT_STD_M if flag in FLOAT else MIN_STD_M))


def exact_positions(photos: Iterable[TaskPhoto], extent_m: float) -> dict[str, Array]:
    """The standard deviation [3] of each position that is worth more than the model, by the photo's file.

    `photos`: those whose position the model does not contradict; `extent_m`: of their positions. Empty where too few
    are exact.
    """
    located = [photo for photo in photos if photo.position is not None and photo.position[2] is not None]
    limit = min(MAX_STD_M, MAX_STD_SHARE * extent_m)
    stds = {photo.file: std for photo in located if (std := stated_std(photo)) is not None and (std <= limit).all()}
    return stds if len(stds) >= max(MIN_PHOTOS, MIN_SHARE * len(located)) else {}


def georeference_fields(centres: dict[str, Array], targets: dict[str, Array], stds: dict[str, Array]) -> dict[str, Any]:
    """What `Georeference` says of a model that positions shaped, its residuals measured without another similarity.

    By file, of the photos whose positions were priors: `centres` of the finished model, `targets` and `stds` [3] each.
    """
    residuals = np.array([centres[file] - target for file, target in targets.items()])
    distances = np.linalg.norm(residuals, axis=1)
    across, up = prior_std(stds)
    accuracy = assess_accuracy(np.array(list(targets.values())), residuals, stated_std_m=across)
    return {
        **accuracy.fields(),
        "method": f"bundle adjustment with the positions of {len(stds)} photos",
        "prior_photos": len(stds),
        "prior_std_m": (across, up),
        "median_residual_m": float(np.median(distances)),
        "max_residual_m": float(distances.max()),
        "residuals_m": dict(zip(targets, distances.tolist(), strict=True)),
    }


def prior_std(stds: dict[str, Array]) -> tuple[float, float]:
    """The median standard deviation of priors: of one coordinate on the ground, and of heights."""
    rows = np.array(list(stds.values()))
    return float(np.median(rows[:, :2])), float(np.median(rows[:, 2]))
