"""Rolling shutters of known drones."""

from __future__ import annotations

import pytest

from services.sfm.photo import PhotoMetadata
from services.sfm.report.shutter import MECHANICAL, ROLLING, has_rolling_shutter, rolling_shutter


def photo(model: str, exposure_s: float | None = None) -> PhotoMetadata:
    return PhotoMetadata("a.jpg", "JPEG", 4000, 3000, "DJI", model, exposure_s=exposure_s)


@pytest.mark.parametrize(
    ("model", "exposure_s", "expected"),
    [
        ("FC300S", 1 / 100, True),
        ("L1D-20c", None, True),
        ("FC6310", 1 / 500, False),
        ("FC6310", 1 / 2000, False),
        ("FC6310", 1 / 5000, True),  # faster than its mechanical shutter
        ("M3E", None, False),
        ("Anafi", 1 / 500, True),
        ("ILCE-7RM4", 1 / 500, None),
        ("", None, None),
    ],
)
def test_which_camera_exposes_row_after_row(model: str, exposure_s: float | None, expected: bool | None) -> None:
    assert has_rolling_shutter(photo(model, exposure_s)) is expected


def test_no_camera_is_in_both_tables() -> None:
    assert not MECHANICAL.keys() & ROLLING.keys()


def test_the_report_counts_and_advises() -> None:
    report = rolling_shutter([photo("FC300S"), photo("FC300S"), photo("X")])
    assert (report.photos, report.unknown, report.drones) == (2, 1, ["Phantom 3 Advanced"])
    assert "slowly" in (report.advice or "")
    assert rolling_shutter([photo("M3E", 0.001)]).advice is None
