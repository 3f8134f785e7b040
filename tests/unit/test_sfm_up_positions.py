"""Positions beside photos about up: exact ones decide, bad ones and those on a line give place, scale and north."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from camera_sets import CameraSet, ground_points, make_set, nadir_grid, orbit, strip, with_noise

from services.sfm.georeference.level_alignment import level_similarity
from services.sfm.georeference.robust_fit import fit_robust_similarity
from services.sfm.georeference.up.choice import UpChoice, by_photos, choose_up
from services.sfm.georeference.up.combine import UpEstimate
from services.sfm.georeference.up.control import up_by_control_points
from services.sfm.georeference.up.report import up_findings
from services.sfm.georeference.up.tilt import tilt_evidence
from services.sfm.georeference.upright import photo_evidence, rotation_to_z
from services.sfm.georeference.wgs84 import Array

GPS_STD_M = (1.5, 1.5, 3.0)


def flight(seed: int, kind: str = "grid", *, gimbals: bool = False, slope_deg: float = 0.0) -> CameraSet:
    rotations, centres = nadir_grid() if kind == "grid" else orbit() if kind == "orbit" else strip()
    points = ground_points(np.random.default_rng([seed, 1]), 80.0, slope_deg)
    return make_set(rotations, with_noise(centres, seed, 0.5), points, seed, shake_deg=1.0, gimbals=gimbals)


def chosen_up(flown: CameraSet, targets: Array, drift_m: float = 1.0) -> UpChoice:
    evidence = photo_evidence(flown.photos)
    fit = fit_robust_similarity(flown.photos.centres, targets, np.tile(GPS_STD_M, (len(targets), 1)))
    agree = fit.inliers
    return choose_up(
        evidence, by_photos(evidence), drift_m, flown.photos.centres[agree], fit.similarity, fit.residuals[agree]
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["grid", "orbit"])
def test_centimetres_over_an_area_decide(kind: str, seed: int) -> None:
    flown = flight(seed, kind, slope_deg=10.0)
    up = chosen_up(flown, with_noise(flown.targets, seed + 10, 0.02), drift_m=0.02)
    assert not up.level
    assert not up.contradicted
    assert flown.angle_deg(up.direction) < 0.15


@pytest.mark.parametrize("seed", range(3))
def test_a_strip_leaves_the_turn_about_its_line_to_the_photos(seed: int) -> None:
    flown = flight(seed, "strip", gimbals=True)
    up = chosen_up(flown, with_noise(flown.targets, seed + 10, 1.5))
    assert up.level
    assert flown.angle_deg(up.direction) < 2.0
    placed = level_similarity(flown.photos.centres, up.direction, with_noise(flown.targets, seed + 10, 1.5))
    assert np.linalg.norm(placed.similarity.apply(flown.photos.centres) - flown.targets, axis=1).max() < 5.0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["grid", "orbit"])
def test_positions_that_are_wrong_by_20_metres_tilt_nothing(kind: str, seed: int) -> None:
    flown = flight(seed, kind)
    up = chosen_up(flown, with_noise(flown.targets, seed + 10, 20.0))
    assert up.level
    assert flown.angle_deg(up.direction) < 2.0


@pytest.mark.parametrize("seed", range(3))
def test_positions_that_lag_along_the_lines_tilt_nothing(seed: int) -> None:
    flown = flight(seed)
    lagging = flown.targets + np.where(np.arange(20) // 5 % 2, -10.0, 10.0)[:, None] * [0.0, 1.0, 0.0]
    assert flown.angle_deg(chosen_up(flown, lagging).direction) < 2.0


@pytest.mark.parametrize("seed", range(3))
def test_heights_that_climb_across_the_survey_contradict_the_photos(seed: int) -> None:
    flown = flight(seed, gimbals=True)
    climbing = with_noise(flown.targets, seed + 10, 0.5)
    climbing[:, 2] += 0.5 * flown.targets[:, 0]
    up = chosen_up(flown, climbing)
    assert up.contradicted
    assert up.level
    assert np.degrees(up.tilt) > 15
    assert flown.angle_deg(up.direction) < 2.0


@pytest.mark.parametrize("seed", range(3))
def test_a_lens_that_looks_aslant_contradicts_exact_positions_in_vain(seed: int) -> None:
    rotations, centres = nadir_grid(to_and_fro=False)
    points = ground_points(np.random.default_rng(seed), 80.0)
    leaning = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(0.3), -np.sin(0.3)], [0.0, np.sin(0.3), np.cos(0.3)]])
    flown = make_set(leaning @ rotations, centres, points, seed)
    up = chosen_up(flown, with_noise(flown.targets, seed, 0.02), drift_m=0.02)
    assert flown.angle_deg(up.direction) < 0.15


@pytest.mark.parametrize(("spread_m", "noise_m"), [(60.0, 0.5), (60.0, 3.0), (200.0, 3.0)])
def test_the_sigma_of_a_tilt_is_what_it_is_wrong_by(spread_m: float, noise_m: float) -> None:
    """Over many draws, the angle to the truth is about as large as the standard deviation says."""
    ratios = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        places = rng.uniform([-spread_m / 2, -spread_m / 2, 39], [spread_m / 2, spread_m / 2, 41], (40, 3))
        targets = places + rng.normal(0, noise_m, places.shape)
        fit = fit_robust_similarity(places, targets, np.tile(GPS_STD_M, (40, 1)), seed)
        evidence = tilt_evidence(places, fit.similarity, fit.residuals, 0.0)
        ratios.append(evidence.deviations(np.array([[0.0, 0.0, 1.0]]))[0])
    # errors of neighbours are taken for correlated, here they are not: the sigma is twice as large, never too small
    assert 0.3 < float(np.sqrt(np.square(ratios).mean())) < 1.0


def test_the_open_axis_of_a_strip_is_its_line() -> None:
    flown = flight(0, "strip")
    fit = fit_robust_similarity(flown.photos.centres, with_noise(flown.targets, 3, 1.5), np.tile(GPS_STD_M, (6, 1)))
    evidence = tilt_evidence(flown.photos.centres, fit.similarity, fit.residuals, 1.0)
    assert np.degrees(evidence.sigmas.max()) > 20
    assert np.degrees(evidence.sigmas.min()) < 10
    line = flown.photos.centres[-1] - flown.photos.centres[0]
    open_axis = evidence.axes[int(evidence.sigmas.argmax())]
    assert abs(float(open_axis @ line)) / np.linalg.norm(line) < 0.2


def survey(seed: int, turned_deg: float) -> UpEstimate:
    """Six control points of centimetres on a level orbit with gimbal angles; the points' heights lean by `turned_deg`.

    The model lies on its control points, so it leans with them.
    """
    angle = np.radians(turned_deg)
    lean = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(angle), -np.sin(angle)], [0.0, np.sin(angle), np.cos(angle)]])
    flown = flight(seed, "orbit", gimbals=True)
    turn = (lean @ rotation_to_z(flown.up)).T
    leaning = replace(
        flown.photos,
        rotations=flown.photos.rotations @ turn,
        centres=flown.photos.centres @ turn,
        points=flown.photos.points @ turn,
    )
    targets = np.random.default_rng(seed).uniform([-30, -30, 0], [30, 30, 2], (6, 3))
    places = with_noise(targets, seed, 0.02)
    return up_by_control_points(photo_evidence(leaning), places, targets)


def test_control_points_decide_and_photos_agree() -> None:
    estimate = survey(0, 0.0)
    assert np.array_equal(estimate.direction, [0, 0, 1])
    assert estimate.sigma_deg < 0.2
    assert up_findings(estimate) == []


def test_control_points_that_lie_aslant_are_contradicted_by_the_gimbal() -> None:
    estimate = survey(0, 12.0)
    (finding,) = up_findings(estimate)
    assert "12°" in finding.sentence
    assert "control points" in finding.sentence
