"""Lenses after mapping: no camera model that its photos do not determine, focal lengths by whoever knows them best."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pycolmap", reason="structure from motion is not installed")

CASES = Path(__file__).parent / "lens_cases.py"
FOCAL = 733.0


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    cases = [
        "nadir, exif",
        "nadir, unknown",
        "nadir, calibrated",
        "nadir, dewarped",
        "nadir, rtk, exif",
        "nadir, rtk, unknown",
        "plane, exif",
        "orbit, unknown",
        "orbit, exif wrong",
        "3 photos",
        "3 photos, calibrated",
        "signs",
    ]
    done = subprocess.run([sys.executable, str(CASES), *cases], check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def off(result: dict[str, Any]) -> float:
    return abs(float(result["focal_px"]) / FOCAL - 1)


def test_a_real_lens_gets_its_model(results: dict[str, dict[str, Any]]) -> None:
    for case in ("nadir, exif", "nadir, calibrated", "nadir, rtk, exif", "orbit, unknown"):
        result = results[case]
        assert result["model"] == "OPENCV", case
        k1, k2, p1, p2 = result["params"][4:]
        assert k1 == pytest.approx(-0.27, abs=0.02), case
        assert k2 == pytest.approx(0.11, abs=0.02), case
        assert (p1, p2) == (pytest.approx(1e-3, abs=2e-4), pytest.approx(-6e-4, abs=2e-4)), case


def test_a_pinhole_stays_one(results: dict[str, dict[str, Any]]) -> None:
    result = results["nadir, dewarped"]
    assert off(result) < 0.006
    assert max(map(abs, result["params"][4:])) < 2e-3


def test_a_focal_length_that_views_leave_open_is_held_and_reported(results: dict[str, dict[str, Any]]) -> None:
    for case in ("nadir, exif", "plane, exif"):
        result = results[case]
        assert result["held"] and result["parallel"], case
        assert result["focal_px"] == pytest.approx(745, rel=0.005), case
        assert 0.02 < result["focal_std"] <= 0.025, case
        assert any("do not determine the focal length" in sentence for sentence in result["findings"]), case
    calibrated = results["nadir, calibrated"]
    assert calibrated["held"] and off(calibrated) < 0.006
    assert calibrated["witnesses"] == [True]  # EXIF says 950


def test_without_any_knowledge_it_is_open_and_a_warning(results: dict[str, dict[str, Any]]) -> None:
    result = results["nadir, unknown"]
    assert not result["held"]
    assert result["focal_std"] > 0.025
    assert any("Nothing tells" in sentence for sentence in result["findings"])


def test_exact_positions_determine_it(results: dict[str, dict[str, Any]]) -> None:
    for case in ("nadir, rtk, exif", "nadir, rtk, unknown"):
        assert off(results[case]) < 0.01, case
        assert off(results[case]) < 3 * results[case]["focal_std"] < 0.03, case
        assert not results[case]["held"], case


def test_views_from_all_sides_determine_it_against_exif(results: dict[str, dict[str, Any]]) -> None:
    for case in ("orbit, unknown", "orbit, exif wrong"):
        assert off(results[case]) < 0.005, case
        assert not results[case]["held"], case
    assert any("950" in sentence and "believed" in sentence for sentence in results["orbit, exif wrong"]["findings"])


def test_a_calibration_that_the_views_cannot_improve_stays(results: dict[str, dict[str, Any]]) -> None:
    result = results["3 photos, calibrated"]
    assert result["model"] == "OPENCV"
    assert off(result) < 0.006
    if "as the drone's calibration has it" in result["reason"]:
        assert result["params"][4:] == pytest.approx([-0.265, 0.1, 1e-3, -6e-4], abs=1e-3)


def test_coefficients_have_the_signs_of_opencv(results: dict[str, dict[str, Any]]) -> None:
    assert results["signs"]["apart_px"] < 1e-9


def test_three_photos_get_the_simplest_model(results: dict[str, dict[str, Any]]) -> None:
    result = results["3 photos"]
    assert result["model"] == "SIMPLE_RADIAL"
    assert result["held"]
    assert "3 photos" in result["reason"]
