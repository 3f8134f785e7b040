"""The figures of a report page, in words: the model, its accuracy, the capture."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import numpy as np

from services.sfm.wording import count, length
from spaceport.pipeline.reports.sfm import (
    CaptureReport,
    Georeference,
    MatchingReport,
    PhotoReport,
    ReconstructionReport,
    SfmReport,
    UpReport,
)

_STRAIGHT_DOWN: Final = -80  # degrees of pitch, below which nobody sees a tilt
_WORTH_A_WORD: Final = 1.5  # times the uncertainty of lengths
_LEAST_SHARE: Final = 0.0001  # nobody believes in lengths to better than 0.01 %
_HEIGHTS: Final = {
    "absolute": "the drone's own altitude, as positions had none that fits",
    "relative": "the drone's height over its take-off, as positions had none that fits",
    "none": "nothing: positions place the model on the map only",
}


def lengths_sentence(georeference: Georeference) -> str:
    """Whether lengths in the model are metres, and to how much; else why not."""
    if not georeference.aligned:
        return f"Scale and place are not known: {georeference.reason}."
    exact = _uncertainty(georeference)
    if georeference.metric:
        return f"Lengths are in metres{f', to {exact}' if exact else ''}{_heights_apart(georeference)}."
    if georeference.unit_m is not None and not georeference.metric_reason:
        return f"A unit of the model is {georeference.unit_m:.3g} m{f', to {exact}' if exact else ''}."
    reason = georeference.metric_reason or "positions and model do not fit well enough"
    return f"Lengths may not be called metres: {reason}."


def _heights_apart(georeference: Georeference) -> str:
    """How exact heights are, where that is much less than lengths on the ground."""
    heights, lengths = georeference.height_uncertainty, georeference.scale_uncertainty
    if heights is None or lengths is None or heights < _WORTH_A_WORD * max(lengths, _LEAST_SHARE):
        return ""
    return f"; heights over the ground to ± {100 * heights:.2g}%, as all photos look straight down"


def _uncertainty(georeference: Georeference) -> str:
    share = georeference.scale_uncertainty
    if share is None:
        share = georeference.scale_error
    if share is None:
        return ""
    metres, extent = georeference.uncertainty_m, georeference.extent_m
    percent = f"± {100 * max(share, _LEAST_SHARE):.2g}%"
    if metres is None or extent is None:
        return percent
    return f"{percent} (± {length(max(metres, _LEAST_SHARE * extent))} over {length(extent)})"


def model_figures(report: SfmReport) -> dict[str, str | None]:
    """Name to words; None where there is nothing to say."""
    model, place = report.model, report.georeference
    error = model.reprojection_error_px
    return {
        "Points": _points(model),
        "Reprojection error": f"{error:.2f} pixels" if error is not None else None,
        "Pairs of photos": _pairs(report.matching),
        "Placed by": _aligned_by(place),
        "Photos off their positions": _offsets(report.photos, place) or _median_residual(place),
        "Positions not used": _outliers(report.photos),
        "Positions in the adjustment": _priors(place),
        "Camera's clock": _clock(place.clock_shift_s),
        "Heights are taken from": _HEIGHTS.get(place.heights or ""),
        "Bending": _dome(place.dome_m),
        "Up is known": _up(place.up),
        "Up is contradicted by": _contradictions(place.up),
        "Tilt of the ground": _ground_tilt(place.up),
    }


def _aligned_by(georeference: Georeference) -> str | None:
    if not georeference.aligned:
        return None
    points = [point for point in georeference.control_points or [] if point.role == "control" and not point.reason]
    if points:
        return f"{count(len(points), 'control point')}"
    unused = georeference.control_points_unused
    return f"positions of the photos{f'; control points decided nothing: {unused}' if unused else ''}"


def _offsets(photos: Sequence[PhotoReport], georeference: Georeference) -> str | None:
    """Median and largest distance on the ground, and the median in height, of the positions that were used."""
    placed = [photo for photo in photos if photo.gps_offset_m and not photo.gps_outlier]
    if not placed:
        return None
    ground = [float(np.hypot(*photo.gps_offset_m[:2])) for photo in placed if photo.gps_offset_m]
    up = [abs(photo.gps_offset_m[2]) for photo in placed if photo.gps_offset_m and photo.gps_offset_m[2] is not None]
    furthest = int(np.argmax(ground))
    words = f"{length(float(np.median(ground)))} on the ground"
    if up:
        words += f" and {length(float(np.median(up)))} in height"
    lag = ", before the clock is corrected" if georeference.clock_shift_s else ""
    return f"{words} in the median{lag}; on the ground {length(ground[furthest])} at most ({placed[furthest].name})"


def _median_residual(georeference: Georeference) -> str | None:
    if georeference.median_residual_m is None or georeference.control_points is not None:
        return None
    return f"{length(georeference.median_residual_m)} in the median"


def _outliers(photos: Sequence[PhotoReport]) -> str | None:
    names = [photo.name for photo in photos if photo.gps_outlier]
    if not names:
        return None
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{len(names)}: {', '.join(names[:5])}{more}"


def _priors(georeference: Georeference) -> str | None:
    if not georeference.prior_photos:
        return None
    words = f"those of {count(georeference.prior_photos)}"
    if georeference.prior_std_m is None:
        return words
    ground, height = georeference.prior_std_m
    return f"{words}, trusted to {length(ground)} on the ground and {length(height)} in height"


def _clock(shift_s: float | None) -> str | None:
    if not shift_s:
        return None
    return f"positions {'lag' if shift_s > 0 else 'run ahead'} by {abs(shift_s):.1f} s along the flight; corrected"


def _dome(metres: float | None) -> str | None:
    if metres is None:
        return None
    side = "above" if metres > 0 else "below"
    return f"the middle stands {length(abs(metres))} {side} the rim, against the positions"


def _up(up: UpReport | None) -> str | None:
    if up is None:
        return None
    sources = [evidence.source for evidence in up.evidence if not evidence.contradicted][:3]
    return f"to ± {up.sigma_deg:.1f}°{f', from {_listed(sources)}' if sources else ''}"


def _contradictions(up: UpReport | None) -> str | None:
    """The sources that had no part in the direction of up."""
    contradicted = [evidence for evidence in up.evidence if evidence.contradicted] if up else []
    return _listed([f"{evidence.source}, by {evidence.angle_deg:.1f}°" for evidence in contradicted]) or None


def _ground_tilt(up: UpReport | None) -> str | None:
    if up is None or up.ground_tilt_deg is None:
        return None
    return f"{up.ground_tilt_deg:.1f}°, as the plane that fits most points tells it"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def capture_figures(report: SfmReport) -> dict[str, str | None]:
    """Name to words; None where there is nothing to say."""
    capture = report.capture
    overlap, sampling, area = capture.figures.overlap, capture.ground_sampling_cm, capture.area_m2
    return {
        "Cameras": ", ".join(f"{name} ({count(number)})" for name, number in capture.cameras.items()),
        "Drone": ", ".join(report.rolling_shutter.drones),
        "Taken": _taken(capture),
        "Height above take-off": _height(capture),
        "Camera looks": _view(capture.gimbal_pitch),
        "Ground covered": _area(area) if area is not None else None,
        "Ground in a pixel": f"{sampling:.1f} cm" if sampling is not None else None,
        "Overlap with the best neighbour": f"{overlap:.0%}" if overlap is not None else None,
    }


def _taken(capture: CaptureReport) -> str | None:
    if not capture.begun or not capture.ended:
        return None
    begun, ended = datetime.fromisoformat(capture.begun), datetime.fromisoformat(capture.ended)
    return f"{begun:%Y-%m-%d %H:%M} to {ended:{'%H:%M' if begun.date() == ended.date() else '%Y-%m-%d %H:%M'}}"


def _height(capture: CaptureReport) -> str | None:
    if capture.height_m is None or capture.height_range_m is None:
        return None
    low, high = capture.height_range_m
    return f"{capture.height_m:.1f} m ({low:.1f} to {high:.1f})"


def _view(pitch: float | None) -> str | None:
    if pitch is None:
        return None
    return "straight down" if pitch < _STRAIGHT_DOWN else f"{-pitch:.0f}° below the horizon in the median"


def _area(square_metres: float) -> str:
    return f"{square_metres / 10_000:.1f} ha" if square_metres >= 10_000 else f"{square_metres:,.0f} m²"


def _pairs(matching: MatchingReport) -> str | None:
    if not matching.pairs:
        return None
    return f"{matching.pairs:,} compared ({matching.method}), {matching.verified:,} show the same"


def _points(model: ReconstructionReport) -> str:
    seen = f", each seen by {model.track_length:.1f} photos in the mean" if model.track_length else ""
    return f"{model.points:,}{seen}"
