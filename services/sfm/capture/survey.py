"""A whole capture, assessed: figures, findings and which photos are used. Pure: no file is touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.sfm.cameras import assign_cameras
from services.sfm.capture.findings import list_findings, overall_verdict
from services.sfm.capture.flights import longest_gap_s
from services.sfm.capture.footprints import (
    CameraAim,
    Coverage,
    ground_sampling_m,
    measure_coverage,
    project_footprint,
    view_direction,
)
from services.sfm.capture.image_quality import ImageQuality, find_repeats
from services.sfm.capture.subset import choose_subset
from services.sfm.georeference.position_priors import FIXED
from services.sfm.georeference.positions import find_wrong_positions, ground_of
from services.sfm.georeference.wgs84 import median_position, to_enu
from services.sfm.photo import PhotoMetadata
from spaceport.pipeline.reports.sfm import CaptureFigures, CaptureReport, Finding, Verdict

BLURRED: Final = 0.13  # a Gaussian blur of 1.5 to 5 pixels leaves 0.06-0.14 of sharpness, whatever is shown
BLURRED_TO_MEDIAN: Final = 0.5
MAX_FOOTPRINTS: Final = 2000  # are compared; of more photos every n-th

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PhotoAssessment:
    """What the capture report says of one photo; `repeats` names the earlier photo that it looks the same as."""

    sharpness: float
    brightness: float
    blurred: bool
    empty: bool
    repeats: str | None
    used: bool


@dataclass(frozen=True)
class Capture:
    """What a set of photos is worth as a survey.

    `qualities` belongs to `photos`, both in the order of the flight; `ground` is [N,2] metres east and north of the
    middle, NaN without a position; `footprints` are outlines [4,2] by number of the photo; `repeats` maps a photo's
    number to the earlier one that it repeats; `used` are the numbers of the photos that go on, in order;
    `ground_sampling_m` has metres in a pixel for each footprint.
    """

    photos: list[PhotoMetadata]
    qualities: list[ImageQuality]
    ground: Array
    footprints: dict[int, Array]
    blurred: frozenset[int]
    repeats: dict[int, int]
    used: list[int]
    figures: CaptureFigures
    findings: list[Finding]
    coverage: Coverage | None
    ground_sampling_m: list[float]

    @property
    def verdict(self) -> Verdict:
        return overall_verdict(self.findings)

    def on_ground(self, positions: Array) -> Array:
        """Metres east and north [N,2], as `ground`, of positions [N,2] in degrees; some photo must be on it."""
        good = np.isfinite(self.ground[:, 0])
        return to_enu(_at_zero(positions), median_position(_degrees(self.photos)[good]))[:, :2]

    def with_all_used(self) -> Capture:
        """The same for a prior model: every photo is used, and no finding can stop the job."""
        findings = [
            Finding(level=Verdict.WARN, sentence=finding.sentence) if finding.level is Verdict.STOP else finding
            for finding in self.findings
        ]
        return replace(self, used=list(range(len(self.photos))), findings=findings)

    def report(self) -> CaptureReport:
        heights = [photo.relative_altitude_m for photo in self.photos if photo.relative_altitude_m is not None]
        times = sorted(photo.taken_at for photo in self.photos if photo.taken_at is not None)
        return CaptureReport(
            verdict=self.verdict,
            findings=self.findings,
            figures=self.figures,
            cameras=dict(Counter(photo.camera_name or "unknown" for photo in self.photos)),
            height_m=_median(heights),
            height_range_m=(min(heights), max(heights)) if heights else None,
            gimbal_pitch=_median([photo.gimbal_pitch for photo in self.photos if photo.gimbal_pitch is not None]),
            ground_sampling_cm=_median([100 * metres for metres in self.ground_sampling_m]),
            area_m2=round(self.coverage.area_m2, 1) if self.coverage else None,
            begun=times[0].isoformat() if times else None,
            ended=times[-1].isoformat() if times else None,
        )

    def assessments(self) -> dict[str, PhotoAssessment]:
        """Of each photo, by name."""
        used = set(self.used)
        return {
            photo.name: PhotoAssessment(
                sharpness=round(quality.sharpness, 3),
                brightness=round(quality.brightness, 3),
                blurred=number in self.blurred,
                empty=quality.is_empty,
                repeats=self.photos[self.repeats[number]].name if number in self.repeats else None,
                used=number in used,
            )
            for number, (photo, quality) in enumerate(zip(self.photos, self.qualities, strict=True))
        }


def assess_capture(
    photos: Sequence[PhotoMetadata],
    quality_by_name: dict[str, ImageQuality],
    unreadable: int,
    max_photos: int,
    control_points: int = 0,
) -> Capture:
    """Assess readable photos, at least one.

    Args:
        photos: in any order.
        quality_by_name: of each photo.
        unreadable: how many more were sent.
        max_photos: of how many at most the model is made.
        control_points: how many came with them.
    """
    flown = _sort_by_time(photos)
    qualities = [quality_by_name[photo.name] for photo in flown]
    ground = _to_ground(flown)
    footprints, aims = _footprints(flown, ground)
    blurred, repeats = _blurred(qualities), dict(find_repeats(qualities))
    empty = {number for number, quality in enumerate(qualities) if quality.is_empty}
    directions = [view_direction(aim) for aim in aims]
    coverage = measure_coverage(list(footprints.values()), directions) if len(footprints) > 1 else None
    figures = _figures(flown, qualities, unreadable, len(blurred), len(repeats), coverage)
    figures = figures.model_copy(update={"control_points": control_points})
    skipped = empty | repeats.keys()
    used = choose_subset(range(len(flown)), [quality.sharpness for quality in qualities], skipped, max_photos)
    findings = list_findings(figures)
    if len(used) < len(flown) - len(skipped):
        sentence = f"{len(used)} of {len(flown)} photos are used: even along the flight, and sharp."
        findings.append(Finding(level=Verdict.GO, sentence=sentence))
    return Capture(
        photos=flown,
        qualities=qualities,
        ground=ground,
        footprints=footprints,
        blurred=blurred,
        repeats=repeats,
        used=used,
        figures=figures,
        findings=findings,
        coverage=coverage,
        ground_sampling_m=[ground_sampling_m(aim) for aim in aims],
    )


def _sort_by_time(photos: Sequence[PhotoMetadata]) -> list[PhotoMetadata]:
    """In the order in which they were taken if all have a time, else by name."""
    times = [photo.taken_at for photo in photos]
    if any(time is None for time in times):
        return sorted(photos, key=lambda photo: photo.name)
    return sorted(photos, key=lambda photo: (photo.taken_at, photo.name))


def _to_ground(photos: list[PhotoMetadata]) -> Array:
    """[N,2] metres east and north of the middle; NaN without a position, or with one that cannot be right."""
    degrees = _degrees(photos)
    times = [photo.taken_at.timestamp() if photo.taken_at else np.nan for photo in photos]
    cameras = [photo.camera_key for photo in photos]
    return ground_of(degrees, find_wrong_positions(degrees, np.array(times), cameras))


def _degrees(photos: list[PhotoMetadata]) -> Array:
    """Latitude, longitude and an altitude of 0 [N,3]; NaN in the rows of photos without a position."""
    return _at_zero(np.array([photo.position[:2] if photo.position else (np.nan, np.nan) for photo in photos]))


def _at_zero(degrees: Array) -> Array:
    return np.column_stack([degrees, 0 * degrees[:, 0]])


def _footprints(photos: list[PhotoMetadata], ground: Array) -> tuple[dict[int, Array], list[CameraAim]]:
    """Outlines by number, and aims, of the photos whose height and direction are known."""
    step = -(-len(photos) // MAX_FOOTPRINTS)
    outlines: dict[int, Array] = {}
    aims = []
    for number in range(0, len(photos), step):
        aim = _camera_aim(photos[number], ground[number])
        if aim and (outline := project_footprint(aim)) is not None:
            outlines[number] = outline
            aims.append(aim)
    return outlines, aims


def _camera_aim(photo: PhotoMetadata, east_north: Array) -> CameraAim | None:
    height, pitch, yaw, focal = photo.relative_altitude_m, photo.gimbal_pitch, photo.gimbal_yaw, photo.known_focal_px
    if np.isnan(east_north).any() or height is None or height <= 0 or pitch is None or yaw is None or focal is None:
        return None
    return CameraAim(float(east_north[0]), float(east_north[1]), height, pitch, yaw, focal, photo.width, photo.height)


def _blurred(qualities: list[ImageQuality]) -> frozenset[int]:
    """Photos as soft as blur makes them, or far softer than the others."""
    sharpness = np.array([quality.sharpness for quality in qualities])
    least = max(BLURRED, BLURRED_TO_MEDIAN * float(np.median(sharpness)))
    return frozenset(
        number for number, quality in enumerate(qualities) if quality.sharpness < least and not quality.is_empty
    )


def _figures(
    photos: list[PhotoMetadata],
    qualities: list[ImageQuality],
    unreadable: int,
    blurred: int,
    repeated: int,
    coverage: Coverage | None,
) -> CaptureFigures:
    return CaptureFigures(
        photos=len(photos),
        unreadable=unreadable,
        empty=sum(quality.is_empty for quality in qualities),
        repeated=repeated,
        blurred=blurred,
        cameras=len(assign_cameras(photos, [(photo.width, photo.height) for photo in photos])[1]),
        exposure_stops=_exposure_stops(photos, qualities),
        located=sum(photo.position is not None for photo in photos),
        overlap=float(np.median(coverage.overlap)) if coverage else None,
        views=coverage.views if coverage else None,
        thin=coverage.thin if coverage else None,
        longest_gap_s=longest_gap_s(photos),
        rtk=sum(photo.rtk_flag is not None for photo in photos),
        rtk_fixed=sum(photo.rtk_flag == FIXED for photo in photos),
        position_std_m=_position_std(photos),
    )


def _position_std(photos: list[PhotoMetadata]) -> tuple[float, float] | None:
    deviations = np.array([photo.position_std_m for photo in photos if photo.position_std_m is not None])
    if len(deviations) == 0:
        return None
    return float(np.median(np.hypot(deviations[:, 0], deviations[:, 1]))), float(np.median(deviations[:, 2]))


def _exposure_stops(photos: list[PhotoMetadata], qualities: list[ImageQuality]) -> float | None:
    """Between the darkest and the brightest twentieth: by the cameras' settings if all have them, else by pixels."""
    settings = [
        np.log2(photo.exposure_s * photo.iso / photo.f_number**2)
        for photo in photos
        if photo.exposure_s and photo.iso and photo.f_number
    ]
    if len(settings) == len(photos):
        low, high = np.percentile(settings, (5, 95))
        return float(high - low)
    brightness = [quality.brightness for quality in qualities if not quality.is_empty and quality.brightness > 0]
    if not brightness:
        return None
    low, high = np.percentile(np.log2(brightness), (5, 95))
    return float(2.2 * (high - low))  # grey levels grow with about the 1/2.2th power of light


def _median(values: Sequence[float]) -> float | None:
    return round(float(np.median(values)), 2) if values else None
