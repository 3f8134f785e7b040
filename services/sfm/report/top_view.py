"""The view from above: the reconstructed points, and the photos over them. Drawn without pycolmap."""

from __future__ import annotations

import io
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.sfm.colmap.snapshot import Placed
from services.sfm.report.plan_drawing import PlanDrawing

CAMERA: Final = "#c22f2f"
_INNER: Final = (2, 98)  # percent of the points that the view must hold on each axis: stray ones would shrink the rest
_FILLED: Final = 0.25  # of the picture that all points together would cover: few points are drawn larger
_DOT: Final = (2, 5)  # pixels a side, at least and at most


def draw_top_view(placed: Placed, *, metric: bool) -> str:
    """An SVG of at least one placed photo, from +z; a scale and an arrow only where the model is in metres."""
    around = placed.centres[:, :2]
    if len(placed.points):
        around = np.concatenate([around, np.percentile(placed.points[:, :2], _INNER, axis=0)])
    drawing = PlanDrawing("The model from above", around, metric=metric)
    drawing.picture(_png(_picture(placed, drawing)))
    for name, centre in zip(placed.names, placed.centres, strict=True):
        drawing.dot(centre[:2], CAMERA, 3.5, name)
    drawing.explain(CAMERA, f"placed photos ({len(placed.names)}), over the points that they share")
    return drawing.svg()


def _picture(placed: Placed, drawing: PlanDrawing) -> NDArray[np.uint8]:
    """RGBA [H,W,4]; the highest of the points that fall on one pixel is seen."""
    width, height = drawing.pixels()
    canvas = np.zeros((height, width, 4), dtype=np.uint8)
    from_below = np.argsort(placed.points[:, 2], kind="stable")
    dot = int(np.clip(math.sqrt(_FILLED * width * height / max(1, len(from_below))), *_DOT))
    columns, rows = drawing.pixel_of(placed.points[from_below, :2]).T
    inside = (columns >= 0) & (columns <= width - dot) & (rows >= 0) & (rows <= height - dot)
    for down in range(dot):
        for across in range(dot):
            spots = rows[inside] + down, columns[inside] + across
            canvas[(*spots, slice(0, 3))] = placed.colours[from_below][inside]
            canvas[(*spots, 3)] = 255
    return canvas


def _png(pixels: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(out, "PNG", optimize=True)
    return out.getvalue()
