"""Ground control points on a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.sfm.messages import TaskControlPoint
from services.sfm.report.plan_drawing import PlanDrawing
from services.sfm.wording import count

CONTROL: Final = "#0a7d4b"
CHECK: Final = "#7a3fa0"
_LONGEST_LABEL: Final = 16


def draw_control_points(drawing: PlanDrawing, places: NDArray[np.float64], points: Sequence[TaskControlPoint]) -> None:
    """Triangles at `places` [N,2], filled for points that took part, with their names; and the legend."""
    for place, point in zip(places, points, strict=True):
        role, colour = ("check point", CHECK) if point.check else ("control point", CONTROL)
        tip = f"{point.name}, {role}, marked in {count(len(point.observations))}"
        drawing.triangle(place, colour, point.name[:_LONGEST_LABEL], tip, filled=not point.check)
    if any(not point.check for point in points):
        drawing.add_legend(CONTROL, "control point", "▲")
    if any(point.check for point in points):
        drawing.add_legend(CHECK, "check point: it decided nothing", "△")
