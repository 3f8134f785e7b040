"""Where the photos were taken, as SVG: a disc, a cross or a square for each, and so told apart without colour."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from services.compress.report_page.inputs import Earlier
from services.compress.report_page.markup import element
from spaceport.pipeline.reports.sfm import GeodeticOrigin, PhotoReport, SfmReport
from spaceport.pipeline.text import visible

WIDTH, MARGIN = 800.0, 24.0
METRES_PER_DEGREE: Final = 111_320.0
FATES: Final = {"placed": "Placed", "left": "Left out", "apart": "Another part"}
SHAPES: Final = {
    "placed": ("circle", {"r": "5"}),
    "left": ("path", {"d": "M-5 -5L5 5M-5 5L5 -5"}),
    "apart": ("rect", {"x": "-4.5", "y": "-4.5", "width": "9", "height": "9"}),
}
MOST_NAMED: Final = 500
"""Marks that have names."""
_ENU: Final = "x east"


@dataclass(frozen=True)
class Mark:
    """A photo on the plan: east and north, in metres or the model's units."""

    name: str
    fate: str
    x: float
    y: float


def fate_of(photo: PhotoReport, apart: frozenset[str]) -> str:
    """A key of `FATES`."""
    return "placed" if photo.registered else "apart" if photo.name in apart else "left"


def apart_of(sfm: SfmReport) -> frozenset[str]:
    """Names of the photos of other parts."""
    return frozenset(name for part in sfm.apart for name in part)


def marks_of(sfm: SfmReport, earlier: Earlier) -> list[Mark]:
    """Photos of the model where it has them; others where their positions say, if the model lies on the earth."""
    centres = {camera.name: camera.position for camera in earlier.cameras}
    origin = sfm.georeference.origin if sfm.georeference.axes.startswith(_ENU) else None
    apart = apart_of(sfm)
    marks = []
    for photo in sfm.photos:
        centre = centres.get(photo.dense_name or photo.name)
        if centre is not None:
            place = (float(centre[0]), float(centre[1]))
        elif photo.position and origin:
            place = _east_north(photo.position, origin)
        else:
            continue
        marks.append(Mark(photo.name, fate_of(photo, apart), *place))
    return marks


def _east_north(position: tuple[float, float, float | None], origin: GeodeticOrigin) -> tuple[float, float]:
    """Near enough for one flight."""
    latitude, longitude, _ = position
    east = (longitude - origin.longitude) * METRES_PER_DEGREE * math.cos(math.radians(origin.latitude))
    return east, (latitude - origin.latitude) * METRES_PER_DEGREE


def draw(marks: Sequence[Mark], *, metric: bool) -> Element | None:
    """A figure with legend and scale; None for fewer than two marks."""
    if len(marks) < 2:
        return None
    west, north = min(mark.x for mark in marks), max(mark.y for mark in marks)
    wide, tall = max(mark.x for mark in marks) - west, north - min(mark.y for mark in marks)
    inner = WIDTH - 2 * MARGIN
    scale = inner / max(wide, tall, 1e-9)
    indent = (inner - wide * scale) / 2
    counts = {fate: sum(mark.fate == fate for mark in marks) for fate in FATES}
    words = ", ".join(f"{count:,} {FATES[fate].lower()}" for fate, count in counts.items())
    places = [(mark, MARGIN + indent + (mark.x - west) * scale, MARGIN + (north - mark.y) * scale) for mark in marks]
    drawing = element(
        "svg",
        *(_many(places) if len(places) > MOST_NAMED else (_mark(*place) for place in places)),
        viewBox=f"0 0 {WIDTH:.0f} {tall * scale + 2 * MARGIN:.1f}",
        role="img",
        aria_label=f"Plan of the photos: {words}",
    )
    legend = [
        element(
            "li",
            element("svg", _shape(fate), viewBox="-8 -8 16 16", aria_hidden="true"),
            f" {words} ({counts[fate]:,})",
        )
        for fate, words in FATES.items()
        if counts[fate]
    ]
    ratio = WIDTH / (tall * scale + 2 * MARGIN)
    caption = element("figcaption", element("ul", *legend, class_="legend"), _scale(scale) if metric else None)
    return element("figure", drawing, caption, class_="map", style=f"max-width:calc(120mm*{ratio:.3f})")


def _shape(fate: str) -> Element:
    tag, attributes = SHAPES[fate]
    return element(tag, class_=fate, **attributes)


def _mark(mark: Mark, x: float, y: float) -> Element:
    shape = _shape(mark.fate)
    shape.append(element("title", visible(mark.name, 200)))
    shape.set("transform", f"translate({x:.1f} {y:.1f})")
    return shape


def _many(places: Sequence[tuple[Mark, float, float]]) -> Iterator[Element]:
    """Thousands of marks in a few bytes each: those of placed photos are dots of one path, without names."""
    dots = "".join(f"M{x:.0f} {y:.0f}h0" for mark, x, y in places if mark.fate == "placed")
    yield element("path", d=dots, class_="dots")
    yield from (_mark(*place) for place in places if place[0].fate != "placed")


def _scale(scale: float) -> Element:
    """A bar of a round length, at most a fifth of the drawing."""
    most = WIDTH / scale / 5
    power = 10 ** math.floor(math.log10(most))
    metres = next(times * power for times in (5, 2, 1) if times * power <= most)
    bar = element("span", class_="bar", style=f"width:{100 * metres * scale / WIDTH:.2f}%")
    return element("p", bar, f"{metres:g} m", class_="scale")
