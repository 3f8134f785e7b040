"""Plans of a survey as SVG: what lies on the ground in metres, north up, with a scale and an arrow. Pure text."""

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


class PlanDrawing:
    """Collects shapes and writes them as one SVG.

    Args:
        title: for screen readers and as a tooltip.
        around: positions [N,2] that the drawing must include, metres (or model units) east and north.
        metric: whether units are metres; only then a scale bar and a north arrow are drawn.
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
        self._legend: list[tuple[str, str]] = []

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

    def add_legend(self, colour: str, words: str) -> None:
        """A line of the legend."""
        self._legend.append((colour, words))

    def svg(self) -> str:
        """The whole drawing; it brings its own white background and needs no style sheet."""
        bottom = self._height + 2 * MARGIN + 30
        width, height = SIDE + 2 * MARGIN, bottom + LEGEND_LINE * len(self._legend)
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img"'
            ' font-family="system-ui, sans-serif" font-size="14">',
            f"<title>{escape(self._title)}</title>",
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="#fff"/>',
            *self._shapes,
            *(self._scale(bottom - 22) if self._metric else []),
            *(self._entry(bottom + LEGEND_LINE * line, *entry) for line, entry in enumerate(self._legend)),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def _scale(self, y: float) -> list[str]:
        metres = _round_length(SIDE / 4 / self._units)
        x, long, right = MARGIN, metres * self._units, SIDE + MARGIN - 10
        label = f"{metres:g} m" if metres >= 1 else f"{100 * metres:g} cm"
        return [
            f'<path d="M{x} {y - 5:.1f}v5h{long:.1f}v-5" fill="none" stroke="#222" stroke-width="1.5"/>',
            f'<text x="{x + long + 8:.1f}" y="{y:.1f}" fill="#222">{label}</text>',
            f'<path d="M{right} {y:.1f}v-20m-5 8l5 -9l5 9" fill="none" stroke="#222" stroke-width="1.5"/>',
            f'<text x="{right - 20}" y="{y:.1f}" fill="#222">N</text>',
        ]

    def _entry(self, y: float, colour: str, words: str) -> str:
        return (
            f'<circle cx="{MARGIN + 5}" cy="{y - 4:.1f}" r="5" fill="{colour}"/>'
            f'<text x="{MARGIN + 18}" y="{y + 1:.1f}" fill="#222">{escape(words)}</text>'
        )

    def _at(self, point: Array) -> tuple[float, float]:
        return (
            MARGIN + self._indent + (float(point[0]) - self._west) * self._units,
            MARGIN + (self._north - float(point[1])) * self._units,
        )

    def _points(self, points: Array) -> str:
        return " ".join("{:.1f},{:.1f}".format(*self._at(point)) for point in points)


def _round_length(most: float) -> float:
    """The longest of 1, 2, 5 times a power of ten that is not longer."""
    power = 10.0 ** math.floor(math.log10(most))
    return max(step * power for step in (1, 2, 5) if step * power <= most)
