"""What the stage and its COLMAP child tell each other: one task in, lines of news out, one result."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from spaceport.pipeline.options import SfmOptions

MASKS: Final = "masks"
"""Below the folder of photos: `FILE.png` for each photo that has a mask, black where features are not sought."""

NOT_FOR_COLMAP: Final = "COLMAP itself cannot work with it"
"""Why a given model is refused that made COLMAP raise, or abort."""


@dataclass(frozen=True)
class TaskPhoto:
    """A photo as COLMAP sees it: `file` is its plain name in the folder of photos, `name` the user's."""

    file: str
    name: str
    dense_name: str
    camera: int
    """Photos with the same number share one camera."""
    width: int
    height: int
    focal_px: float | None
    position: tuple[float, float, float | None] | None
    original: list[int] | None = None
    """Width and height of the user's photo, where they are not those of COLMAP's."""

    @property
    def shrink(self) -> float:
        """Pixels of COLMAP's photo to one of the user's."""
        return self.width / self.original[0] if self.original else 1.0


@dataclass(frozen=True)
class TaskPoint:
    """A control point: latitude, longitude (degrees, WGS84), height (m); `file`, x, y (pixels) of each photo of it."""

    name: str
    position: tuple[float, float, float]
    seen: list[tuple[str, float, float]]


@dataclass(frozen=True)
class GivenTask:
    """A model that came with the photos: the folder of its files; each photo's number in it by `TaskPhoto.file`."""

    folder: Path
    numbers: dict[str, int]


@dataclass(frozen=True)
class Task:
    """All that the child needs. `photos_folder` and `scratch` are the child's own; `colmap` is published.

    `ordered`: the photos come in the order in which they were taken. `checkpoint`: a file that outlives this try.
    `given`: the model that is kept in place of a new one; the photos are then the originals, at their own size.
    """

    photos: list[TaskPhoto]
    photos_folder: Path
    scratch: Path
    colmap: Path
    options: SfmOptions
    ordered: bool = False
    checkpoint: Path | None = None
    control_points: list[TaskPoint] = field(default_factory=list)
    given: GivenTask | None = None

    def to_json(self) -> str:
        folders = {"photos_folder": str(self.photos_folder), "scratch": str(self.scratch), "colmap": str(self.colmap)}
        return json.dumps(
            {"photos": [asdict(photo) for photo in self.photos], "options": self.options.model_dump()}
            | folders
            | {"ordered": self.ordered, "checkpoint": self.checkpoint and str(self.checkpoint)}
            | {"control_points": [asdict(point) for point in self.control_points]}
            | {"given": self.given and {"folder": str(self.given.folder), "numbers": self.given.numbers}}
        )

    @classmethod
    def from_json(cls, text: str) -> Task:
        raw: dict[str, Any] = json.loads(text)
        return cls(
            photos=[TaskPhoto(**photo) for photo in raw["photos"]],
            photos_folder=Path(raw["photos_folder"]),
            scratch=Path(raw["scratch"]),
            colmap=Path(raw["colmap"]),
            options=SfmOptions.model_validate(raw["options"]),
            ordered=raw["ordered"],
            checkpoint=Path(raw["checkpoint"]) if raw["checkpoint"] else None,
            control_points=[TaskPoint(**point) for point in raw["control_points"]],
            given=GivenTask(Path(raw["given"]["folder"]), raw["given"]["numbers"]) if raw["given"] else None,
        )
