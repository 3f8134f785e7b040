"""Cameras and metres as a surveyor would check them: flights with truth, in focal lengths, heights and check points.

Errors are of ground points in the frame that the model says it lies in; nothing is fitted to the truth. Evenness is
the deviation of their heights about the mean one, so that neither dome nor tilt is taken out.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flights import P4, Flight
from ground_points import choose_control_points
from survey_cases import SurveyRun, survey_run

from spaceport.demo.lens import Lens

RTK = Flight(lens=P4, altitude=60.0, photos=20, rtk=True, calibration=True)
PLAIN = replace(RTK, rtk=False, gimbal=True, gps_std_m=(1.0, 1.0, 2.0))
FLATNESS = 1 / 5000
RTK_HEIGHT_M = 0.04
"""Of ground that lies too high or low as a whole: nadir photos tell it no better than they tell the focal length."""


def check_errors(run: SurveyRun) -> np.ndarray:
    """[3] metres by which the model misses the check points' true places, by their exact marks."""
    chosen = choose_control_points(run.truth.points)
    seen = [point for point, place in zip(run.truth.points, run.model["points"], strict=True) if place is not None]
    rows = [seen.index(chosen[name]) for name in ("CHECK1", "CHECK2", "CHECK3")]
    return np.asarray(np.linalg.norm(run.ground_errors[rows], axis=1))


def assert_is_a_survey(run: SurveyRun, height_m: float = RTK_HEIGHT_M) -> None:
    """What an RTK flight must come to."""
    assert run.registered == len(run.truth.poses), run
    assert run.georeference["median_residual_m"] <= 0.04, run
    assert abs(run.focal_error()) < 0.01, run
    assert run.unevenness <= FLATNESS * run.truth.extent, run
    assert run.height_error <= height_m, run
    assert run.metric, run


def test_a_flight_with_rtk_is_as_good_as_its_receiver(tmp_path: Path) -> None:
    assert_is_a_survey(survey_run(RTK, tmp_path))


@pytest.mark.slow
def test_photos_without_their_distortion_are_as_good(tmp_path: Path) -> None:
    """The drone has straightened them, and still writes the lens into their tags."""
    assert_is_a_survey(survey_run(replace(RTK, dewarped=True), tmp_path), height_m=2.5 * RTK_HEIGHT_M)


@pytest.mark.slow
def test_rtk_and_control_points_together(tmp_path: Path) -> None:
    run = survey_run(replace(RTK, control=True), tmp_path)
    assert check_errors(run).max() <= 0.05, (check_errors(run), str(run))
    assert run.unevenness <= FLATNESS * run.truth.extent, run
    assert run.metric, run


@pytest.mark.slow
def test_without_rtk_the_calibration_holds_the_focal_length(tmp_path: Path) -> None:
    run = survey_run(PLAIN, tmp_path)
    assert abs(run.focal_error()) < 0.02, run
    assert run.says_what_its_metres_are_worth(), run


@pytest.mark.slow
def test_without_rtk_and_calibration_metres_are_worth_what_is_said(tmp_path: Path) -> None:
    run = survey_run(replace(PLAIN, calibration=False), tmp_path)
    assert abs(run.focal_error()) < 0.02 or not run.metric, run
    assert run.says_what_its_metres_are_worth(), run


@pytest.mark.slow
def test_control_points_hold_the_model(tmp_path: Path) -> None:
    run = survey_run(replace(PLAIN, control=True), tmp_path)
    assert check_errors(run).max() <= 0.05, (check_errors(run), str(run))
    assert run.metric, run
    assert abs(run.focal_error()) < 0.01, run


@pytest.mark.slow
def test_a_wide_lens_without_focal_length(tmp_path: Path) -> None:
    """The views determine it, or the report says that they do not."""
    lens = Lens(640, 480, 8.5, (2.0, -1.0), (-0.05, 0.01, 0.0005, -0.0003, 0.0))
    run = survey_run(Flight(lens=lens, altitude=30.0, photos=16, focal_tags=False), tmp_path)
    assert run.registered == 16, run
    assert abs(run.focal_error()) < 0.02 or not run.metric or "focal length" in run.warnings, run
    assert run.unevenness < 0.05, run


@pytest.mark.slow
def test_a_digital_zoom_is_a_camera_of_its_own(tmp_path: Path) -> None:
    zoomed = tuple(range(2, 20, 4))
    run = survey_run(Flight(photos=20, zoomed=zoomed, gps_std_m=(0.3, 0.3, 0.5)), tmp_path)
    focal = run.truth.lens.focal
    assert run.registered == 20, run
    for number, name in enumerate(run.truth.poses):
        error = run.focal_error(2 * focal if number in zoomed else focal, name)
        assert abs(error) < 0.02, (name, str(run))
    assert run.metric, run
    assert run.height_error < 0.5, run


@pytest.mark.slow
def test_a_slight_distortion_does_not_raise_a_dome(tmp_path: Path) -> None:
    """18 nadir photos, exact positions: what field case 13 is about."""
    lens = Lens(800, 600, distortion=(-0.11, 0.015, 0.0, 0.0, 0.0))
    run = survey_run(Flight(lens=lens, photos=18), tmp_path, size=800)
    errors = run.ground_errors[:, 2]
    assert np.abs(errors - errors.mean()).max() < 0.05 or not run.metric, run
    assert abs(run.focal_error()) < 0.01 or not run.metric, run
