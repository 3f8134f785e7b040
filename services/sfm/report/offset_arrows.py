"""Arrows on a plan from each photo's position to where the model has the photo, all on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.sfm.capture.survey import Array
from services.sfm.report.plan_drawing import LONGEST_ARROW, SIDE, PlanDrawing, round_down
from services.sfm.wording import length
from spaceport.pipeline.reports.sfm import PhotoReport

OFFSET: Final = "#222222"
OUTLIER: Final = "#c22f2f"
_FAR_OFF: Final = 4  # times the median offset
_TYPICAL: Final = SIDE / 14  # SVG units of the tenth longest of a hundred arrows


@dataclass(frozen=True, eq=False)
class OffsetArrows:
    """`starts` and `offsets` [N,2] in metres; `outliers` [N]; `factor`: by which offsets are exaggerated, 1 or more."""

    photos: list[PhotoReport]
    starts: Array
    offsets: Array
    outliers: Array
    factor: float
    longest_m: float

    @property
    def ends(self) -> Array:
        """[N,2] metres, where the arrows end on the plan."""
        drawn = self.factor * self.offsets
        lengths = np.linalg.norm(drawn, axis=1, keepdims=True)
        return np.asarray(self.starts + drawn * np.minimum(1.0, self.longest_m / np.maximum(lengths, 1e-9)))

    def draw(self, drawing: PlanDrawing) -> None:
        """The arrows, their key and their legend."""
        drawn = self.ends - self.starts
        for photo, start, step, offset, wrong in zip(
            self.photos, self.starts, drawn, self.offsets, self.outliers, strict=True
        ):
            why = f", not used: {photo.gps_outlier}" if photo.gps_outlier else ""
            tip = f"{photo.name}: {length(float(np.hypot(*offset)))} off its position{why}"
            drawing.arrow(start, step, OUTLIER if wrong else OFFSET, tip)
        longer = f", {self.factor:,.0f} times as long as it is" if self.factor > 1 else ""
        drawing.add_arrow_key(OFFSET, self.factor)
        drawing.add_legend(OFFSET, f"from a photo's position to where the model has it{longer}", "→")
        if wrong := int(self.outliers.sum()):
            drawing.add_legend(OUTLIER, f"the same, not used or far longer than the others ({wrong})", "→")


def measure_offset_arrows(photos: Sequence[tuple[Array, PhotoReport]], plan: PlanDrawing) -> OffsetArrows | None:
    """Of photos with their places [2], exaggerated so that they are seen on a plan of about this scale.

    None where no photo is off its position.
    """
    placed = [(start, photo) for start, photo in photos if photo.gps_offset_m]
    offsets = np.array([photo.gps_offset_m[:2] for _, photo in placed if photo.gps_offset_m]).reshape(-1, 2)
    lengths = np.linalg.norm(offsets, axis=1)
    if not lengths.any():
        return None
    unused = np.array([photo.gps_outlier is not None for _, photo in placed])
    outliers = unused | (lengths > _FAR_OFF * np.median(lengths))
    regular = lengths if outliers.all() else lengths[~outliers]
    typical = max(float(np.percentile(regular, 90)), 1e-9)
    factor = max(1.0, round_down(plan.metres_of(_TYPICAL) / typical))
    starts = np.array([start for start, _ in placed])
    photos_placed = [photo for _, photo in placed]
    return OffsetArrows(photos_placed, starts, offsets, outliers, factor, plan.metres_of(LONGEST_ARROW))
