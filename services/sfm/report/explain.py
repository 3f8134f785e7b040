"""Writes all that explains a model: the report, where it lies on the earth, two drawings, a part of the report page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.sfm.capture.survey import Capture
from services.sfm.colmap.snapshot import PLACED, load_placed
from services.sfm.messages import Task, TaskPhoto
from services.sfm.photo import PhotoFacts, Unreadable
from services.sfm.report import report
from services.sfm.report.map import draw_map
from services.sfm.report.page import build_page
from services.sfm.report.top_view import draw_top_view
from spaceport.files import write_atomic


def explain(
    photos: Sequence[PhotoFacts | Unreadable],
    staged: dict[str, TaskPhoto],
    capture: Capture,
    result: dict[str, Any],
    task: Task,
) -> dict[str, Any]:
    """Write `report.json`, `georeference.json`, `capture.svg`, `top_view.svg` and `report.html` into `task.colmap`.

    `capture.svg` is missing where photos have no positions. Returns the report.
    """
    facts = report.build(photos, staged, capture, result, task.options)
    capture_map = draw_map(capture, {photo["name"] for photo in facts["photos"] if not photo["registered"]})
    top_view = draw_top_view(load_placed(task.scratch / PLACED), metric=facts["georeference"]["metric"])
    _write(task.colmap / "report.json", _json(facts))
    _write(task.colmap / "georeference.json", _json(report.georeference(staged, result)))
    if capture_map:
        _write(task.colmap / "capture.svg", capture_map)
    _write(task.colmap / "top_view.svg", top_view)
    _write(task.colmap / "report.html", build_page(facts, capture_map, top_view))
    return facts


def _json(tree: dict[str, Any]) -> str:
    return json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _write(path: Path, text: str) -> None:
    write_atomic(path, text.encode())
