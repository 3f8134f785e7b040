"""The map of a capture: where each photo was taken, which ground it shows, and where the model has it instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from services.sfm.capture.flights import split_into_flights
from services.sfm.capture.survey import Array, Capture
from services.sfm.messages import TaskControlPoint
from services.sfm.report.control_points import draw_control_points
from services.sfm.report.offset_arrows import OUTLIER, OffsetArrows, measure_offset_arrows
from services.sfm.report.plan_drawing import PlanDrawing
from services.sfm.wording import count
from spaceport.pipeline.reports.sfm import PhotoReport

GOOD: Final = "#1b6ca8"
DOUBTFUL: Final = "#d9700b"
UNUSED: Final = "#8a8a8a"
UNREGISTERED: Final = "#c22f2f"
FLIGHT: Final = "#444444"
_FAR: Final = 20  # times the median distance from the middle: such a position would shrink all others to a dot
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
    reports = {photo.name: photo for photo in photos}
    shown = np.concatenate([capture.ground[near], *outlines.values(), surveyed])
    arrows = _offset_arrows(capture, near.tolist(), reports, shown)
    around = np.concatenate([shown, arrows.ends]) if arrows else shown
    drawing = PlanDrawing("Where the photos were taken", around, metric=True)
    fill = min(0.1, 2 / max(1, len(outlines)))
    for outline in outlines.values():
        drawing.polygon(outline, GOOD, fill)
    for flight in split_into_flights(capture.photos):
        if len(numbers := np.intersect1d(flight, near)) > 1:
            drawing.path(capture.ground[numbers], FLIGHT)
    _draw_photos(drawing, capture, near.tolist(), reports)
    if arrows:
        arrows.draw(drawing)
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


def _offset_arrows(
    capture: Capture, numbers: list[int], reports: dict[str, PhotoReport], shown: Array
) -> OffsetArrows | None:
    placed = [(number, reports.get(capture.photos[number].name)) for number in numbers]
    starts = [(capture.ground[number], report) for number, report in placed if report]
    return measure_offset_arrows(starts, PlanDrawing("", shown, metric=True))


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
