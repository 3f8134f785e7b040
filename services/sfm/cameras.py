"""Which photos share a camera, and what is known of its lens before COLMAP begins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from services.sfm.messages import TaskCamera
from services.sfm.photo import LensCalibration, PhotoMetadata
from services.sfm.photos.calibration import fold_k3

SAME_FOCAL: Final = 0.01  # relative: what focusing changes, and less than what would bend a model
FEW_PHOTOS: Final = 8  # too few for a camera of their own, where another has nearly the same focal length
FINAL_MODEL: Final = "OPENCV"  # FULL_OPENCV gains nothing on drones, and takes values that no lens has
CALIBRATION_STD: Final = 0.005  # focal length of a lens that was calibrated one by one: temperature, focus
NOMINAL_STD: Final = 0.015  # of a calibration without distortion: the design's, not the lens's
FILM_STD: Final = 0.018  # of 35 mm equivalents beside their rounding; five calibrated cameras are off by 0.5 to 2.6 %
FILM_ROUNDING_MM: Final = 1 / math.sqrt(12)
CROP_STD: Final = 0.02  # more where a photo is cut out of a sensor of unknown shape
DENSITY_STD: Final = 0.03  # of focal lengths in mm times the sensor's density
_WIDE_ASPECT: Final = 1.55
_NARROW_ASPECT: Final = 1.3

Size = tuple[int, int]


@dataclass(frozen=True)
class _View:
    """A photo, the size in which COLMAP gets it, and EXIF's focal length in pixels of that size."""

    index: int
    photo: PhotoMetadata
    size: Size
    exif_focal: float | None
    exif_std: float | None

    @property
    def scale(self) -> float:
        return self.size[0] / self.photo.width

    @property
    def focal(self) -> float | None:
        """What tells cameras of one body apart: pixels, else millimetres."""
        if self.photo.calibration:
            return (self.photo.calibration.fx + self.photo.calibration.fy) / 2 * self.scale
        return self.exif_focal or self.photo.focal_mm


def assign_cameras(photos: Sequence[PhotoMetadata], sizes: Sequence[Size]) -> tuple[list[int], list[TaskCamera]]:
    """The number of each photo's camera, and the cameras, in the order in which photos bring them.

    Photos share a camera where all that tells lenses apart is equal: body, lens, size, focal length, zoom, calibration.
    Where that leaves a few photos by themselves, those with nearly the same focal length join them: a camera of two
    photos determines nothing. `sizes` are the photos' as COLMAP gets them.
    """
    zooms = _unzoomed_equivalents(photos)
    views = [_view(index, photo, size, zooms) for index, (photo, size) in enumerate(zip(photos, sizes, strict=True))]
    by_body: dict[object, dict[object, list[_View]]] = {}
    for view in views:
        alike = by_body.setdefault((view.photo.body_key, view.size), {})
        alike.setdefault((view.photo.camera_key, view.exif_focal), []).append(view)
    groups = [group for alike in by_body.values() for group in _join_small(list(alike.values()))]
    groups.sort(key=lambda group: min(view.index for view in group))
    numbers = {view.index: number for number, group in enumerate(groups) for view in group}
    return [numbers[view.index] for view in views], [_describe(group) for group in groups]


def _join_small(groups: list[list[_View]]) -> list[list[_View]]:
    """The groups of one body, those of few photos joined with others of nearly the same focal length."""
    joined: list[list[_View]] = []
    for group in sorted(groups, key=lambda group: (group[0].focal or 0.0, group[0].index)):
        if joined and _belong_together(joined[-1], group):
            joined[-1].extend(group)
        else:
            joined.append(list(group))
    return joined


def _belong_together(shorter: list[_View], longer: list[_View]) -> bool:
    first, focal = shorter[0].focal, longer[0].focal
    if not first or not focal or focal > (1 + SAME_FOCAL) * first:
        return False
    return min(len(shorter), len(longer)) < FEW_PHOTOS


def _describe(views: list[_View]) -> TaskCamera:
    """What is known of the camera of these photos, in pixels of the photos that COLMAP gets."""
    typical = sorted(views, key=lambda view: view.focal or 0.0)[len(views) // 2]
    photo, (width, height) = typical.photo, typical.size
    exif = [view.exif_focal for view in views if view.exif_focal is not None]
    exif_focal = median(exif) if exif else None
    lens = photo.calibration
    if lens is not None:
        model, params = _calibrated_lens(photo, lens, typical)
        std: float | None = CALIBRATION_STD if lens.has_distortion else NOMINAL_STD
    else:
        model, std = "SIMPLE_RADIAL", typical.exif_std
        params = [] if exif_focal is None else [exif_focal, width / 2, height / 2, 0.0]
    return TaskCamera(
        name=photo.camera_name,
        width=width,
        height=height,
        model=model,
        params=params,
        source="calibration" if lens else "exif" if params else "unknown",
        focal_std=std,
        final_model=FINAL_MODEL,
        exif_focal=exif_focal,
        exif_focal_std=typical.exif_std,
        dewarped=bool(photo.dewarped),
    )


def _calibrated_lens(photo: PhotoMetadata, lens: LensCalibration, view: _View) -> tuple[str, list[float]]:
    """COLMAP's model of a calibrated lens and its parameters."""
    (width, height), scale = view.size, view.scale
    focal, cx, cy = (lens.fx + lens.fy) / 2 * scale, width / 2 + lens.cx * scale, height / 2 + lens.cy * scale
    if photo.dewarped:  # resampled onto a pinhole with the same focal length and principal point, as OpenCV does
        return "SIMPLE_PINHOLE", [focal, cx, cy]
    if not lens.has_distortion:
        return "SIMPLE_RADIAL", [focal, cx, cy, 0.0]
    k1, k2 = fold_k3(lens, (photo.width, photo.height))
    return "OPENCV", [lens.fx * scale, lens.fy * scale, cx, cy, k1, k2, lens.p1, lens.p2]


def _view(index: int, photo: PhotoMetadata, size: Size, unzoomed: dict[object, float]) -> _View:
    if photo.focal_px is None:
        return _View(index, photo, size, None, None)
    zoom, std = 1.0, _exif_std(photo)
    if photo.digital_zoom > 1 and photo.focal_35mm is not None and photo.calibration is None:
        reference = unzoomed.get(_zoom_key(photo))
        if reference is None:
            std = math.hypot(std, math.log(photo.digital_zoom) / 2)
        elif photo.focal_35mm / reference < math.sqrt(photo.digital_zoom):
            zoom = photo.digital_zoom
    return _View(index, photo, size, photo.focal_px * zoom * size[0] / photo.width, std)


def _unzoomed_equivalents(photos: Sequence[PhotoMetadata]) -> dict[object, float]:
    """35 mm equivalents of lenses without zoom. They tell whether a camera counts its zoom in the equivalent.

    By the standard it does (CIPA DC-008: the equivalent is that of the recorded photo), and phones do; others go on to
    write the lens's.
    """
    return {_zoom_key(photo): photo.focal_35mm for photo in photos if photo.focal_35mm and photo.digital_zoom == 1}


def _zoom_key(photo: PhotoMetadata) -> object:
    return photo.make, photo.model, photo.lens_model, photo.focal_mm


def _exif_std(photo: PhotoMetadata) -> float:
    """Relative standard deviation of EXIF's focal length."""
    if photo.focal_35mm is None:
        return DENSITY_STD
    aspect = max(photo.width, photo.height) / min(photo.width, photo.height)
    std = math.hypot(FILM_STD, FILM_ROUNDING_MM * photo.digital_zoom / photo.focal_35mm)
    return std if _NARROW_ASPECT < aspect < _WIDE_ASPECT else math.hypot(std, CROP_STD)
