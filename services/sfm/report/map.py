"""The map of a capture: where each photo was taken and which ground it shows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import numpy as np

from services.sfm.capture.flights import split_into_flights
from services.sfm.capture.survey import Capture
from services.sfm.report.plan_drawing import PlanDrawing

GOOD: Final = "#1b6ca8"
DOUBTFUL: Final = "#d9700b"
UNUSED: Final = "#8a8a8a"
UNREGISTERED: Final = "#c22f2f"
FLIGHT: Final = "#444444"


def draw_map(capture: Capture, unregistered: Collection[str] = ()) -> str | None:
    """An SVG of footprints, flight and photos; None where fewer than two photos have a position.

    `unregistered` names the photos that are not in the model.
    """
    located = np.flatnonzero(~np.isnan(capture.ground).any(axis=1))
    if len(located) < 2 or not np.ptp(capture.ground[located], axis=0).any():
        return None
    shown = np.concatenate([capture.ground[located], *capture.footprints.values()])
    drawing = PlanDrawing("Where the photos were taken", shown, metric=True)
    fill = min(0.1, 2 / max(1, len(capture.footprints)))
    for outline in capture.footprints.values():
        drawing.polygon(outline, GOOD, fill)
    for flight in split_into_flights(capture.photos):
        if len(numbers := np.intersect1d(flight, located)) > 1:
            drawing.path(capture.ground[numbers], FLIGHT)
    used = set(capture.used)
    colours = {int(number): _colour(capture, int(number), used, unregistered) for number in located}
    for number, colour in colours.items():
        drawing.dot(capture.ground[number], colour, 4.5, _tip(capture, number, unregistered))
    for colour, words in _legend(capture, set(colours.values())):
        drawing.add_legend(colour, words)
    return drawing.svg()


def _colour(capture: Capture, number: int, used: set[int], unregistered: Collection[str]) -> str:
    if number not in used or number in capture.repeats or capture.qualities[number].is_empty:
        return UNUSED
    if capture.photos[number].name in unregistered:
        return UNREGISTERED
    return DOUBTFUL if number in capture.blurred else GOOD


def _tip(capture: Capture, number: int, unregistered: Collection[str]) -> str:
    notes = {
        "blurred": number in capture.blurred,
        "repeats another": number in capture.repeats,
        "shows nothing": capture.qualities[number].is_empty,
        "not placed": capture.photos[number].name in unregistered,
    }
    return ", ".join([capture.photos[number].name, *(note for note, applies in notes.items() if applies)])


def _legend(capture: Capture, colours: set[str]) -> list[tuple[str, str]]:
    outlines = " and the ground that it shows" if capture.footprints else ""
    lines = [
        (GOOD, f"photo{outlines}"),
        (DOUBTFUL, "blurred"),
        (UNREGISTERED, "not in the model"),
        (UNUSED, "not used, empty or repeating another"),
    ]
    return [line for line in lines if line[0] == GOOD or line[0] in colours]
