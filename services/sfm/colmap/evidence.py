"""What a task knows beside its photos' pixels that may shape the model: exact positions, control points, lenses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from services.sfm.colmap.priors import FocalPrior, PositionPrior
from services.sfm.georeference.alignment import PositionTarget
from services.sfm.georeference.control_points import ControlNetwork
from services.sfm.georeference.position_priors import exact_positions
from services.sfm.georeference.wgs84 import Array
from services.sfm.messages import ColmapTask


@dataclass(frozen=True, eq=False)
class Evidence:
    """In the model's frame: positions by image name, control points, focal lengths by camera id."""

    positions: Mapping[str, PositionPrior] = field(default_factory=dict)
    network: ControlNetwork | None = None
    focal: Mapping[int, FocalPrior] = field(default_factory=dict)

    @property
    def fixes_the_frame(self) -> bool:
        return bool(self.positions or self.network)

    def moved(self, shift: Array) -> Evidence:
        """With the positions moved by `shift` [3]."""
        moved = {name: replace(prior, position=prior.position + shift) for name, prior in self.positions.items()}
        return replace(self, positions=moved)


def position_priors(task: ColmapTask, targets: Mapping[str, PositionTarget]) -> dict[str, PositionPrior]:
    """The positions that are more exact than the model, by file; `targets` are those that placed it."""
    photos = [photo for photo in task.photos if photo.file in targets and np.isfinite(targets[photo.file].place).all()]
    if not photos:
        return {}
    extent = float(np.linalg.norm(np.ptp([targets[photo.file].place for photo in photos], axis=0)))
    return {file: PositionPrior(targets[file].place, std) for file, std in exact_positions(photos, extent).items()}
