"""Writes the reports of a run: `report.json`, `georeference.json`, two drawings, a part of the report page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from services.sfm.capture.survey import Array, Capture
from services.sfm.colmap.snapshot import Snapshot
from services.sfm.georeference.alignment import ENU_AXES
from services.sfm.georeference.wgs84 import to_enu
from services.sfm.messages import ColmapResult, ColmapTask, TaskControlPoint, TaskPhoto
from services.sfm.report.build import georeference_by_name
from services.sfm.report.map import draw_map
from services.sfm.report.page import build_page
from services.sfm.report.top_view import draw_top_view
from spaceport.files import write_atomic
from spaceport.pipeline.reports.sfm import Georeference, SfmReport


def write_reports(
    report: SfmReport,
    staged: dict[str, TaskPhoto],
    capture: Capture,
    result: ColmapResult,
    task: ColmapTask,
    snapshot: Snapshot,
) -> None:
    """Write `report.json`, `georeference.json`, `capture.svg`, `top_view.svg` and `report.html` into `task.colmap`.

    `capture.svg` is missing where photos have no positions.
    """
    capture_map = draw_map(capture, report.photos, task.control_points)
    places = _places_in_model(task.control_points, report.georeference)
    top_view = draw_top_view(
        snapshot, metric=report.georeference.metric, control_points=task.control_points, places=places
    )
    _write_json(task.colmap / "report.json", report.model_dump(mode="json"))
    georeference = georeference_by_name(staged, result)
    _write_json(task.colmap / "georeference.json", {"version": 1} | georeference.model_dump(mode="json"))
    if capture_map:
        _write(task.colmap / "capture.svg", capture_map.svg())
    _write(task.colmap / "top_view.svg", top_view.svg())
    _write(task.colmap / "report.html", build_page(report, capture_map, top_view))


def _places_in_model(points: Sequence[TaskControlPoint], georeference: Georeference) -> Array | None:
    """East and north [N,2] of the points in the model's frame; None where that is no frame of metres on the earth."""
    origin = georeference.origin
    if not points or origin is None or georeference.axes != ENU_AXES:
        return None
    surveyed = np.array([point.position for point in points], dtype=np.float64)
    return to_enu(surveyed, np.array([origin.latitude, origin.longitude, origin.altitude_m]))[:, :2]


def _write_json(path: Path, tree: dict[str, Any]) -> None:
    _write(path, json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _write(path: Path, text: str) -> None:
    write_atomic(path, text.encode())
