"""What a pilot must know about the positions of the photos, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from services.sfm.georeference.accuracy import describe_dome
from services.sfm.georeference.heights import ABSOLUTE, NONE, POSITION, RELATIVE
from services.sfm.georeference.position_fit import PositionFit
from services.sfm.messages import TaskPhoto
from services.sfm.wording import length
from spaceport.pipeline.reports.sfm import Finding, Verdict

MOST_NAMES: Final = 3
LEAST_DOME_SHARE: Final = 0.002  # of the extent
GEO_FILES: Final = "Send right ones in a geo.txt, or control points in a gcp_list.txt"
_OTHER_HEIGHTS: Final = {
    ABSOLUTE: "the drone's own altitude (AbsoluteAltitude)",
    RELATIVE: "the drone's height over its take-off (RelativeAltitude)",
}


def unused_positions(located: int, reason: str) -> list[Finding]:
    """Where no position could be used."""
    if not located:
        return []
    photos = "The position of 1 photo was" if located == 1 else f"The positions of {located} photos were"
    sentence = f"{photos} not used: {reason}. The model has no scale and no place on the earth. {GEO_FILES}."
    return [Finding(level=Verdict.WARN, sentence=sentence)]


def wrong_positions(outliers: dict[str, str], located: int) -> list[Finding]:
    """About photos, by the user's name, whose position was left out, each with its reason."""
    if not outliers:
        return []
    names = ", ".join(list(outliers)[:MOST_NAMES])
    more = f" and {len(outliers) - MOST_NAMES} more" if len(outliers) > MOST_NAMES else ""
    reason = next(iter(outliers.values()))
    subject = "The position of 1 photo is" if len(outliers) == 1 else f"The positions of {len(outliers)} photos are"
    sentence = (
        f"{subject} wrong, of {located}, and not used: {names}{more} ({reason}). Wait for the receiver's fix before"
        " take-off, or send right ones in a geo.txt."
    )
    return [Finding(level=Verdict.WARN, sentence=sentence)]


def fit_findings(fit: PositionFit, photos: Sequence[TaskPhoto]) -> list[Finding]:
    """About a fit that was used: its clock and its heights."""
    sentences = [_clock(fit), _systems(fit), _heights(fit, photos)]
    return [Finding(level=Verdict.WARN, sentence=sentence) for sentence in sentences if sentence]


def bent_model(dome: float | None, extent: float) -> list[Finding]:
    """Where residuals show that the model is a dome or a bowl that matters; metres."""
    if dome is None or abs(dome) < LEAST_DOME_SHARE * extent:
        return []
    sentence = (
        f"The model is bent: {describe_dome(dome)}. Positions by RTK, control points in a gcp_list.txt, or some photos"
        " at a slant would straighten it."
    )
    return [Finding(level=Verdict.WARN, sentence=sentence)]


def _clock(fit: PositionFit) -> str | None:
    if fit.clock is None:
        return None
    seconds = fit.clock.seconds
    late = f"lag {seconds:.1f} s behind" if seconds > 0 else f"are {-seconds:.1f} s ahead of"
    ground = length(float(np.median(np.linalg.norm(fit.residuals[fit.used, :2], axis=1))))
    return (
        f"The positions {late} the photos (± {2 * fit.clock.sigma_s:.1f} s). With that removed they fit to {ground} in"
        f" place of {length(fit.misfit_without_clock_m)} in the median. Set the camera's clock by the"
        " receiver's, or write the positions from the flight's log."
    )


def _systems(fit: PositionFit) -> str | None:
    if fit.height_offsets is None or fit.heights == NONE:
        return None
    moved = fit.height_offsets[fit.height_offsets != 0]
    apart = float(np.median(moved))
    side = "above" if apart > 0 else "below"
    return (
        f"Heights are of two systems: those of {len(moved)} photos lie {length(abs(apart))} {side} the others,"
        " as over the ellipsoid and over the sea. They were moved into the system of most. Give all heights in one."
    )


def _heights(fit: PositionFit, photos: Sequence[TaskPhoto]) -> str | None:
    altitudes = np.array([photo.position[2] for photo in photos if photo.position and photo.position[2] is not None])
    if fit.heights == NONE and np.isfinite(fit.height_misfit_m):
        extremes = f", {altitudes.min():.0f} to {altitudes.max():.0f} m," if len(altitudes) else ""
        return (
            f"The heights of the positions{extremes} contradict the photos: they miss the model by"
            f" {length(fit.height_misfit_m)} in the median{_tilt(fit)}. Positions gave place, scale and north"
            " only; control points in a gcp_list.txt would give heights."
        )
    if fit.heights == NONE:
        return (
            "The positions have no height: they gave place, scale and north only. Control points in a gcp_list.txt"
            " would give heights."
        )
    if fit.heights == POSITION:
        return None
    why = "do not fit the model" if len(altitudes) else "are missing"
    return f"Altitudes in the positions {why}; {_OTHER_HEIGHTS[fit.heights]} is used in their place."


def _tilt(fit: PositionFit) -> str:
    return f", and would tilt it by {np.degrees(fit.up.tilt):.0f}°" if fit.up.contradicted else ""
