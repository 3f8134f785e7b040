"""What a share shows of the stages' reports: the fields that are listed here, so that a new one stays private.

Options and costs are never shown. Where on the earth photos were taken is shown only where the owner wants it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from functions.clients import bucket
from functions.links import CAMERAS, REPORT_PICTURES, THUMBS, artefacts_of_tenant
from spaceport.pipeline.contract import StageManifest, StageName
from spaceport.pipeline.layout import STAGE_FOLDERS

MAX_BYTES: Final = 4 << 20
"""Of a report; together they must fit into an answer of Lambda."""
FIELDS: Final[dict[StageName, frozenset[str]]] = {
    StageName.SFM: frozenset(
        {"version", "intake", "capture", "rolling_shutter", "matching", "model", "other_models", "apart", "cameras"}
        | {"findings", "photos", "georeference"}
    ),
    StageName.TRAIN: frozenset(
        {"version", "counts", "quality", "photos", "image_size", "curve", "views", "watched", "preview"}
    ),
    StageName.COMPRESS: frozenset(
        {
            "gaussians",
            "dropped",
            "sh_bands",
            "ply_bytes",
            "sog_bytes",
            "ratio",
            "attribute_bytes",
            "quality",
            "sog_psnr",
        }
        | {
            "sog_psnr_worst",
            "views",
            "kinds",
            "published",
            "lod_levels",
            "lod_counts",
            "lod_bytes",
            "lod_meta_bytes",
            "lod_psnr",
        }
    ),
}
PHOTO: Final = frozenset(
    {"name", "width", "height", "camera", "sharpness", "brightness", "blurred", "empty", "repeats", "used", "features"}
    | {"partners", "matches", "registered", "points", "reason", "dense_name", "thumb"}
)
PHOTO_POSITION: Final = frozenset({"position", "gps_residual_m", "gps_outlier", "gps_offset_m"})
GEOREFERENCE: Final = frozenset(
    {"aligned", "metric", "extent_m", "scale_error", "scale_uncertainty", "uncertainty_m", "height_uncertainty"}
    | {"metric_reason"}
)


def reports_of_share(manifests: Iterable[StageManifest], *, positions: bool) -> dict[str, Any]:
    """The shown part of each stage's report, by stage; without those that are missing or too large."""
    reports = {}
    for manifest in manifests:
        report = _read(manifest)
        if report is not None:
            reports[manifest.stage.value] = shown(manifest.stage, report, positions=positions)
    return reports


def shown(stage: StageName, report: dict[str, Any], *, positions: bool) -> dict[str, Any]:
    """The part of a report that holders of a share may see. Pure."""
    part = _only(report, FIELDS[stage])
    if stage is StageName.SFM:
        shown_of_photo = PHOTO | PHOTO_POSITION if positions else PHOTO
        part["photos"] = [_only(photo, shown_of_photo) for photo in part.get("photos", [])]
        if not positions:
            part["georeference"] = _only(part.get("georeference", {}), GEOREFERENCE)
    return part


def files_of_share(addresses: Mapping[str, str], *, positions: bool) -> dict[str, str]:
    """Those of a report's files that holders of a share may read: pictures; where photos were taken if it is wanted."""
    return {
        path: url
        for path, url in addresses.items()
        if path in REPORT_PICTURES or path.startswith(THUMBS) or (positions and path == CAMERAS)
    }


def _only(values: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names}


def _read(manifest: StageManifest) -> dict[str, Any] | None:
    ending = f"/{STAGE_FOLDERS[manifest.stage].output}/report.json"
    for artefact in artefacts_of_tenant(manifest, (ending,)):
        try:
            raw = bucket().read_small(artefact.key, MAX_BYTES)
            report = json.loads(raw) if raw else None
        except ValueError:
            return None
        return report if isinstance(report, dict) else None
    return None
