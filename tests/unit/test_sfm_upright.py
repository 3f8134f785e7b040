"""Up by all that the photos say: on made sets of cameras, in a frame turned at random, against the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from camera_sets import (
    CameraSet,
    court,
    facade,
    gimbal_of,
    ground_points,
    look,
    make_set,
    nadir_grid,
    orbit,
    retagged,
    strip,
    wall_points,
    with_noise,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sfm.georeference.up.combine import UpEstimate, combine_evidence
from services.sfm.georeference.up.evidence import isotropic
from services.sfm.georeference.up.gimbal import gimbal_evidence
from services.sfm.georeference.up.photos import PosedPhotos
from services.sfm.georeference.up.report import up_findings, up_report
from services.sfm.georeference.upright import photo_evidence, rotation_to_z
from services.sfm.georeference.wgs84 import Array, enu_to_ecef

SEEDS = range(3)


def estimate_up(photos: PosedPhotos) -> UpEstimate:
    return combine_evidence(photo_evidence(photos))


def ground(seed: int, slope_deg: float = 0.0) -> Array:
    return ground_points(np.random.default_rng([seed, 1]), 80.0, slope_deg)


def tags(seed: int, count: int) -> Array:
    return np.random.default_rng([seed, 2]).choice([1, 3, 6, 8], count)


def nadir(seed: int, to_and_fro: bool = True) -> CameraSet:
    rotations, centres = nadir_grid(to_and_fro=to_and_fro)
    return make_set(rotations, with_noise(centres, seed, 0.5), ground(seed), seed)


def nadir_on_a_slope(seed: int) -> CameraSet:
    rotations, centres = nadir_grid()
    return make_set(rotations, with_noise(centres, seed, 0.5), ground(seed, 8.0), seed)


def sand_from_a_kite(seed: int) -> CameraSet:
    rotations, centres = nadir_grid(6, 7)
    chosen = make_set(rotations, with_noise(centres, seed, 3.0), ground(seed), seed, shake_deg=6)
    return retagged(chosen, tags(seed, len(centres)))  # looking down, tags mean nothing


def kite_of_both(seed: int) -> CameraSet:
    """Two of three photos to nadir, the others oblique; tags right or, at nadir, wrong."""
    (down, over), (aslant, around) = nadir_grid(), orbit(8)
    orientations = tags(seed, 28)
    centres = with_noise(np.concatenate([over, around]), seed, 3.0)
    chosen = make_set(
        np.concatenate([down, aslant]), centres, ground(seed), seed, shake_deg=4, orientations=orientations
    )
    return retagged(chosen, np.where(np.arange(28) < 20, tags(seed + 1, 28), orientations))


def oblique_orbit(seed: int) -> CameraSet:
    rotations, centres = orbit()
    return make_set(rotations, with_noise(centres, seed, 0.5), ground(seed), seed, orientations=tags(seed, 16))


def half_orbit(seed: int, orientation: int = 1, count: int = 6) -> CameraSet:
    rotations, centres = orbit(count, 180.0)
    orientations = np.full(count, orientation)
    return make_set(
        rotations, with_noise(centres, seed, 0.5), ground(seed), seed, orientations=orientations, shake_deg=1.2
    )


def strip_with_gimbal(seed: int) -> CameraSet:
    rotations, centres = strip()
    return make_set(rotations, with_noise(centres, seed, 0.4), ground(seed), seed, shake_deg=1.0, gimbals=True)


def oblique_one_way(seed: int) -> CameraSet:
    _, centres = nadir_grid()
    rotations = np.array([look(centre, np.array([0.0, 1.0, -1.0])) for centre in centres])
    return make_set(rotations, with_noise(centres, seed, 0.5), ground(seed), seed)


def in_a_court(seed: int) -> CameraSet:
    rotations, centres, points = court(seed)
    return make_set(rotations, with_noise(centres, seed, 0.2), points, seed)


def facade_by_drone(seed: int) -> CameraSet:
    rotations, centres = facade(8, 3)
    return make_set(rotations, with_noise(centres, seed, 0.1), wall_points(seed), seed, gimbals=True)


def in_hands_around_a_thing(seed: int) -> CameraSet:
    rotations, centres = orbit(16, 360.0, 1.2, 3.0)
    points = ground_points(np.random.default_rng([seed, 1]), 4.0)
    return make_set(rotations, with_noise(centres, seed, 0.15), points, seed, shake_deg=2)


CASES = {
    "all nadir": nadir,
    "all nadir, one heading": lambda seed: nadir(seed, to_and_fro=False),
    "nadir on a slope": nadir_on_a_slope,
    "kite, nadir, any tags": sand_from_a_kite,
    "kite, 2:1 to nadir, mixed tags": kite_of_both,
    "orbit, mixed tags": oblique_orbit,
    "half an orbit, landscape": half_orbit,
    "half an orbit, portrait": lambda seed: half_orbit(seed, 6),
    "half an orbit, portrait the other way": lambda seed: half_orbit(seed, 8, 12),
    "strip with gimbal": strip_with_gimbal,
    "oblique, one way": oblique_one_way,
    "court": in_a_court,
    "facade with gimbal": facade_by_drone,
    "in hands": in_hands_around_a_thing,
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("case", CASES)
def test_up_within_two_degrees_of_the_truth(case: str, seed: int) -> None:
    chosen = CASES[case](seed)
    estimate = estimate_up(chosen.photos)
    assert chosen.angle_deg(estimate.direction) < 2.0
    assert chosen.angle_deg(estimate.direction) < 3 * estimate.sigma_deg


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (-90.0, 0.0, 12.3), (-45.0, 0.0, 12.3), (0.0, 0.0, np.nan)])
@pytest.mark.parametrize("case", ["all nadir", "orbit, mixed tags", "half an orbit, portrait"])
def test_constant_gimbal_angles_turn_nothing_over(case: str, angles: tuple[float, float, float]) -> None:
    chosen = CASES[case](0)
    lying = replace(chosen.photos, gimbals=np.tile(angles, (len(chosen.targets), 1)))
    assert chosen.angle_deg(estimate_up(lying).direction) < 2.0


def test_zeros_are_named() -> None:
    chosen = nadir(0)
    estimate = estimate_up(replace(chosen.photos, gimbals=np.zeros((20, 3))))
    assert any("gimbal angles" in finding.sentence for finding in up_findings(estimate))
    (gimbal,) = [source for source in up_report(estimate).evidence if source.source == "gimbal angles"]
    assert gimbal.contradicted


def test_angles_that_agree_and_still_contradict_the_rest_are_named() -> None:
    rotations, centres = orbit()
    leaning = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(0.5), -np.sin(0.5)], [0.0, np.sin(0.5), np.cos(0.5)]])
    tilted = np.array([rotation @ leaning for rotation in rotations])  # an airframe's angles, off by 29 degrees
    forward, right = tilted[:, 2], tilted[:, 0]
    pitch, roll = np.arcsin(forward[:, 2]), np.arctan2(-right[:, 2], -tilted[:, 1, 2])
    angles = np.degrees(np.column_stack([pitch, roll, np.zeros(16)]))
    chosen = make_set(rotations, centres, ground(0), 0, gimbals=angles)
    estimate = estimate_up(chosen.photos)
    assert chosen.angle_deg(estimate.direction) < 2.0
    assert any("contradict" in finding.sentence for finding in up_findings(estimate))


@pytest.mark.parametrize("roll", [0.0, 180.0, -180.0])
def test_a_gimbal_that_hangs_upside_down_is_read(roll: float) -> None:
    rotations, centres = orbit()
    chosen = make_set(
        rotations, centres, ground(1), 1, gimbals=gimbal_of(rotations) + np.array([0, roll, 0]), shake_deg=1.0
    )
    evidence = gimbal_evidence(chosen.photos)
    assert evidence is not None
    assert evidence.reliability > 0.5
    assert chosen.angle_deg(evidence.direction) < 2.0


def test_real_roll_is_used() -> None:
    _, centres = strip(8)
    leaning = np.radians(20.0)
    about_view = np.array(
        [[np.cos(leaning), -np.sin(leaning), 0], [np.sin(leaning), np.cos(leaning), 0], [0.0, 0.0, 1.0]]
    )
    level = np.array([look(centre, np.array([0.0, 1.0, 0.0])) for centre in centres])
    # the camera turns clockwise, so the picture turns the other way
    chosen = make_set(
        about_view.T @ level, centres, ground(2), 2, shake_deg=0.0, gimbals=np.tile([0.0, 20.0, 0.0], (8, 1))
    )
    evidence = gimbal_evidence(chosen.photos)
    assert evidence is not None
    assert chosen.angle_deg(evidence.direction) < 0.1


def test_a_walk_along_a_facade_is_uncertain() -> None:
    rotations, centres = facade(12, 1)
    chosen = make_set(rotations, centres, wall_points(0), 0)
    estimate = estimate_up(chosen.photos)
    assert chosen.angle_deg(estimate.direction) < 2.0
    assert estimate.sigma_deg > 5
    assert any("uncertain" in finding.sentence for finding in up_findings(estimate))


@pytest.mark.parametrize("rows", [1, 3])
def test_a_facade_and_the_ground_are_not_told_apart_with_confidence(rows: int) -> None:
    rotations, centres = facade(8, rows)
    estimate = estimate_up(make_set(rotations, centres, wall_points(1), 1).photos)
    assert up_findings(estimate)
    assert estimate.sigma_deg > 5


def test_portrait_without_its_tag_stands() -> None:
    rotations, centres = orbit(12, 360.0, 3.0, 30.0)
    chosen = retagged(make_set(rotations, centres, ground(3), 3, orientations=np.full(12, 6)), np.ones(12))
    assert chosen.angle_deg(estimate_up(chosen.photos).direction) < 2.0


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.sampled_from(["all nadir", "orbit, mixed tags", "strip with gimbal"]))
def test_up_is_estimated_in_any_frame(seed: int, case: str) -> None:
    chosen = CASES[case](seed)
    assert chosen.angle_deg(estimate_up(chosen.photos).direction) < 4.0


def test_one_photo_is_enough_to_say_something() -> None:
    chosen = nadir(0)
    one = replace(
        chosen.photos,
        rotations=chosen.photos.rotations[:1],
        centres=chosen.photos.centres[:1],
        orientations=chosen.photos.orientations[:1],
        gimbals=chosen.photos.gimbals[:1],
        points=chosen.photos.points[:0],
    )
    estimate = estimate_up(one)
    assert np.isfinite(estimate.direction).all()
    assert estimate.sigma_deg > 20


def test_the_report_says_which_source_is_surest() -> None:
    report = up_report(estimate_up(strip_with_gimbal(0).photos))
    assert report.evidence == sorted(report.evidence, key=lambda source: source.sigma_deg)
    assert report.ground_tilt_deg is not None
    assert report.ground_tilt_deg < 3
    assert 0 < report.sigma_deg < 3
    sources = [source.source for source in report.evidence]
    assert "views straight down" in sources
    assert "views straight ahead" not in sources  # nobody claimed it


def test_an_axis_misses_nothing_by_more_than_a_right_angle() -> None:
    axis = isotropic("axis", np.array([0.0, 0.0, 1.0]), 0.1, 0.9, signed=False)
    assert axis.angle_deg(np.array([0.0, 0.0, -1.0])) == 0
    assert np.isclose(np.linalg.norm(axis.deviations(np.array([[1.0, 0.0, 0.0]]))), 10)


@pytest.mark.parametrize("up", [[0, 0, 1], [0, 0, -1], [1, 0, 0], [0.6, 0, -0.8]])
def test_the_turn_is_a_rotation(up: list[float]) -> None:
    turn = rotation_to_z(np.array(up, dtype=float))
    assert np.allclose(turn @ turn.T, np.eye(3))
    assert np.linalg.det(turn) == pytest.approx(1)
    assert np.allclose(turn @ up, [0, 0, 1])


def test_earth_centred_metres_of_a_known_place() -> None:
    transform = enu_to_ecef(np.array([0.0, 90.0, 100.0]))  # on the equator at 90 degrees east
    assert np.allclose(transform[:3, 3], [0, 6378137.0 + 100, 0], atol=1e-3)
    assert np.allclose(transform[:3, :3] @ [1, 0, 0], [-1, 0, 0], atol=1e-12)
    assert np.allclose(transform[:3, :3] @ [0, 0, 1], [0, 1, 0], atol=1e-12)
