"""`report.json`: what became of each photo, of each model, and how well the GPS positions fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.sfm.capture.survey import Capture
from services.sfm.colmap.policy import ENOUGH
from services.sfm.messages import TaskPhoto
from services.sfm.photo import PhotoFacts, Unreadable
from services.sfm.report.shutter import rolling_shutter
from spaceport.pipeline.errors import SENTENCES, Slug
from spaceport.pipeline.options import SfmOptions

NO_FEATURES = "no features were found in it"
NOT_USED = "enough others show the same, or better"
NO_PARTNER = "no other photo shows enough of the same"
ELSEWHERE = "it belongs to another part, which shares nothing with this one"
NOT_PLACED = "it shares too little with the photos that were placed"


def build(
    photos: Sequence[PhotoFacts | Unreadable],
    staged: dict[str, TaskPhoto],
    capture: Capture,
    result: dict[str, Any],
    options: SfmOptions,
) -> dict[str, Any]:
    """All facts of one run. Lengths in pixels unless the name says metres; positions in degrees (WGS84) and metres.

    `staged` maps names to the photos that COLMAP got, `result` is what its child returned.
    """
    looks = capture.of_photo()
    outcomes = {name: result["photos"].get(photo.file) for name, photo in staged.items()}
    residuals = georeference(staged, result).get("residuals_m", {})
    models, apart = result["models"], _apart(staged, result)
    elsewhere = {name for names in apart for name in names}
    return {
        "version": 1,
        "options": options.model_dump(),
        "intake": result.get("intake"),
        "given": result.get("given"),
        "capture": capture.report(),
        "rolling_shutter": rolling_shutter([photo for photo in photos if isinstance(photo, PhotoFacts)]),
        "matching": result["matching"],
        "model": models[0],
        "other_models": models[1:],
        "apart": apart,
        "cameras": result["cameras"],
        "georeference": {name: fact for name, fact in result["georeference"].items() if name != "residuals_m"},
        "photos": [
            {"name": photo.name, "registered": False, "reason": photo.reason}
            if isinstance(photo, Unreadable)
            else _camera(photo)
            | looks[photo.name]
            | _outcome(outcomes.get(photo.name), looks[photo.name]["blurred"], photo.name in elsewhere)
            | {"dense_name": staged[photo.name].dense_name, "gps_residual_m": residuals.get(photo.name)}
            for photo in photos
        ],
    }


def georeference(staged: dict[str, TaskPhoto], result: dict[str, Any]) -> dict[str, Any]:
    """For `georeference.json`: where the model lies on the earth, and how far off each photo is, under its own name."""
    facts = dict(result["georeference"])
    if "residuals_m" in facts:
        names = {photo.file: name for name, photo in staged.items()}
        facts["residuals_m"] = {names[file]: metres for file, metres in facts["residuals_m"].items()}
    return {"version": 1} | facts


def shortfall(facts: dict[str, Any]) -> list[str]:
    """What a pilot must know whose photos are not all in the model; `facts` of the report."""
    placed, parts = facts["model"]["photos"], [len(names) for names in facts["apart"]]
    used, found = sum(photo.get("used", False) for photo in facts["photos"]), []
    if parts:
        others = " and ".join(f"{number:,}" for number in parts)
        found.append(
            f"The photos fall into {len(parts) + 1} parts that share nothing. This model is of the largest, {placed:,}"
            f" photos; {others} are left out. If they show another place, upload them by themselves; if not, photograph"
            " what lies between."
        )
    if placed + sum(parts) < ENOUGH * used:
        found.append(SENTENCES[Slug.TOO_FEW_REGISTERED].format(count=placed, total=used))
    return found


def _apart(staged: dict[str, TaskPhoto], result: dict[str, Any]) -> list[list[str]]:
    """Names of the photos of each part that shares nothing with the model, the largest part first."""
    names = {photo.file: name for name, photo in staged.items()}
    return sorted(([names[file] for file in files] for files in result.get("apart", [])), key=len, reverse=True)


def _camera(photo: PhotoFacts) -> dict[str, Any]:
    return {
        "name": photo.name,
        "width": photo.width,
        "height": photo.height,
        "camera": " ".join(part for part in (photo.make, photo.model) if part),
        "focal_mm": photo.focal_mm,
        "focal_px": photo.focal_px,
        "position": photo.position,
        "orientation": photo.orientation,
    }


def _outcome(outcome: dict[str, Any] | None, blurred: bool, elsewhere: bool) -> dict[str, Any]:
    """What COLMAP made of a photo, None if it did not get it, and the reason why one has no place in the model."""
    if outcome is None:
        return {"registered": False, "reason": NOT_USED}
    if outcome["registered"]:
        return outcome | {"reason": None}
    if elsewhere:
        return outcome | {"reason": ELSEWHERE}
    reason = NO_FEATURES if not outcome["features"] else NO_PARTNER if not outcome["partners"] else NOT_PLACED
    return outcome | {"reason": f"it is blurred, and {reason}" if blurred else reason}
