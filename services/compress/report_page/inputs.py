"""What the stages before have left for the report: read if it is there and can be read, else the report says less."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.compress.optional_json import parse_optional, read_bytes, read_optional
from spaceport.pipeline.contract import StageManifest
from spaceport.pipeline.reports.sfm import SfmReport
from spaceport.pipeline.reports.train import TrainReport
from spaceport.splats.cameras import Camera


class _AnyVersion(BaseModel):
    """Of `gaussian/report.json`, what is needed beside the report: the rest may be of any version."""

    model_config = ConfigDict(extra="ignore")

    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    held_out_photos: list[str] | None = None


@dataclass(frozen=True)
class Earlier:
    """Of the stages before compression. All may be missing."""

    sfm: SfmReport | None = None
    train: TrainReport | None = None
    training_seconds: float = 0.0
    held_out_photos: list[str] = field(default_factory=list)
    """Names of the photos `held-out-N.jpg` beside the model, in their order."""
    manifests: list[StageManifest] = field(default_factory=list)
    """In the order of the stages; they say what the job is called, and what it cost so far."""
    cameras: list[Camera] = field(default_factory=list)
    thumbs: list[Path] = field(default_factory=list)
    """Sheets of small pictures, in order."""
    preview: Path | None = None
    """Rows of photo, model and difference."""


def read_earlier(source: Path, cameras: list[Camera]) -> Earlier:
    """`source` is laid out like `jobs/ID/` in the bucket."""
    manifests = [read_optional(source / folder / "manifest.json", StageManifest) for folder in ("colmap", "gaussian")]
    preview = source / "gaussian" / "preview.jpg"
    text = read_bytes(source / "gaussian" / "report.json")
    train = parse_optional(text, TrainReport)
    training = train or parse_optional(text, _AnyVersion) or _AnyVersion()
    return Earlier(
        sfm=read_optional(source / "colmap" / "report.json", SfmReport),
        train=train,
        training_seconds=training.seconds,
        held_out_photos=training.held_out_photos or [],
        manifests=[manifest for manifest in manifests if manifest],
        cameras=cameras,
        thumbs=_sheets(source / "colmap"),
        preview=preview if preview.is_file() else None,
    )


def _sheets(folder: Path) -> list[Path]:
    """`thumbs-0.webp` and on, as far as there is no gap: which tile is whose is told by number."""
    sheets: list[Path] = []
    while (path := folder / f"thumbs-{len(sheets)}.webp").is_file():
        sheets.append(path)
    return sheets
