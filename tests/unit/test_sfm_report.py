"""`report.json` as the stage has written it since version 1: reports of four runs on the demo survey."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from spaceport.pipeline.reports.sfm import SfmReport

REPORTS = Path(__file__).parents[1] / "data/sfm_reports"


def text_of(name: str) -> str:
    return (REPORTS / f"{name}.json").read_text()


def written(report: SfmReport) -> str:
    """As `services/sfm/report/write.py` writes it."""
    return json.dumps(report.model_dump(mode="json"), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


@pytest.mark.parametrize("name", ["gps", "no_gps", "control_points", "prior_model"])
def test_real_reports_are_read_and_written_again_as_they_were(name: str) -> None:
    report = SfmReport.model_validate_json(text_of(name))
    as_it_was = json.loads(text_of(name))
    added_since: dict[str, Any] = {"findings": []}
    as_it_was["capture"]["figures"]["control_points"] = 0
    assert json.loads(written(report)) == as_it_was | added_since
    assert (report.given is not None) == (name == "prior_model")
    assert report.georeference.aligned == (name != "no_gps")
    assert (report.georeference.control_points is not None) == (name == "control_points")
    assert (report.georeference.unit_m is not None) == (name == "prior_model")


def test_keys_that_a_photo_does_not_have_stay_away() -> None:
    report = SfmReport.model_validate_json(text_of("gps"))
    (broken,) = [photo for photo in report.photos if not photo.registered]
    assert broken.model_dump().keys() == {"name", "registered", "reason"}


def with_key(report: dict[str, Any], *path: str | int) -> dict[str, Any]:
    part: Any = report
    for step in path:
        part = part[step]
    part["surprise"] = 1
    return report


@pytest.mark.parametrize("path", [(), ("capture",), ("capture", "figures"), ("georeference",), ("photos", 0)])
def test_unknown_keys_are_refused(path: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError, match="surprise"):
        SfmReport.model_validate(with_key(json.loads(text_of("gps")), *path))
