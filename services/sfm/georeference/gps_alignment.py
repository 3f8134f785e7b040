"""Aligns a model to east, north and up in metres where the photos have GPS positions, and upright where they do not.

The model is moved by one similarity after mapping. Position priors within bundle adjustment were the other choice: on
good GPS they give the same residual, on bad GPS they bend the model, which a similarity cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import pycolmap

from services.sfm.georeference.accuracy import GPS_DRIFT_M, Accuracy, assess_accuracy
from services.sfm.georeference.alignment import ENU_AXES, ENU_CRS, Alignment, PositionTarget
from services.sfm.georeference.heights import NONE
from services.sfm.georeference.position_findings import bent_model, fit_findings, unused_positions, wrong_positions
from services.sfm.georeference.position_fit import PhotoCentres, PositionFit, expected_std, fit_positions
from services.sfm.georeference.position_priors import stated_std
from services.sfm.georeference.positions import find_wrong_positions, photo_positions, photo_times
from services.sfm.georeference.similarity import Similarity
from services.sfm.georeference.up.choice import by_photos, choose_up
from services.sfm.georeference.up.combine import UpEstimate
from services.sfm.georeference.up.photos import posed_photos
from services.sfm.georeference.upright import photo_evidence, rotation_to_z
from services.sfm.georeference.wgs84 import Array, enu_to_ecef
from services.sfm.messages import TaskPhoto
from spaceport.pipeline.reports.sfm import GeodeticOrigin, Georeference

LOOKS_DOWN: Final = np.cos(np.radians(20.0))


def estimate_gps_alignment(
    model: Any,
    photos: Sequence[TaskPhoto],
    seed: int,
    *,
    focal_uncertainty: float | None = None,
) -> Alignment:
    """The alignment of a `pycolmap.Reconstruction` to its photos' positions; the model is not moved.

    Args:
        model: whose images are named by `TaskPhoto.file`.
        photos: all of the task.
        seed: of what is drawn.
        focal_uncertainty: as `assess_accuracy` takes it.
    """
    images = {image.name: image for image in model.images.values() if image.has_pose}
    registered = [photo for photo in photos if photo.file in images]
    posed = posed_photos(model, registered)
    centres, evidence = posed.centres, photo_evidence(posed, seed)
    up = by_photos(evidence)
    choose = partial(choose_up, evidence, up, _drift_m(registered))
    try:
        fit = fit_positions(PhotoCentres(registered, centres, up, choose), seed)
    except ValueError as reason:
        return _upright_alignment(up.estimate, centres, registered, photos, str(reason))
    looks_down = bool((-(posed.views @ fit.up.direction) > LOOKS_DOWN).all())
    accuracy = _assess(fit, registered, focal_uncertainty, looks_down)
    return _alignment(fit, centres, registered, photos, accuracy)


def _alignment(
    fit: PositionFit,
    centres: Array,
    registered: Sequence[TaskPhoto],
    photos: Sequence[TaskPhoto],
    accuracy: Accuracy,
) -> Alignment:
    lengths = np.sqrt(np.square(fit.residuals[:, :2]).sum(axis=1) + np.square(np.nan_to_num(fit.residuals[:, 2])))
    files = [photo.file for photo in registered]
    outliers = {files[number]: reason for number, reason in fit.outliers.items()}
    outliers |= {file: reason for file, reason in _suspects(photos).items() if file not in files}
    georeference = Georeference(
        aligned=True,
        **accuracy.fields(),
        method="place, scale and north by positions, up by the photos" if fit.up.level else "similarity over positions",
        axes=ENU_AXES,
        crs=ENU_CRS,
        origin=GeodeticOrigin(latitude=fit.origin[0], longitude=fit.origin[1], altitude_m=fit.origin[2]),
        to_ecef=enu_to_ecef(fit.origin).tolist(),
        photos=int(fit.used.sum()),
        extent_m=_extent(fit),
        median_residual_m=float(np.median(lengths[fit.used])),
        max_residual_m=float(lengths[fit.used].max()),
        residuals_m={file: float(metres) for file, metres in zip(files, lengths, strict=True) if np.isfinite(metres)},
        heights=fit.heights,
        clock_shift_s=fit.clock.seconds if fit.clock else None,
        outliers=outliers,
    )
    names = {photo.file: photo.name for photo in photos}
    located = sum(photo.position is not None for photo in photos)
    findings = [
        *wrong_positions({names[file]: reason for file, reason in outliers.items()}, located),
        *fit_findings(fit, registered),
        *(bent_model(accuracy.dome_m, _extent(fit)) if accuracy.metric else []),
    ]
    targets = _position_targets(fit, files, centres)
    return Alignment(to_sim3d(fit.similarity), georeference, findings, targets, fit.up.estimate)


def _extent(fit: PositionFit) -> float:
    """Diagonal of the positions that decided, on the ground where heights did not."""
    places = fit.targets[fit.used][:, : 2 if fit.heights == NONE else 3]
    return float(np.linalg.norm(np.nanmax(places, axis=0) - np.nanmin(places, axis=0)))


def _assess(
    fit: PositionFit,
    registered: Sequence[TaskPhoto],
    focal_uncertainty: float | None,
    looks_down: bool,
) -> Accuracy:
    """How exact lengths are: positions in the order in which they were taken."""
    order = [number for number in np.argsort(photo_times(registered), kind="stable") if fit.used[number]]
    ground_std = float(np.median(fit.std[order, :2]))
    exact = all(stated_std(registered[number]) is not None for number in order)
    heights = (
        [f"the heights of the positions miss it by {fit.height_misfit_m:.0f} m in the median"]
        if fit.heights == NONE and np.isfinite(fit.height_misfit_m)
        else []
    )
    return assess_accuracy(
        fit.targets[order],
        fit.residuals[order],
        stated_std_m=ground_std if exact else None,
        drift_m=min(ground_std, GPS_DRIFT_M) if exact else GPS_DRIFT_M,
        focal_uncertainty=focal_uncertainty,
        looks_down=looks_down,
        contradictions=heights,
    )


def _position_targets(fit: PositionFit, files: Sequence[str], centres: Array) -> dict[str, PositionTarget]:
    """The positions that decided, by file, each where its photo was taken: moved by what was flown in the lag."""
    places = fit.targets + fit.similarity.apply(centres) - fit.similarity.apply(fit.sources)
    if fit.heights == NONE:
        places[:, 2] = np.nan
    return {
        file: PositionTarget(places[number], fit.std[number]) for number, file in enumerate(files) if fit.used[number]
    }


def _drift_m(photos: Sequence[TaskPhoto]) -> float:
    """By how much heights differ from one end of the survey to the other, with nothing in the residuals to show it."""
    stated = [stated_std(photo) is not None for photo in photos]
    std = float(np.median(expected_std(photos)[:, 2])) if photos and all(stated) else GPS_DRIFT_M
    return min(std, GPS_DRIFT_M)


def _suspects(photos: Sequence[TaskPhoto]) -> dict[str, str]:
    """Files of photos, registered or not, whose position cannot be right, with the reason."""
    cameras = [photo.camera for photo in photos]
    wrong = find_wrong_positions(photo_positions(photos), photo_times(photos), cameras)
    return {photos[number].file: reason for number, reason in wrong.items()}


def to_sim3d(similarity: Similarity) -> Any:
    """As a `pycolmap.Sim3d`."""
    return pycolmap.Sim3d(np.column_stack([similarity.scale * similarity.rotation, similarity.translation]))


def _upright_alignment(
    up: UpEstimate, centres: Array, registered: Sequence[TaskPhoto], photos: Sequence[TaskPhoto], reason: str
) -> Alignment:
    """What turns the model so that z is up by what its photos say, its origin in their middle, at COLMAP's scale."""
    rotation = rotation_to_z(up.direction)
    similarity = pycolmap.Sim3d(np.column_stack([rotation, -rotation @ np.median(centres, axis=0)]))
    wrong = _suspects(photos)
    georeference = Georeference(
        aligned=False,
        metric=False,
        reason=reason,
        axes=f"z up, to about {max(1.0, up.sigma_deg):.0f}°, by what the photos say; no scale",
        outliers=wrong,
    )
    names = {photo.file: photo.name for photo in photos}
    located = sum(photo.position is not None for photo in registered)
    findings = [
        *unused_positions(located, reason),
        *wrong_positions({names[file]: why for file, why in wrong.items()}, located),
    ]
    return Alignment(similarity, georeference, findings, up=up)
