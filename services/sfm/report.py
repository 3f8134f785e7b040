"""`report.json`: what became of each photo, of each model, and how well the GPS positions fit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.sfm.intake.facts import PhotoFacts, Unreadable
from services.sfm.task import TaskPhoto
from spaceport.pipeline.options import SfmOptions

NO_FEATURES = "no features were found in it"
NOT_PLACED = "it could not be matched with enough of the others"


def build(
    photos: Sequence[PhotoFacts | Unreadable], staged: dict[str, TaskPhoto], result: dict[str, Any], options: SfmOptions
) -> dict[str, Any]:
    """All facts of one run. Lengths in pixels unless the name says metres; positions in degrees (WGS84) and metres.

    `staged` maps names to the photos that COLMAP got, `result` is what its child returned.
    """
    georeference = dict(result["georeference"])
    residuals = georeference.pop("residuals_m", {})
    models = result["models"]
    return {
        "version": 1,
        "options": options.model_dump(),
        "matching": result["matching"],
        "model": models[0],
        "other_models": models[1:],
        "cameras": result["cameras"],
        "georeference": georeference,
        "photos": [_photo(photo, staged, result["photos"], residuals) for photo in photos],
    }


def write(report: dict[str, Any], path: Path) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def _photo(
    photo: PhotoFacts | Unreadable,
    staged: dict[str, TaskPhoto],
    outcomes: dict[str, dict[str, Any]],
    residuals: dict[str, float],
) -> dict[str, Any]:
    if isinstance(photo, Unreadable):
        return {"name": photo.name, "registered": False, "reason": photo.reason}
    facts = {
        "name": photo.name,
        "dense_name": staged[photo.name].dense_name,
        "width": photo.width,
        "height": photo.height,
        "camera": " ".join(part for part in (photo.make, photo.model) if part),
        "focal_mm": photo.focal_mm,
        "focal_px": photo.focal_px,
        "position": photo.position,
        "orientation": photo.orientation,
    }
    outcome = outcomes[staged[photo.name].file]
    reason = None if outcome["registered"] else NOT_PLACED if outcome["features"] else NO_FEATURES
    residual = residuals.get(staged[photo.name].file)
    return facts | outcome | {"reason": reason, "gps_residual_m": residual}
