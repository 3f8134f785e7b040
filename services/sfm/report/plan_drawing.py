"""Plans of a survey as SVG: what lies on the ground in metres, north up, with a scale and a legend. Pure text."""

from __future__ import annotations

import base64
import math
from html import escape
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SIDE: Final = 760.0  # of the drawing area, in SVG units
MARGIN: Final = 28.0
LEGEND_LINE: Final = 22.0
_TALLEST: Final = 1.25  # a survey longer than this to the north is fitted by its height
_LEAST_EXTENT: Final = 1e-6
LONGEST_ARROW: Final = SIDE / 5  # SVG units; a longer one is cut
_HEAD: Final = 5.0  # length of an arrow's head
_INK: Final = "#222"


class PlanDrawing:
    """Collects shapes and writes them as one SVG.

    Args:
        title: for screen readers and as a tooltip.
        around: positions [N,2] that the drawing must include, metres (or model units) east and north.
        metric: whether units are metres; only then a scale bar and a north arrow are drawn.

    `legend`: colour, mark and words of each line.
    """

    def __init__(self, title: str, around: Array, *, metric: bool) -> None:
        self._title = title
        self._metric = metric
        low, high = around.min(axis=0), around.max(axis=0)
        extent = np.maximum(high - low, _LEAST_EXTENT)
        self._units = min(SIDE / extent[0], SIDE * _TALLEST / extent[1])
        self._west = float(low[0])
        self._north = float(high[1])
        self._width = float(extent[0]) * self._units
        self._height = float(extent[1]) * self._units
        self._indent = max(0.0, (SIDE - self._width) / 2)
        self._shapes: list[str] = []
        self._arrow_key: tuple[str, float] | None = None
        self.legend: list[tuple[str, str, str]] = []

    def polygon(self, corners: Array, colour: str, opacity: float = 0.08) -> None:
        """A filled outline; corners [N,2]."""
        self._shapes.append(
            f'<polygon points="{self._points(corners)}" fill="{colour}" fill-opacity="{opacity}"'
            f' stroke="{colour}" stroke-opacity="0.45"/>'
        )

    def path(self, points: Array, colour: str) -> None:
        """A thin line through points [N,2]."""
        self._shapes.append(
            f'<polyline points="{self._points(points)}" fill="none" stroke="{colour}" stroke-dasharray="4 4"/>'
        )

    def dot(self, point: Array, colour: str, radius: float, tip: str = "") -> None:
        """A disc at a point [2]; `tip` shows under the mouse."""
        x, y = self._at(point)
        inside = f"<title>{escape(tip)}</title>" if tip else ""
        self._shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}">{inside}</circle>')

    def triangle(self, point: Array, colour: str, label: str, tip: str, *, filled: bool) -> None:
        """A surveyed point [2] with its label beside it."""
        x, y = self._at(point)
        fill = colour if filled else "#fff"
        self._shapes.append(
            f'<path d="M{x:.1f} {y - 7:.1f}l7 12h-14z" fill="{fill}" stroke="{colour}" stroke-width="2">'
            f'<title>{escape(tip)}</title></path><text x="{x + 9:.1f}" y="{y + 5:.1f}" fill="{colour}" stroke="#fff"'
            f' stroke-width="3" paint-order="stroke">{escape(label)}</text>'
        )

    def arrow(self, start: Array, offset: Array, colour: str, tip: str) -> None:
        """From a point [2] along an offset [2], in metres of the drawing; one that is too long is cut."""
        x, y = self._at(start)
        across, down = float(offset[0]) * self._units, -float(offset[1]) * self._units
        long = math.hypot(across, down)
        if long < 1:
            return
        across, down = (part / long * min(long, LONGEST_ARROW) for part in (across, down))
        self._shapes.append(
            f'<path d="{_arrow(x, y, across, down)}" fill="none" stroke="{colour}" stroke-width="2">'
            f"<title>{escape(tip)}</title></path>"
        )

    def add_arrow_key(self, colour: str, factor: float) -> None:
        """Beside the scale bar an arrow of a round length: offsets are drawn `factor` times as long as they are."""
        self._arrow_key = colour, factor

    def metres_of(self, units: float) -> float:
        """The length on the ground of a length in the drawing, in SVG units."""
        return float(units / self._units)

    def pixels(self) -> tuple[int, int]:
        """Width and height of a picture that fills the drawing's area at one pixel a unit."""
        return max(1, round(self._width)), max(1, round(self._height))

    def pixel_of(self, points: Array) -> NDArray[np.int64]:
        """Column and row [N,2] of points [N,2] in a picture of that size; some may lie outside."""
        spots = (points - np.array([self._west, self._north])) * np.array([self._units, -self._units])
        return np.asarray(np.floor(spots), dtype=np.int64)

    def picture(self, png: bytes) -> None:
        """A picture that fills the area, below all that is drawn after it."""
        data = base64.b64encode(png).decode()
        self._shapes.append(
            f'<image x="{MARGIN + self._indent:.1f}" y="{MARGIN}" width="{self._width:.1f}" height="{self._height:.1f}"'
            f' href="data:image/png;base64,{data}"/>'
        )

    def add_legend(self, colour: str, words: str, mark: str = "●") -> None:
        """A line of the legend."""
        self.legend.append((colour, mark, words))

    def svg(self, *, with_legend: bool = True) -> str:
        """The whole drawing; it brings its own white background and needs no style sheet."""
        legend = self.legend if with_legend else []
        bottom = self._height + 2 * MARGIN + 30
        width, height = SIDE + 2 * MARGIN, bottom + LEGEND_LINE * len(legend)
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img"'
            ' font-family="system-ui, sans-serif" font-size="14">',
            f"<title>{escape(self._title)}</title>",
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>',
            *self._shapes,
            *(self._scale(bottom - 22) if self._metric else []),
            *(_entry(bottom + LEGEND_LINE * line, *entry) for line, entry in enumerate(legend)),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def _scale(self, y: float) -> list[str]:
        metres = round_down(SIDE / 4 / self._units)
        x, long, right = MARGIN, metres * self._units, SIDE + MARGIN - 10
        return [
            f'<path d="M{x} {y - 5:.1f}v5h{long:.1f}v-5" fill="none" stroke="{_INK}" stroke-width="1.5"/>',
            f'<text x="{x + long + 8:.1f}" y="{y:.1f}" fill="{_INK}">{_length(metres)}</text>',
            *self._arrow_scale(SIDE / 2 + MARGIN, y),
            f'<path d="M{right} {y:.1f}v-20m-5 8l5 -9l5 9" fill="none" stroke="{_INK}" stroke-width="1.5"/>',
            f'<text x="{right - 9}" y="{y:.1f}" fill="{_INK}" text-anchor="end">N</text>',
        ]

    def _arrow_scale(self, x: float, y: float) -> list[str]:
        if self._arrow_key is None:
            return []
        colour, factor = self._arrow_key
        metres = round_down(SIDE / 8 / self._units / factor)
        long = metres * factor * self._units
        return [
            f'<path d="{_arrow(x, y - 4, long, 0.0)}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<text x="{x + long + 8:.1f}" y="{y:.1f}" fill="{colour}">{_length(metres)} off</text>',
        ]

    def _at(self, point: Array) -> tuple[float, float]:
        return (
            MARGIN + self._indent + (float(point[0]) - self._west) * self._units,
            MARGIN + (self._north - float(point[1])) * self._units,
        )

    def _points(self, points: Array) -> str:
        return " ".join("{:.1f},{:.1f}".format(*self._at(point)) for point in points)


def round_down(most: float) -> float:
    """The longest of 1, 2, 5 times a power of ten that is not longer; `most` is positive."""
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1, 2, 5) if step * power <= most * (1 + 1e-9))


def _length(metres: float) -> str:
    """A round length in the unit in which it is said."""
    for unit, scale in (("km", 1000.0), ("m", 1.0), ("cm", 0.01)):
        if metres >= 0.999 * scale:
            return f"{metres / scale:g} {unit}"
    return f"{1000 * metres:g} mm"


def _arrow(x: float, y: float, across: float, down: float) -> str:
    """The path of an arrow that begins at x, y; its head is smaller where it is short."""
    long = math.hypot(across, down)
    head = min(_HEAD, long / 2) / long
    back, aside = (-across * head, -down * head), (-down * head * 0.6, across * head * 0.6)
    left, right = (back[0] + aside[0], back[1] + aside[1]), (back[0] - aside[0], back[1] - aside[1])
    return (
        f"M{x:.1f} {y:.1f}l{across:.1f} {down:.1f}m{left[0]:.1f} {left[1]:.1f}l{-left[0]:.1f} {-left[1]:.1f}"
        f"l{right[0]:.1f} {right[1]:.1f}"
    )


def _entry(y: float, colour: str, mark: str, words: str) -> str:
    return (
        f'<text x="{MARGIN}" y="{y + 1:.1f}" fill="{colour}">{mark}</text>'
        f'<text x="{MARGIN + 20}" y="{y + 1:.1f}" fill="{_INK}">{escape(words)}</text>'
    )
