"""What "metric" is worth: the uncertainty of lengths from what positions or control points leave over. Pure numpy.

A similarity's standard error alone promises too much: a receiver's errors are much the same for minutes, a model bends
where its lens is wrong, and heights under a flight that looks straight down are as exact as the focal length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from services.sfm.georeference.wgs84 import Array

SIGMAS: Final = 2.0  # of the uncertainty that is reported: 95 % of a normal distribution
MAX_UNCERTAINTY: Final = 0.05  # of lengths, two standard deviations, up to which they may be called metres
MAX_RESIDUAL_SHARE: Final = {"positions": 0.05, "control points": 0.02}  # median residual to extent
CONTRADICTED: Final = 5.0  # stated standard deviations in the median residual: the model is bent, or they are wrong
BENT_SHARE: Final = 0.001  # of the extent; bending below it is what good software leaves
MIN_DOME_POINTS: Final = 8
MIN_DOME_BREADTH: Final = 0.2  # second axis to first: along a line a dome and a slope cannot be told apart
DOME_SIGMAS: Final = 5.0
MAX_DOME_SHARE: Final = 0.02  # of the extent, up to which a dome is part of the uncertainty
MAX_HEIGHT_UNCERTAINTY: Final = 0.1  # two standard deviations of heights that hang on the focal length alone
GPS_DRIFT_M: Final = 0.5  # by how much a receiver without corrections wanders during a flight, standard deviation


@dataclass(frozen=True)
class Accuracy:
    """How exact the lengths of a georeferenced model are.

    `scale_error` is the relative standard error of the scale from independent residuals, infinite where too few
    determine it; `uncertainty` the relative one of lengths, two standard deviations, with all that is known to add to
    it; `height_uncertainty` the same of heights over the ground, which also hang on the focal length where all photos
    look straight down; `dome_m` by how much the model's middle stands above its rim, None where no significant dome
    was found; `reason` says why lengths may not be called metres, None where they may.
    """

    scale_error: float
    uncertainty: float
    uncertainty_m: float
    height_uncertainty: float
    dome_m: float | None
    reason: str | None

    @property
    def metric(self) -> bool:
        return self.reason is None

    def fields(self) -> dict[str, Any]:
        """The same as fields of `Georeference`."""
        known = bool(np.isfinite(self.uncertainty))
        return {
            "metric": self.metric,
            "metric_reason": self.reason,
            "scale_error": self.scale_error if np.isfinite(self.scale_error) else None,
            "scale_uncertainty": self.uncertainty if known else None,
            "uncertainty_m": self.uncertainty_m if known else None,
            "height_uncertainty": self.height_uncertainty if known else None,
            "dome_m": self.dome_m,
        }


def assess_accuracy(
    targets: Array,
    residuals: Array,
    *,
    what: str = "positions",
    stated_std_m: float | None = None,
    drift_m: float = 0.0,
    focal_uncertainty: float | None = None,
    looks_down: bool = False,
    contradictions: Sequence[str] = (),
) -> Accuracy:
    """How exact lengths are in a model that a similarity moved onto `targets`.

    Args:
        targets: [N,3] metres east, north, up, in the order in which they were measured; outliers are left out.
        residuals: [N,3] model minus target; up is NaN where heights were not used.
        what: `positions` of photos, or `control points`; decides on limits and words.
        stated_std_m: what the receiver or the surveyor says of one coordinate on the ground.
        drift_m: standard deviation of the errors that all photos of a while share, which no mean removes.
        focal_uncertainty: relative standard deviation of the focal length in the finished model.
        looks_down: whether all views are so near to vertical that heights scale with the focal length.
        contradictions: what else speaks against the model's size, each the rest of a sentence.
    """
    used = residuals[:, np.isfinite(residuals).all(axis=0)] if len(residuals) else residuals
    places = targets[:, : used.shape[1]]
    extent = float(np.linalg.norm(np.ptp(places, axis=0))) if len(targets) else 0.0
    scale_error = relative_scale_error(places, used)
    correlated = scale_error / np.sqrt(independent_share(used)) if np.isfinite(scale_error) else scale_error
    drift = drift_m / extent if extent > 0 else float("inf")
    dome = find_dome(targets, residuals[:, 2]) if used.shape[1] == 3 else None
    bend = abs(dome or 0.0) / extent if extent > 0 else 0.0
    uncertainty = float(np.hypot(SIGMAS * np.hypot(correlated, drift), bend))
    distances = np.linalg.norm(used, axis=1)
    median = float(np.median(distances)) if len(distances) else float("inf")
    reasons = [
        *contradictions,
        *_about_residuals(what, median, extent, stated_std_m),
        *_about_dome(dome, extent),
        *_about_uncertainty(what, len(targets), uncertainty),
        *_about_focal_length(focal_uncertainty, looks_down),
    ]
    of_heights = float(np.hypot(uncertainty, SIGMAS * (focal_uncertainty or 0.0))) if looks_down else uncertainty
    reason = reasons[0] if reasons else None
    return Accuracy(scale_error, uncertainty, uncertainty * extent, of_heights, dome, reason)


def relative_scale_error(targets: Array, residuals: Array) -> float:
    """The relative standard error of the scale of a similarity in D dimensions; both [N,D], D 2 or 3.

    From least squares, as if errors were independent of each other; infinite where nothing is left over to judge by.
    """
    count, dimensions = targets.shape
    freedom = dimensions * count - (7 if dimensions == 3 else 4)
    spread = float(np.square(targets - targets.mean(axis=0)).sum()) if count else 0.0
    if freedom <= 0 or spread == 0:
        return float("inf")
    return float(np.sqrt(np.square(residuals).sum() / freedom / spread))


def independent_share(residuals: Array) -> float:
    """The share of residuals [N,D], in the order of measurement, that count as independent of each other, 0-1.

    (1 - r) / (1 + r) with the correlation r of successive ones, as for a first-order autoregression (Bartlett 1946).
    """
    if len(residuals) < 4:
        return 1.0
    centred = residuals - residuals.mean(axis=0)
    power = float(np.square(centred).sum())
    correlation = float((centred[1:] * centred[:-1]).sum()) / power if power > 0 else 0.0
    correlation = float(np.clip(correlation, 0.0, 0.95))
    return max((1 - correlation) / (1 + correlation), 2.0 / len(residuals))


def find_dome(targets: Array, up_residuals: Array) -> float | None:
    """By how many metres the middle of the model stands above its rim (a bowl is negative), None if not significantly.

    `targets` [N,3] metres, `up_residuals` [N]. Wrong distortion bends a model along the square of the radius (James
    and Robson, "Mitigating systematic error in topographic models derived from UAV", 2014); a plane is fitted beside
    it, as the similarity may have tilted what is bent.
    """
    if len(targets) < MIN_DOME_POINTS:
        return None
    ground = targets[:, :2] - targets[:, :2].mean(axis=0)
    first, second = np.linalg.svd(ground, compute_uv=False)
    if not second > MIN_DOME_BREADTH * first:
        return None
    rim = float(np.linalg.norm(ground, axis=1).max())
    squares = np.square(ground / rim).sum(axis=1)
    design = np.column_stack([np.ones(len(ground)), ground / rim, squares])
    solution, _, rank, _ = np.linalg.lstsq(design, up_residuals, rcond=None)
    if rank < design.shape[1]:
        return None
    left = up_residuals - design @ solution
    variance = float(np.square(left).sum()) / (len(ground) - design.shape[1]) / independent_share(left[:, None])
    error = float(np.sqrt(variance * np.linalg.inv(design.T @ design)[3, 3]))
    size = -float(solution[3])
    return size if abs(size) > DOME_SIGMAS * error else None


def _about_residuals(what: str, median: float, extent: float, stated_std_m: float | None) -> list[str]:
    share = median / extent if extent > 0 else float("inf")
    if not share <= MAX_RESIDUAL_SHARE[what]:
        return [f"the {what} miss the model by {median:.2f} m in the median, {share:.1%} of their extent"]
    if stated_std_m is not None and median > CONTRADICTED * stated_std_m and share > BENT_SHARE:
        known = f"{100 * stated_std_m:.0f} cm" if stated_std_m < 1 else f"{stated_std_m:.1f} m"
        return [
            f"the {what} are said to be exact to {known}, but miss the model by {median:.2f} m in the median, so the"
            " model is bent or they are wrong"
        ]
    return []


def _about_dome(dome: float | None, extent: float) -> list[str]:
    if dome is None or abs(dome) <= MAX_DOME_SHARE * extent:
        return []
    return [f"the model is bent: {describe_dome(dome)}"]


def describe_dome(dome: float) -> str:
    side = "above" if dome > 0 else "below"
    return f"its middle stands {abs(dome):.2f} m {side} its rim against the positions, as a wrong lens makes it"


def _about_uncertainty(what: str, count: int, uncertainty: float) -> list[str]:
    if uncertainty <= MAX_UNCERTAINTY:
        return []
    if not np.isfinite(uncertainty):
        return [f"{count} {what} leave nothing over to tell how exact lengths are"]
    return [f"the {what} give lengths to ± {uncertainty:.0%} only"]


def _about_focal_length(focal_uncertainty: float | None, looks_down: bool) -> list[str]:
    if focal_uncertainty is None or not looks_down or SIGMAS * focal_uncertainty <= MAX_HEIGHT_UNCERTAINTY:
        return []
    doubt = SIGMAS * focal_uncertainty
    return [f"all photos look straight down and leave the focal length open by ± {doubt:.0%}, and heights with it"]
