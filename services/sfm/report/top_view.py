"""The view from above: the reconstructed points, and the photos over them. Drawn without pycolmap."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.sfm.colmap.snapshot import Snapshot
from services.sfm.messages import TaskControlPoint
from services.sfm.report.control_points import draw_control_points
from services.sfm.report.plan_drawing import PlanDrawing

CAMERA: Final = "#c22f2f"
_INNER: Final = (2, 98)  # percentiles of the points that the view must include: stray ones would shrink the rest
_FILLED: Final = 0.25  # of the picture that all points together would cover: few points are drawn larger
_DOT: Final = (2, 5)  # pixels a side, at least and at most


def draw_top_view(
    snapshot: Snapshot,
    *,
    metric: bool,
    control_points: Sequence[TaskControlPoint] = (),
    places: NDArray[np.float64] | None = None,
) -> PlanDrawing:
    """At least one registered photo, from +z; a scale and an arrow only where the model is in metres.

    `places` [N,2]: of the control points in the model's frame; they are left out where it is None.
    """
    around = snapshot.centres[:, :2]
    if len(snapshot.points):
        around = np.concatenate([around, np.percentile(snapshot.points[:, :2], _INNER, axis=0)])
    if places is not None:
        around = np.concatenate([around, places])
    drawing = PlanDrawing("The model from above", around, metric=metric)
    drawing.picture(_png(_picture(snapshot, drawing)))
    for name, centre in zip(snapshot.names, snapshot.centres, strict=True):
        drawing.dot(centre[:2], CAMERA, 3.5, name)
    drawing.add_legend(CAMERA, f"placed photos ({len(snapshot.names)}), over the points that they share")
    if places is not None:
        draw_control_points(drawing, places, control_points)
    return drawing


def _picture(snapshot: Snapshot, drawing: PlanDrawing) -> NDArray[np.uint8]:
    """RGBA [H,W,4]; of the points that fall on one pixel the highest is drawn."""
    width, height = drawing.pixels()
    canvas = np.zeros((height, width, 4), dtype=np.uint8)
    from_below = np.argsort(snapshot.points[:, 2], kind="stable")
    dot = int(np.clip(math.sqrt(_FILLED * width * height / max(1, len(from_below))), *_DOT))
    columns, rows = drawing.pixel_of(snapshot.points[from_below, :2]).T
    inside = (columns >= 0) & (columns <= width - dot) & (rows >= 0) & (rows <= height - dot)
    for down in range(dot):
        for across in range(dot):
            spots = rows[inside] + down, columns[inside] + across
            canvas[(*spots, slice(0, 3))] = snapshot.colours[from_below][inside]
            canvas[(*spots, 3)] = 255
    return canvas


def _png(pixels: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(out, "PNG", optimize=True)
    return out.getvalue()
