"""The last adjustments on a bent flight, with positions and control points that are exact, rough, wrong or too few."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pycolmap", reason="structure from motion is not installed")

ROOT = Path(__file__).parents[2]
SCRIPT = str(Path(__file__).with_name("finished_flight.py"))
CASES = [
    *("rtk", "plain", "liar", "control", "wrong", "small error", "rough", "both", "two datums", "unlabelled"),
    *("two", "two only"),
]


@pytest.fixture(scope="module")
def finished() -> dict[str, Any]:
    # in a child process, since COLMAP shares no process with Pillow
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, SCRIPT, *CASES]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    lines = [json.loads(line[8:]) for line in done.stdout.splitlines() if line.startswith(b"FIGURES ")]
    return {line["name"]: line for line in lines}


def points(case: dict[str, Any]) -> dict[str, Any]:
    return {point["name"]: point for point in case["georeference"]["control_points"]}


def focal_error(case: dict[str, Any]) -> float:
    return float(np.abs(np.array(case["focal"]) / [1973.0, 1966.0] - 1).max())


def test_rtk_shapes_the_model(finished: dict[str, Any]) -> None:
    case = finished["rtk"]
    assert max(case["off"]) < 0.02
    assert focal_error(case) < 0.005
    assert case["georeference"]["median_residual_m"] < 0.04
    assert case["georeference"]["prior_photos"] == 32
    assert case["georeference"]["prior_std_m"] == [0.02, 0.03]
    assert case["georeference"]["metric"]
    assert not case["findings"]


@pytest.mark.parametrize("name", ["plain", "liar"])
def test_positions_that_are_not_exact_bend_nothing(finished: dict[str, Any], name: str) -> None:
    case = finished[name]
    assert case["georeference"].get("prior_photos") is None
    assert "bundle adjustment" not in case["georeference"]["method"]
    assert case["error"] < 0.3


def test_positions_that_are_not_what_they_claim_are_named(finished: dict[str, Any]) -> None:
    claim = "said to be exact to 2.0 cm"
    assert any(claim in sentence for sentence in finished["liar"]["findings"])
    assert not any(claim in sentence for sentence in finished["plain"]["findings"])
    assert not finished["liar"]["georeference"]["metric"]


@pytest.mark.parametrize("name", ["control", "both", "two datums"])
def test_check_points_are_within_centimetres(finished: dict[str, Any], name: str) -> None:
    case = finished[name]
    across, up = case["georeference"]["check_rms_m"]
    assert np.hypot(across, up) < 0.05
    assert focal_error(case) < 0.01
    assert [point["role"] for point in points(case).values()] == ["control"] * 5 + ["check"] * 3
    assert case["georeference"]["metric"]


def test_both_are_better_than_either(finished: dict[str, Any]) -> None:
    assert max(finished["both"]["off"]) < 0.02
    assert finished["both"]["georeference"]["prior_photos"] == 32
    assert focal_error(finished["both"]) <= focal_error(finished["rtk"])


def test_another_base_station_is_named_and_control_points_place_the_model(finished: dict[str, Any]) -> None:
    assert any("25 m apart on the ground" in sentence for sentence in finished["two datums"]["findings"])


def test_a_typing_error_and_a_swapped_mark_are_left_out_and_named(finished: dict[str, Any]) -> None:
    case = finished["wrong"]
    assert "contradicts the other points by" in points(case)["P1"]["reason"]
    assert points(case)["P1"]["north_m"] == pytest.approx(-10, abs=0.2)
    assert len(points(case)["P3"]["left_out"]) == 1
    assert {name for name, point in points(case).items() if point.get("reason")} == {"P1"}
    assert any("P1 was left out" in sentence for sentence in case["findings"])
    assert any("P3" in sentence for sentence in case["findings"])
    assert max(case["georeference"]["check_rms_m"]) < 0.05


def test_an_error_of_decimetres_shows_once_the_model_is_straight(finished: dict[str, Any]) -> None:
    case = finished["small error"]
    assert "contradicts" in points(case)["P1"]["reason"]
    assert max(case["georeference"]["check_rms_m"]) < 0.05


def test_control_points_that_are_metres_off_shape_nothing_and_make_no_metres(finished: dict[str, Any]) -> None:
    case = finished["rough"]
    assert case["georeference"]["method"] == "similarity over control points"
    assert case["error"] < 0.3
    assert not case["georeference"]["metric"]
    assert "% of their extent" in case["georeference"]["metric_reason"]
    assert any("control points are said to be exact to 2.0 cm" in sentence for sentence in case["findings"])


def test_some_of_many_points_are_held_out(finished: dict[str, Any]) -> None:
    case = finished["unlabelled"]
    roles = [point["role"] for point in points(case).values()]
    assert (roles.count("control"), roles.count("check")) == (6, 2)
    assert roles[:4] == ["control"] * 4  # the corners
    assert case["georeference"]["check_rms_m"] is not None


def test_two_control_points_check_what_exact_positions_shaped(finished: dict[str, Any]) -> None:
    case = finished["two"]
    assert "3 are needed" in case["georeference"]["control_points_unused"]
    assert case["georeference"]["prior_photos"] == 32
    assert all(point["role"] == "check" and abs(point["up_m"]) < 0.2 for point in points(case).values())


def test_two_control_points_alone_are_not_enough(finished: dict[str, Any]) -> None:
    case = finished["two only"]
    assert not case["georeference"]["metric"]
    assert "3 are needed" in case["georeference"]["control_points_unused"]
