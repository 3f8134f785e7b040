"""How a model fits its photos' positions: which are wrong, whether they lag, what heights are worth. Pure numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.sfm.georeference.clock_shift import CameraPath, ClockShift, estimate_clock_shift
from services.sfm.georeference.heights import NONE, POSITION, candidate_heights, height_system_offsets
from services.sfm.georeference.level_alignment import level_similarity
from services.sfm.georeference.position_priors import stated_std
from services.sfm.georeference.positions import (
    NO_FIX,
    find_wrong_positions,
    photo_positions,
    photo_times,
)
from services.sfm.georeference.robust_fit import OUTLIER_SIGMAS, fit_robust_similarity, robust_sigma
from services.sfm.georeference.similarity import Similarity
from services.sfm.georeference.up.choice import UpChoice
from services.sfm.georeference.wgs84 import Array, median_position, to_enu
from services.sfm.messages import TaskPhoto
from services.sfm.wording import length

GPS_STD_M: Final = (1.5, 1.5, 3.0)  # of a receiver without corrections
PREFERENCE: Final = 2.0  # how much better other heights must fit before the position's own are left
HEIGHT_SIGMAS: Final = 5.0
MIN_EXTENT_M: Final = 1.0
MAX_MISFIT: Final = 0.5  # residuals to the spread of the model that they move: more, and nothing was found

Mask = NDArray[np.bool_]


ChooseUp = Callable[[Array, Similarity, Array], UpChoice]
"""From centres [N,3] whose positions decided, the full similarity that moves them there, and its residuals [N,3]."""


@dataclass(frozen=True, eq=False)
class PhotoCentres:
    """The registered photos: the task's, their centres [N,3] in the model, and which way is up by the photos alone."""

    photos: Sequence[TaskPhoto]
    centres: Array
    up: UpChoice
    choose_up: ChooseUp


@dataclass(frozen=True, eq=False)
class PositionFit:
    """The similarity that moves the model to east, north and up of `origin` [3], and what positions were worth.

    Rows are the registered photos'. `sources` [N,3] are the centres that were compared, those at the time of the fix;
    `targets` [N,3] the positions; `residuals` [N,3] moved model minus position: NaN without a position, up also where
    heights were not used. `used` [N] decided; `outliers` has the reasons why others did not, by number.
    """

    similarity: Similarity
    origin: Array
    sources: Array
    targets: Array
    residuals: Array
    std: Array
    used: Mask
    outliers: dict[int, str]
    heights: str
    """Of `heights.py`: where they come from, or `none`."""
    up: UpChoice
    height_misfit_m: float
    """Median of what heights miss the model by, used or not; NaN without heights."""
    height_offsets: Array | None = None
    """By how much heights [N] were above those of the system that most have; None where all are of one."""
    clock: ClockShift | None = None
    misfit_without_clock_m: float = float("nan")
    """Median on the ground."""

    @property
    def norms(self) -> Array:
        """Residuals in expected standard deviations [N]; NaN without a position."""
        squares = np.square(self.residuals / self.std)
        squares[:, 2] = np.nan_to_num(squares[:, 2])
        return np.asarray(np.sqrt(squares.sum(axis=1)))

    @property
    def sigma(self) -> float:
        """The standard deviation of good residuals in expected ones, at least 1."""
        dimensions = 2 if self.heights == NONE else 3
        return robust_sigma(self.norms[self.used], dimensions, 4 if self.up.level else 7)


def expected_std(photos: Sequence[TaskPhoto]) -> Array:
    """Standard deviations east, north, up [N,3] in metres: the receiver's own, else those of its kind."""
    rows = [GPS_STD_M if (std := stated_std(photo)) is None else std for photo in photos]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def fit_positions(model: PhotoCentres, seed: int) -> PositionFit:
    """Fit the model to its photos' positions.

    Raises:
        ValueError: they determine nothing; the message says why.
    """
    located = _Located(model)
    if located.trusted.sum() < 3:
        raise ValueError(f"{located.trusted.sum()} placed photos have a position that can be right; 3 are needed")
    near = np.where(_near(located, model.centres, seed)[:, None], located.ground, np.nan)
    path = CameraPath(model.centres, photo_times(model.photos), [photo.camera for photo in model.photos])
    clock = estimate_clock_shift(path, near, located.std[:, :2].max(axis=1))
    centres = clock.centres if clock else model.centres
    candidates: dict[str, Array] = candidate_heights(model.photos) or {NONE: np.full(len(model.photos), np.nan)}
    fits = [_fit_with(located, centres, name, heights, seed) for name, heights in candidates.items()]
    fit = _with_outliers(min(fits, key=_cost), located)
    _check(fit)
    if clock is None:
        return fit
    unmoved = np.linalg.norm(_level_residuals(located, model.centres, located.ground, seed)[:, :2], axis=1)
    return replace(fit, clock=clock, misfit_without_clock_m=float(np.nanmedian(unmoved[fit.used])))


class _Located:
    """The positions of the registered photos, and which of them may be right."""

    def __init__(self, model: PhotoCentres) -> None:
        self.model = model
        self.positions = photo_positions(model.photos)
        self.std = expected_std(model.photos)
        cameras = [photo.camera for photo in model.photos]
        self.suspects = find_wrong_positions(self.positions, photo_times(model.photos), cameras)
        self.trusted: Mask = np.isfinite(self.positions[:, 0])
        self.trusted[list(self.suspects)] = False
        if self.trusted.any():
            places = self.positions[self.trusted]
            if np.isnan(places[:, 2]).all():
                places[:, 2] = 0.0
            self.origin = median_position(places)
            self.ground = self.targets(np.full(len(model.photos), np.nan))[:, :2]

    def targets(self, heights: Array) -> Array:
        """Metres east, north and up of the origin [N,3], with other heights [N]; up is NaN where they are."""
        known = np.isfinite(heights)
        places = np.column_stack([self.positions[:, :2], np.where(known, heights, self.origin[2])])
        found = to_enu(places, self.origin)
        found[~known, 2] = np.nan
        return found


def _near(located: _Located, centres: Array, seed: int) -> Mask:
    """Which trusted positions are not far off on the ground [N], whatever their heights and their clock."""
    residuals = _level_residuals(located, centres, located.ground, seed)
    norms = np.linalg.norm(residuals[:, :2] / located.std[:, :2], axis=1)
    limit = OUTLIER_SIGMAS * robust_sigma(norms[located.trusted], 2, 4)
    return np.asarray(located.trusted & (norms <= limit))


def _level_residuals(located: _Located, centres: Array, targets: Array, seed: int) -> Array:
    """Of a similarity that keeps the photos' up [N,3]."""
    similarity = _level_fit(located, centres, targets, located.model.up.direction, seed)
    moved = similarity.apply(centres)
    moved[:, : targets.shape[1]] -= targets
    return moved


def _level_fit(located: _Located, centres: Array, targets: Array, up: Array, seed: int) -> Similarity:
    rows = located.trusted & np.isfinite(centres).all(axis=1)
    return level_similarity(centres[rows], up, targets[rows], seed).similarity


def _fit_with(located: _Located, centres: Array, name: str, heights: Array, seed: int) -> PositionFit:
    """The fit with heights of one kind, those of another system moved into that of most."""
    targets = located.targets(heights)
    fit = _fit(located, centres, name, targets, seed)
    if name == NONE:
        return fit
    offsets = np.zeros(len(targets))
    level = _level_residuals(located, centres, targets, seed)[:, 2]
    for up_residuals in (fit.residuals[:, 2], level):
        apart = height_system_offsets(np.where(located.trusted, up_residuals, np.nan), located.std[:, 2])
        if apart is None:
            continue
        moved = targets - np.column_stack([np.zeros((len(targets), 2)), apart])
        better = _fit(located, centres, name, moved, seed)
        if PREFERENCE * _misfit(better) < _misfit(fit) or better.used.sum() > fit.used.sum():
            return replace(better, height_offsets=offsets + apart)
    return fit


def _fit(located: _Located, centres: Array, name: str, targets: Array, seed: int) -> PositionFit:
    """The full similarity where positions agree with the photos about up, else one that keeps the photos' up."""
    std, up = located.std, located.model.up
    reachable = located.trusted & np.isfinite(centres).all(axis=1)
    rows = reachable & np.isfinite(targets[:, 2])
    if rows.sum() >= 3:
        full = fit_robust_similarity(centres[rows], targets[rows], std[rows], seed)
        up = located.model.choose_up(centres[rows][full.inliers], full.similarity, full.residuals[full.inliers])
    similarity = _level_fit(located, centres, targets, up.direction, seed) if up.level else full.similarity
    residuals = similarity.apply(centres) - targets
    misfit = float(np.nanmedian(np.abs(residuals[rows, 2]))) if rows.any() else float("nan")
    if up.contradicted or not misfit <= _largest_height_misfit(similarity, centres[rows], std[rows], up):
        residuals[:, 2], name = np.nan, NONE
    fit = PositionFit(
        similarity=similarity,
        origin=located.origin,
        sources=centres,
        targets=targets,
        residuals=residuals,
        std=std,
        used=reachable,
        outliers={},
        heights=name,
        up=up,
        height_misfit_m=misfit,
    )
    return replace(fit, used=reachable & (fit.norms <= OUTLIER_SIGMAS * fit.sigma))


def _largest_height_misfit(similarity: Similarity, centres: Array, std: Array, up: UpChoice) -> float:
    """Metres up to which the median height may miss the model: what heights and the tilt are uncertain by."""
    if not len(centres):
        return 0.0
    moved = similarity.apply(centres)[:, :2]
    radius = float(np.sqrt(np.square(moved - moved.mean(axis=0)).sum(axis=1).mean()))
    return HEIGHT_SIGMAS * 0.6745 * float(np.hypot(np.median(std[:, 2]), up.sigma * radius))


def _misfit(fit: PositionFit) -> float:
    """Median residual in expected standard deviations; heights that contradict the photos count as far off."""
    norms = fit.norms[np.isfinite(fit.norms)]
    return float(np.median(norms)) * (1e3 if fit.heights == NONE else 1.0)


def _cost(fit: PositionFit) -> float:
    return _misfit(fit) / (PREFERENCE if fit.heights == POSITION else 1.0)


def _with_outliers(fit: PositionFit, located: _Located) -> PositionFit:
    """Name the positions that decided nothing; those that were suspected and fit are used after all."""
    norms, limit = fit.norms, OUTLIER_SIGMAS * fit.sigma
    median = length(float(np.median(_lengths(fit.residuals)[fit.used])))
    used, outliers = fit.used.copy(), {}
    for number, norm in enumerate(norms):
        suspect = located.suspects.get(number)
        if suspect is not None and (suspect == NO_FIX or not norm <= limit):
            outliers[number] = suspect
        elif norm > limit:
            off = length(float(_lengths(fit.residuals)[number]))
            outliers[number] = f"it misses the model by {off}, the others by {median} in the median"
        else:
            used[number] = bool(np.isfinite(norm))
    return replace(fit, used=used, outliers=outliers)


def _lengths(residuals: Array) -> Array:
    """Metres [N], on the ground where heights were not used."""
    return np.asarray(np.sqrt(np.square(np.nan_to_num(residuals)).sum(axis=1)))


def _check(fit: PositionFit) -> None:
    """Raise `ValueError` where positions determine no scale or north, or have nothing to do with the model."""
    if fit.used.sum() < 3:
        raise ValueError("fewer than 3 positions agree with the photos")
    if np.linalg.norm(np.ptp(fit.targets[fit.used, :2], axis=0)) < MIN_EXTENT_M:
        raise ValueError("all positions lie in one place")
    moved = fit.similarity.apply(fit.sources[fit.used])[:, :2]
    spread = float(np.sqrt(np.square(moved - moved.mean(axis=0)).sum(axis=1).mean()))
    ground = fit.residuals[fit.used, :2]
    misfit = float(np.sqrt(np.square(ground).sum(axis=1).mean()))
    if not misfit <= MAX_MISFIT * spread:
        raise ValueError(
            f"the positions contradict the photos: they miss the model by {length(misfit)}, which is"
            f" {length(spread)} wide"
        )
