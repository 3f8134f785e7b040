"""The lenses of a finished model: adjusted with the richest camera model that its photos determine, and no richer.

The mappers use one coefficient of distortion, which bends the ground under the views of a real lens; more than the
views determine bends it too. So the last adjustment begins with the richest model that photos and observations may
carry, its covariance says what they do carry, and what they do not is taken away again. A focal length that was known
beforehand is a prior; where views contradict it they are asked without it, and whoever knows it better is believed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from services.sfm.colmap.bundle_adjustment import robust_bundle_adjustment
from services.sfm.colmap.lens_models import (
    INFLATION,
    RICHER,
    SIMPLEST,
    doubt_of_distortion,
    has_parallel_views,
    intrinsic_covariances,
    richest_model,
    set_model,
    with_square_pixels,
)
from services.sfm.colmap.priors import FocalPrior, Priors
from services.sfm.georeference.wgs84 import Array
from services.sfm.messages import ColmapTask, TaskCamera

ONE_WAY_INFLATION: Final = 20.0
"""The same as `INFLATION` for the focal length under photos that all look the same way. It then follows from tilts of
a degree, and from how they change what a rolling shutter or the rest of the distortion change too."""
UNKNOWN_STD: Final = 1.0  # of a focal length of which nothing is known
CONTRADICTION_SIGMAS: Final = 3.0
ASKED_FROM_SIGMAS: Final = 1.0  # how far views pull a focal length from what was known before they are asked alone
MAX_PULL: Final = 3.0  # between the focal length with its prior and without: only a guess where the prior decides
MAX_ADJUSTMENTS: Final = 6


@dataclass(frozen=True)
class Lens:
    """One camera of a finished model, and what was decided about it."""

    camera_id: int
    task: TaskCamera
    photos: int
    model: str
    reason: str
    expected_focal: float | None
    """As it was known beforehand, in pixels."""
    inflation: float = INFLATION
    trusts_prior: bool = True
    """False while the views are asked alone, and where they contradict what was known and know it better."""
    holds_distortion: bool = False
    """Whether the views do not determine the distortion, so that it stays as it was calibrated."""
    was_asked: bool = False
    """Whether the views have been asked alone."""
    focal_std: float | None = None
    """Relative, with the prior and with what formal errors leave out."""
    views_std: float | None = None
    """The same from the views alone."""
    views_focal: float | None = None
    """The focal length that the views alone would have, in pixels."""

    @property
    def decisions(self) -> tuple[object, ...]:
        """What changes an adjustment."""
        return self.model, self.trusts_prior, self.holds_distortion

    @property
    def held(self) -> bool:
        """Whether what was known beforehand decides more than the views."""
        std = self.task.focal_std
        return self.trusts_prior and std is not None and self.views_std is not None and self.views_std > std

    @property
    def contradicts(self) -> bool:
        """Whether the views want another focal length than what was known allows."""
        if self.expected_focal is None or self.views_focal is None or self.views_std is None:
            return False
        apart = abs(math.log(self.views_focal / self.expected_focal))
        return apart > CONTRADICTION_SIGMAS * math.hypot(self.task.focal_std or 0.0, self.views_std)


def adjust_lenses(task: ColmapTask, model: Any) -> list[Lens]:
    """Adjust a `pycolmap.Reconstruction` by its photos and what is known of their lenses, in place; no positions."""
    lenses = prepare_lenses(task, model)
    for _ in range(MAX_ADJUSTMENTS):
        robust_bundle_adjustment(model, Priors(focal=focal_priors(model, lenses)))
        reviewed = review_lenses(model, lenses)
        changed = [lens.decisions for lens in reviewed] != [lens.decisions for lens in lenses]
        lenses = reviewed
        if not changed:
            break
    return lenses


def with_positions(model: Any, lenses: Sequence[Lens], priors: Priors, inflation: float = INFLATION) -> list[Lens]:
    """The lenses after an adjustment with positions or ground points, which determine them too.

    `inflation`: by how much what is real is larger than the standard deviations that the adjustment was made with.
    """
    covariances = intrinsic_covariances(model, [lens.camera_id for lens in lenses], priors)
    return [
        _with_uncertainty(
            replace(lens, inflation=inflation), model.cameras[lens.camera_id], covariances.get(lens.camera_id)
        )
        for lens in lenses
    ]


def prepare_lenses(task: ColmapTask, model: Any) -> list[Lens]:
    """Give each camera of a `pycolmap.Reconstruction` the richest model that its photos may determine, in place.

    Parameters keep their values; new ones begin at zero.
    """
    cameras = {photo.file: task.cameras[photo.camera] for photo in task.photos}
    images: dict[int, list[Any]] = {}
    for image in model.images.values():
        if image.has_pose:
            images.setdefault(image.camera_id, []).append(image)
    inflation = ONE_WAY_INFLATION if has_parallel_views(model) else INFLATION
    lenses = []
    for camera_id, group in sorted(images.items()):
        known, camera = cameras[group[0].name], model.cameras[camera_id]
        name, reason = richest_model(known, camera, group)
        expected = _focal_of(known.model, known.params) if known.params else None
        set_model(camera, name)
        lenses.append(Lens(camera_id, known, len(group), name, reason, expected, inflation))
    return lenses


def focal_priors(model: Any, lenses: Sequence[Lens], *, has_positions: bool = False) -> dict[int, FocalPrior]:
    """Priors of the focal lengths for an adjustment, by camera id.

    Their standard deviations are divided by the lens's inflation, since in an adjustment the views count at their
    formal errors; by less where positions or ground points take part, which determine focal lengths even from one way.
    A focal length of which nothing is known gets a prior that holds only the pixels square.
    """
    priors = {}
    for lens in lenses:
        known, camera = lens.task, model.cameras[lens.camera_id]
        if lens.expected_focal is None or not (lens.trusts_prior or lens.holds_distortion):
            priors[lens.camera_id] = FocalPrior((camera.mean_focal_length(),) * 2, UNKNOWN_STD)
            continue
        x, y = (known.params[0], known.params[1]) if known.model == "OPENCV" else (lens.expected_focal,) * 2
        inflation = INFLATION if has_positions else lens.inflation
        distortion = tuple(known.params[4:]) if lens.holds_distortion else None
        priors[lens.camera_id] = FocalPrior((x, y), (known.focal_std or UNKNOWN_STD) / inflation, distortion)
    return priors


def review_lenses(model: Any, lenses: Sequence[Lens]) -> list[Lens]:
    """The lenses after an adjustment with `focal_priors`: where a model or a trust has changed, adjust again.

    A model whose distortion is not determined is replaced by a simpler one, in place.
    """
    covariances = intrinsic_covariances(model, [lens.camera_id for lens in lenses])
    reviewed = []
    for lens in lenses:
        camera, covariance = model.cameras[lens.camera_id], covariances.get(lens.camera_id)
        is_open = lens.model != SIMPLEST and not lens.holds_distortion
        doubt = doubt_of_distortion(camera, covariance) if is_open else ""
        now = _with_uncertainty(lens, camera, covariance)
        if doubt and lens.task.model == lens.model == "OPENCV":
            camera.params = lens.task.params
            now = replace(now, holds_distortion=True, reason=f"OPENCV, as the drone's calibration has it: {doubt}")
        elif doubt:
            name = RICHER[RICHER.index(lens.model) - 1]
            set_model(camera, name)
            now = replace(now, model=name, reason=f"{name}: {doubt}")
        else:
            now = _ask_views(now, camera.mean_focal_length())
        reviewed.append(now)
    return reviewed


def _ask_views(lens: Lens, focal: float) -> Lens:
    """Whom to believe about the focal length in the next adjustment, if there must be one."""
    known = lens.task.focal_std
    if lens.expected_focal is None or known is None or lens.views_std is None:
        return lens
    if not lens.was_asked:
        pulled = abs(math.log(focal / lens.expected_focal)) > ASKED_FROM_SIGMAS * known
        return replace(lens, trusts_prior=not pulled, was_asked=pulled)
    if lens.trusts_prior:
        return lens
    return replace(lens, trusts_prior=not (lens.contradicts and lens.views_std < known))


def _with_uncertainty(lens: Lens, camera: Any, covariance: Array | None) -> Lens:
    """The lens with the uncertainty of its focal length after an adjustment."""
    if covariance is None:
        return replace(lens, focal_std=lens.task.focal_std, views_std=None, views_focal=None)
    focal, number = camera.mean_focal_length(), len(camera.focal_length_idxs())
    variance = float(with_square_pixels(covariance, focal, number)[:number, :number].mean())
    views = lens.inflation * math.sqrt(max(0.0, variance)) / focal
    known = lens.task.focal_std if lens.expected_focal is not None and lens.trusts_prior else None
    if known is None or lens.expected_focal is None:
        return replace(lens, focal_std=views, views_std=views, views_focal=focal)
    together = views * known / math.hypot(views, known) if views or known else 0.0
    if lens.was_asked:  # they have said it themselves
        return replace(lens, focal_std=together, views_std=views)
    pulled = (focal - lens.expected_focal) * (1 + (views / known) ** 2)
    views_focal = max(lens.expected_focal + pulled, focal / MAX_PULL)
    return replace(lens, focal_std=together, views_std=views, views_focal=min(views_focal, focal * MAX_PULL))


def _focal_of(model: str, params: Sequence[float]) -> float:
    return (params[0] + params[1]) / 2 if model == "OPENCV" else params[0]


def focal_uncertainty(lenses: Sequence[Lens]) -> float | None:
    """The relative standard deviation of the focal lengths in the finished model, by its photos; None if unknown."""
    known = [(lens.photos, lens.focal_std) for lens in lenses if lens.focal_std is not None]
    total = sum(photos for photos, _ in known)
    return math.sqrt(sum(photos * std**2 for photos, std in known) / total) if total else None
