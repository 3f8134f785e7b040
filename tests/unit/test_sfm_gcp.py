"""Control points: triangulation, the similarity, and errors for what determines neither."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from services.sfm.georeference.similarity import (
    fit_similarity,
    fit_similarity_robustly,
    triangulate,
    triangulate_robustly,
)
from services.sfm.photo import PhotoMetadata
from services.sfm.photos.geo_files import (
    ControlPointAccuracy,
    apply_geo_positions,
    parse_control_points,
    parse_geo,
)

Array = NDArray[np.float64]


def towards(origins: Array, point: Array) -> Array:
    rays = point - origins
    return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True))


def rotation(seed: int = 0) -> Array:
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return np.asarray(turn * np.sign(np.linalg.det(turn)))


def test_rays_meet_at_the_point() -> None:
    point = np.array([1.0, 2.0, 30.0])
    origins = np.random.default_rng(3).normal(size=(5, 3)) * 5
    assert triangulate(origins, towards(origins, point)) == pytest.approx(point)


def test_rays_that_decide_nothing() -> None:
    origins = np.array([[0.0, 0, 0], [1, 0, 0]])
    far = np.array([0.0, 0, 1e4])
    assert triangulate(origins, towards(origins, far)) is None
    assert triangulate(origins[:1], towards(origins[:1], far)) is None
    near = np.array([0.5, 0.0, 3.0])
    assert triangulate(origins, -towards(origins, near)) is None


def test_a_similarity_is_fitted_with_its_residuals() -> None:
    source = np.random.default_rng(1).normal(size=(6, 3)) * [40, 30, 2]
    target = 2.5 * source @ rotation().T + [100, -20, 7]
    fit = fit_similarity(source, target)
    assert fit.similarity.scale == pytest.approx(2.5)
    assert fit.similarity.rotation == pytest.approx(rotation())
    assert fit.residuals == pytest.approx(np.zeros((6, 3)), abs=1e-9)
    target[4] += [0, 0, 0.6]
    off = np.linalg.norm(fit_similarity(source, target).residuals, axis=1)
    assert off.argmax() == 4
    assert 0.2 < off[4] < 0.6


@pytest.mark.parametrize("seed", range(5))
def test_rays_of_another_point_are_left_out(seed: int) -> None:
    random = np.random.default_rng(seed)
    point, other = np.array([1.0, 2.0, 30.0]), np.array([9.0, -2.0, 31.0])
    origins = random.normal(size=(7, 3)) * 5
    directions = towards(origins, point) + random.normal(0, 5e-4, (7, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions[[2, 5]] = towards(origins[[2, 5]], other)
    place, good = triangulate_robustly(origins, directions, np.full(7, 3e-3)) or (None, None)
    assert place == pytest.approx(point, abs=0.3)
    assert good is not None and np.flatnonzero(~good).tolist() == [2, 5]


def test_two_rays_that_miss_each_other_say_nothing() -> None:
    origins = np.array([[0.0, 0, 0], [5, 0, 0]])
    directions = np.stack(
        [towards(origins[:1], np.array([2.0, 3, 30]))[0], towards(origins[1:], np.array([2.0, -3, 30]))[0]]
    )
    assert triangulate_robustly(origins, directions, np.full(2, 1e-3)) is None
    assert triangulate_robustly(origins[:0], directions[:0], np.zeros(0)) is None


@pytest.mark.parametrize("count", [4, 5, 8, 40])
@pytest.mark.parametrize("seed", range(4))
def test_a_point_with_a_typing_error_is_found(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    source = random.uniform(-1, 1, (count, 3)) * [40, 30, 2]
    target = 2.5 * source @ rotation(seed).T + [100, -20, 7]
    target += random.normal(0, 0.02, target.shape)
    wrong = int(random.integers(count))
    target[wrong, 1] += 10.0
    fit, good = fit_similarity_robustly(source, target, np.full(count, 2.0))
    assert np.flatnonzero(~good).tolist() == [wrong]
    assert fit.similarity.scale == pytest.approx(2.5, rel=0.01)
    assert fit.distances[wrong] == pytest.approx(10, rel=0.05)


def test_points_without_a_majority_are_all_taken() -> None:
    random = np.random.default_rng(0)
    source = random.uniform(-1, 1, (6, 3)) * 40
    fit, good = fit_similarity_robustly(source, random.uniform(-1, 1, (6, 3)) * 40, np.full(6, 0.1))
    assert good.all()
    assert np.median(fit.distances) > 5


def test_too_few_points_and_points_on_a_line_are_refused() -> None:
    line = np.outer(np.arange(5.0), [1, 2, 3])
    with pytest.raises(ValueError, match="one line"):
        fit_similarity(line, line * 2)
    with pytest.raises(ValueError, match="3 are needed"):
        fit_similarity(line[:2], line[:2])
    with pytest.raises(ValueError, match="one place"):
        fit_similarity(np.ones((4, 3)), np.random.default_rng(0).normal(size=(4, 3)))


PLACE = "544256.7 5320919.9 5.0"
ROWS = f"{PLACE} 3044 2622 a.jpg gcp1\n{PLACE} 4193 1552 b.jpg gcp1\n544157 5320899 7 1 2 a.jpg\n"


@pytest.mark.parametrize(
    "header", ["EPSG:32610", "WGS84 UTM 10N", "+proj=utm +zone=10 +ellps=WGS84 +datum=WGS84 +units=m"]
)
def test_control_points_of_the_usual_systems(header: str) -> None:
    first, second = parse_control_points(f"{header}\n# a comment\n\n{ROWS}")
    assert (first.name, second.name) == ("gcp1", "2")
    assert first.observations == (("a.jpg", 3044.0, 2622.0), ("b.jpg", 4193.0, 1552.0))
    assert first.position == pytest.approx((48.0397, -122.4062, 5.0), abs=1e-3)


def test_control_points_say_how_exact_they_are_and_which_only_check() -> None:
    rows = [
        "1 2 3 10 20 a.jpg north check std=0.05",
        "1 2 3 11 21 b.jpg north std_z=0.08 mark_std=0.5",
        "4 5 6 10 20 a.jpg CHK-2",
        "7 8 9 10 20 a.jpg checkerboard std=-1 mark_std=nan std_z=x what=ever",
        "5 5 5 10 20 a.jpg checkpoint_3",
    ]
    north, second, board, third = parse_control_points("EPSG:4326\n" + "\n".join(rows))
    assert [point.check for point in (north, second, board, third)] == [True, True, False, True]
    assert north.accuracy == ControlPointAccuracy(0.05, 0.08, 0.5)
    assert len(north.observations) == 2
    assert board.accuracy == ControlPointAccuracy()


def test_named_columns_say_how_exact_control_points_are() -> None:
    head = "x,y,z,im_x,im_y,image,gcp,accuracy,accuracy_z,role"
    rows = ["8.1,47.1,400,10,20,a.jpg,north,0.01,0.02,check", "8.2,47.1,400,10,20,a.jpg,south,0.03,,control"]
    north, south = parse_control_points("\n".join(["EPSG:4326", head, *rows]))
    assert (north.name, north.check, north.accuracy) == ("north", True, ControlPointAccuracy(0.01, 0.02))
    assert (south.name, south.check, south.accuracy) == ("south", False, ControlPointAccuracy(0.03, 0.03))


def test_positions_of_a_file_are_no_longer_the_drones_own() -> None:
    photo = PhotoMetadata("a.jpg", "JPEG", 640, 480, rtk_flag=16, position_std_m=(1.5, 1.5, 3.0))
    (placed,) = apply_geo_positions([photo], parse_geo("EPSG:4326\na.jpg 8 47 400 0 0 0 0.01 0.02\n"))
    assert (placed.rtk_flag, placed.position_std_m) == (None, (0.01, 0.01, 0.02))


def test_geo_of_degrees_is_longitude_first() -> None:
    geo = parse_geo("EPSG:4326\na.jpg -91.99 46.84 198.5 0 0 0 0.02 0.03\nb.jpg -91.98 46.85\n")
    assert geo["a.jpg"].position == pytest.approx((46.84, -91.99, 198.5))
    assert geo["a.jpg"].std_m == (0.02, 0.02, 0.03)
    assert geo["b.jpg"].position[2] is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "EPSG:999999\na 1 2 3",
        "hello\na 1 2 3",
        "+proj=pipeline +step +proj=utm +zone=10\na 1 2",
        "+proj=utm +zone=10 +nadgrids=/etc/passwd\na 1 2",
        "+init=/etc/passwd\na 1 2",
        "/etc/passwd\na 1 2",
        "EPSG:4326\na.jpg 1",
        "EPSG:4326\na.jpg nan 2",
        "EPSG:4326\na.jpg 1e400 2",
        "EPSG:32610\na.jpg 1e30 1e30",
        "EPSG:4326\na.jpg 5 95 1",
        "EPSG:4326\n" + "a 1 2\n" * 50_001,
    ],
)
def test_wrong_files_are_refused_with_the_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"line|empty|coordinate system"):
        parse_geo(text)
