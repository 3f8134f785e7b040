"""Builds `report.json`: what became of each photo, of each model, and how well positions fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

from services.sfm.capture.survey import Capture, PhotoAssessment
from services.sfm.colmap.policy import ENOUGH_REGISTERED
from services.sfm.colmap.snapshot import Snapshot
from services.sfm.messages import ColmapResult, PhotoResult, TaskPhoto
from services.sfm.photo import PhotoMetadata, Unreadable
from services.sfm.photos.ingest import IngestResult
from services.sfm.report.offsets import Offset, offsets_from_positions
from services.sfm.report.shutter import rolling_shutter
from spaceport.pipeline.errors import SENTENCES, Slug
from spaceport.pipeline.options import SfmOptions
from spaceport.pipeline.reports.sfm import Georeference, PhotoReport, PriorModelReport, SfmReport

NO_FEATURES: Final = "no features were found in it"
NOT_USED: Final = "enough others show the same, or better"
NO_PARTNER: Final = "no other photo shows enough of the same"
ELSEWHERE: Final = "it belongs to another part, which shares nothing with this one"
NOT_REGISTERED: Final = "it shares too little with the photos that were placed"


def build_report(
    ingested: IngestResult,
    staged: dict[str, TaskPhoto],
    prior_model: PriorModelReport | None,
    capture: Capture,
    result: ColmapResult,
    options: SfmOptions,
    snapshot: Snapshot,
    thumbs: Mapping[str, int],
) -> SfmReport:
    """The report of one run. `staged` maps names to the photos that COLMAP got; `snapshot` has the finished model.

    `thumbs`: numbers of tiles by name, as `write_thumbs` returns them.
    """
    apart = _separate_parts(staged, result)
    positions = {photo.name: photo.position for photo in ingested.readable}
    offsets = offsets_from_positions(snapshot, positions, result.georeference)
    elsewhere = {name for part in apart for name in part}
    return SfmReport(
        options=options,
        intake=ingested.report(),
        given=prior_model,
        capture=capture.report(),
        rolling_shutter=rolling_shutter(ingested.readable),
        matching=result.matching,
        model=result.models[0],
        other_models=result.models[1:],
        apart=apart,
        cameras=result.cameras,
        georeference=_without_residuals(georeference_by_name(staged, result)),
        findings=[*ingested.findings, *result.findings],
        photos=_photo_reports(ingested.photos, staged, capture, result, elsewhere, offsets, thumbs),
    )


def georeference_by_name(staged: dict[str, TaskPhoto], result: ColmapResult) -> Georeference:
    """For `georeference.json`: residuals, outliers and marks that were left out under the users' names."""
    names = {photo.file: name for name, photo in staged.items()}
    by_file = {"residuals_m": result.georeference.residuals_m, "outliers": result.georeference.outliers}
    renamed = {
        field: {names[file]: value for file, value in values.items()} for field, values in by_file.items() if values
    }
    points = [
        point.model_copy(update={"left_out": [names[file] for file in point.left_out]}) if point.left_out else point
        for point in result.georeference.control_points or []
    ]
    return result.georeference.model_copy(update=renamed | ({"control_points": points} if points else {}))


def missing_photo_warnings(report: SfmReport) -> list[str]:
    """What a pilot must know whose photos are not all in the model."""
    registered, parts = report.model.photos, [len(names) for names in report.apart]
    used = sum(bool(photo.used) for photo in report.photos)
    warnings = []
    if parts:
        others = " and ".join(f"{number:,}" for number in parts)
        warnings.append(
            f"The photos fall into {len(parts) + 1} parts that share nothing. This model is of the largest,"
            f" {registered:,} photos; {others} are left out. If they show another place, upload them by themselves;"
            " if not, photograph what lies between."
        )
    if registered + sum(parts) < ENOUGH_REGISTERED * used:
        warnings.append(SENTENCES[Slug.TOO_FEW_REGISTERED].format(count=registered, total=used))
    return warnings


def _separate_parts(staged: dict[str, TaskPhoto], result: ColmapResult) -> list[list[str]]:
    """Names of the photos of each part that shares nothing with the model, the largest part first."""
    names = {photo.file: name for name, photo in staged.items()}
    return sorted(([names[file] for file in files] for files in result.separate_parts), key=len, reverse=True)


def _without_residuals(georeference: Georeference) -> Georeference:
    return Georeference.model_validate(georeference.model_dump(exclude={"residuals_m", "outliers"}))


def _photo_reports(
    photos: Sequence[PhotoMetadata | Unreadable],
    staged: dict[str, TaskPhoto],
    capture: Capture,
    result: ColmapResult,
    elsewhere: set[str],
    offsets: dict[str, Offset],
    thumbs: Mapping[str, int],
) -> list[PhotoReport]:
    assessments = capture.assessments()
    georeference = georeference_by_name(staged, result)
    residuals, outliers = georeference.residuals_m or {}, georeference.outliers or {}
    reports = []
    for photo in photos:
        if isinstance(photo, Unreadable):
            reports.append(PhotoReport(name=photo.name, registered=False, reason=photo.reason))
            continue
        assessment, photo_result = assessments[photo.name], result.photos.get(staged[photo.name].file)
        reports.append(
            PhotoReport(
                name=photo.name,
                width=photo.width,
                height=photo.height,
                camera=photo.camera_name,
                focal_mm=photo.focal_mm,
                focal_px=photo.focal_px,
                position=photo.position,
                orientation=photo.orientation,
                **asdict(assessment),
                **(asdict(photo_result) if photo_result else {"registered": False}),
                reason=_reason(photo_result, assessment, photo.name in elsewhere),
                dense_name=staged[photo.name].dense_name,
                gps_residual_m=residuals.get(photo.name),
                gps_outlier=outliers.get(photo.name),
                gps_offset_m=offsets.get(photo.name),
                thumb=thumbs.get(photo.name),
            )
        )
    return reports


def _reason(photo: PhotoResult | None, assessment: PhotoAssessment, elsewhere: bool) -> str | None:
    """Why the photo is not registered, None where it is; `photo` is None where COLMAP did not get it."""
    if photo is None:
        return NOT_USED
    if photo.registered:
        return None
    if elsewhere:
        return ELSEWHERE
    reason = NO_FEATURES if not photo.features else NO_PARTNER if not photo.partners else NOT_REGISTERED
    return f"it is blurred, and {reason}" if assessment.blurred else reason
