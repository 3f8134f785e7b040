"""Control points: triangulation, the similarity, and errors for what determines neither."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from services.sfm.georeference.similarity import fit_similarity, triangulate
from services.sfm.photos.geo_files import parse_control_points, parse_geo

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
