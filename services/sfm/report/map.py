"""The map of a capture: where each photo was taken, which ground it shows, and where the model has it instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from services.sfm.capture.flights import split_into_flights
from services.sfm.capture.survey import Array, Capture
from services.sfm.messages import TaskControlPoint
from services.sfm.report.control_points import draw_control_points
from services.sfm.report.plan_drawing import SIDE, PlanDrawing, round_down
from services.sfm.wording import count, length
from spaceport.pipeline.reports.sfm import PhotoReport

GOOD: Final = "#1b6ca8"
DOUBTFUL: Final = "#d9700b"
UNUSED: Final = "#8a8a8a"
UNREGISTERED: Final = "#c22f2f"
FLIGHT: Final = "#444444"
OFFSET: Final = "#222222"
OUTLIER: Final = "#c22f2f"
_FAR: Final = 20  # times the median distance from the middle: such a position would shrink all others to a dot
_FAR_OFF: Final = 4  # times the median offset
_ARROW: Final = SIDE / 14  # of the tenth longest of a hundred arrows
_MOST_NAMES: Final = 3


def draw_map(
    capture: Capture,
    photos: Sequence[PhotoReport] = (),
    control_points: Sequence[TaskControlPoint] = (),
) -> PlanDrawing | None:
    """Footprints, flight, photos, and arrows to where the model has them; None where under two photos have a position.

    `photos`: of the report; what it does not have counts as registered.
    """
    located = np.flatnonzero(~np.isnan(capture.ground).any(axis=1))
    if len(located) < 2 or not np.ptp(capture.ground[located], axis=0).any():
        return None
    near = located[_is_near(capture.ground[located])]
    surveyed = _on_ground(capture, control_points)
    outlines = {number: outline for number, outline in capture.footprints.items() if number in near}
    shown = np.concatenate([capture.ground[near], *outlines.values(), surveyed])
    drawing = PlanDrawing("Where the photos were taken", shown, metric=True)
    fill = min(0.1, 2 / max(1, len(outlines)))
    for outline in outlines.values():
        drawing.polygon(outline, GOOD, fill)
    for flight in split_into_flights(capture.photos):
        if len(numbers := np.intersect1d(flight, near)) > 1:
            drawing.path(capture.ground[numbers], FLIGHT)
    reports = {photo.name: photo for photo in photos}
    _draw_photos(drawing, capture, near.tolist(), reports)
    _draw_offsets(drawing, capture, near.tolist(), reports)
    draw_control_points(drawing, surveyed, control_points)
    wild = [p.name for number, p in enumerate(capture.photos) if p.position and number not in near]
    if wild:
        names = ", ".join(wild[:_MOST_NAMES]) + ("…" if len(wild) > _MOST_NAMES else "")
        drawing.add_legend(
            OUTLIER, f"{count(len(wild))} not on this map, by positions that cannot be right: {names}", "✕"
        )
    return drawing


def _is_near(ground: Array) -> Array:
    """Whether each of the positions [N,2] is near enough to the others to be on one map with them."""
    distances = np.linalg.norm(ground - np.median(ground, axis=0), axis=1)
    typical = float(np.median(distances))
    return np.asarray(distances <= _FAR * typical) if typical > 0 else np.ones(len(ground), bool)


def _on_ground(capture: Capture, points: Sequence[TaskControlPoint]) -> Array:
    return capture.on_ground(np.array([point.position[:2] for point in points], dtype=np.float64).reshape(-1, 2))


def _draw_photos(drawing: PlanDrawing, capture: Capture, numbers: list[int], reports: dict[str, PhotoReport]) -> None:
    used = set(capture.used)
    colours = {number: _colour(capture, number, used, reports) for number in numbers}
    for number, colour in colours.items():
        drawing.dot(capture.ground[number], colour, 4.5, _tip(capture, number, reports))
    outlines = " and the ground that it shows" if capture.footprints else ""
    lines = [
        (GOOD, f"photo{outlines}"),
        (DOUBTFUL, "blurred"),
        (UNREGISTERED, "not in the model"),
        (UNUSED, "not used, empty or repeating another"),
    ]
    for colour, words in lines:
        if colour == GOOD or colour in colours.values():
            drawing.add_legend(colour, words)


def _colour(capture: Capture, number: int, used: set[int], reports: dict[str, PhotoReport]) -> str:
    if number not in used or number in capture.repeats or capture.qualities[number].is_empty:
        return UNUSED
    if _is_unregistered(capture, number, reports):
        return UNREGISTERED
    return DOUBTFUL if number in capture.blurred else GOOD


def _is_unregistered(capture: Capture, number: int, reports: dict[str, PhotoReport]) -> bool:
    report = reports.get(capture.photos[number].name)
    return report is not None and not report.registered


def _tip(capture: Capture, number: int, reports: dict[str, PhotoReport]) -> str:
    notes = {
        "blurred": number in capture.blurred,
        "repeats another": number in capture.repeats,
        "shows nothing": capture.qualities[number].is_empty,
        "not placed": _is_unregistered(capture, number, reports),
    }
    return ", ".join([capture.photos[number].name, *(note for note, applies in notes.items() if applies)])


def _draw_offsets(drawing: PlanDrawing, capture: Capture, numbers: list[int], reports: dict[str, PhotoReport]) -> None:
    """Horizontal offsets, all exaggerated by one factor."""
    placed = [(number, report) for number in numbers if (report := reports.get(capture.photos[number].name))]
    placed = [(number, report) for number, report in placed if report.gps_offset_m]
    offsets = np.array([report.gps_offset_m[:2] for _, report in placed if report.gps_offset_m]).reshape(-1, 2)
    lengths = np.linalg.norm(offsets, axis=1)
    if not lengths.any():
        return
    far_off = (lengths > _FAR_OFF * np.median(lengths)).tolist()
    outliers = [far or report.gps_outlier is not None for (_, report), far in zip(placed, far_off, strict=True)]
    regular = lengths[~np.array(outliers)] if not all(outliers) else lengths
    factor = max(1.0, round_down(drawing.metres_of(_ARROW) / max(float(np.percentile(regular, 90)), 1e-9)))
    for (number, report), offset, wrong in zip(placed, offsets, outliers, strict=True):
        why = f", not used: {report.gps_outlier}" if report.gps_outlier else ""
        tip = f"{report.name}: {length(float(np.hypot(*offset)))} off its position{why}"
        drawing.arrow(capture.ground[number], factor * offset, OUTLIER if wrong else OFFSET, tip)
    longer = f", {factor:,.0f} times as long as it is" if factor > 1 else ""
    drawing.add_arrow_key(OFFSET, factor)
    drawing.add_legend(OFFSET, f"from a photo's position to where the model has it{longer}", "→")
    if any(outliers):
        drawing.add_legend(OUTLIER, f"the same, not used or far longer than the others ({sum(outliers)})", "→")
