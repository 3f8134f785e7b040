"""The map of a capture: where each photo was taken and which ground it shows."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.sfm.capture.survey import Capture
from services.sfm.plan_drawing import PlanDrawing

GOOD: Final = "#1b6ca8"
DOUBTFUL: Final = "#d9700b"
UNUSED: Final = "#8a8a8a"
FLIGHT: Final = "#444444"


def draw_map(capture: Capture) -> str | None:
    """An SVG of footprints, flight and photos; None where fewer than two photos have a position."""
    located = np.flatnonzero(~np.isnan(capture.ground).any(axis=1))
    if len(located) < 2 or not np.ptp(capture.ground[located], axis=0).any():
        return None
    shown = np.concatenate([capture.ground[located], *capture.footprints.values()])
    drawing = PlanDrawing("Where the photos were taken", shown, metric=True)
    fill = min(0.1, 2 / max(1, len(capture.footprints)))
    for outline in capture.footprints.values():
        drawing.polygon(outline, GOOD, fill)
    drawing.path(capture.ground[located], FLIGHT)
    used = set(capture.used)
    for number in located:
        drawing.dot(capture.ground[number], _colour(capture, int(number), used), 4.5, _tip(capture, int(number)))
    for colour, words in _legend(capture, used, located):
        drawing.explain(colour, words)
    return drawing.svg()


def _colour(capture: Capture, number: int, used: set[int]) -> str:
    if number not in used or number in capture.repeats or capture.looks[number].is_empty:
        return UNUSED
    return DOUBTFUL if number in capture.blurred else GOOD


def _tip(capture: Capture, number: int) -> str:
    notes = {
        "blurred": number in capture.blurred,
        "repeats another": number in capture.repeats,
        "shows nothing": capture.looks[number].is_empty,
    }
    return ", ".join([capture.photos[number].name, *(note for note, holds in notes.items() if holds)])


def _legend(capture: Capture, used: set[int], located: NDArray[np.int64]) -> list[tuple[str, str]]:
    colours = [_colour(capture, int(number), used) for number in located]
    outlines = " and the ground that it shows" if capture.footprints else ""
    lines = [(GOOD, f"photo{outlines}"), (DOUBTFUL, "blurred"), (UNUSED, "not used, empty or repeating another")]
    return [line for line in lines if line[0] == GOOD or line[0] in colours]
