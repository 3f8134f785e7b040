"""When lengths may be called metres, and how exact they are: made surveys with known errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sfm.georeference.accuracy import (
    GPS_DRIFT_M,
    assess_accuracy,
    find_dome,
    independent_share,
    relative_scale_error,
)
from services.sfm.georeference.position_findings import bent_model
from services.sfm.georeference.similarity import fit_similarity
from services.sfm.georeference.wgs84 import Array
from spaceport.pipeline.reports.sfm import Georeference


def a_grid(lines: int = 6, photos: int = 8, step: float = 10.0, height: float = 45.0) -> Array:
    """A lawnmower flight over `lines` lines, metres, in the order of the flight."""
    rows = []
    for line in range(lines):
        along = np.arange(photos) if line % 2 == 0 else np.arange(photos)[::-1]
        rows += [[line * step, number * step, height] for number in along]
    return np.array(rows)


def fitted(targets: Array, errors: Array) -> Array:
    """Residuals of the similarity that moves the true places onto `targets` + `errors`."""
    return fit_similarity(targets, targets + errors).residuals


def test_the_error_of_the_scale_is_what_many_surveys_scatter_by() -> None:
    random = np.random.default_rng(5)
    places = random.normal(0, (30, 20, 2), (12, 3))
    scales, errors = [], []
    for _ in range(400):
        noisy = places + random.normal(0, 1.5, places.shape)
        fit = fit_similarity(places, noisy)
        scales.append(fit.similarity.scale)
        errors.append(relative_scale_error(noisy, fit.residuals))
    assert np.median(errors) == pytest.approx(np.std(scales), rel=0.15)


def test_too_few_positions_have_no_scale_error() -> None:
    assert relative_scale_error(np.eye(3)[:2], np.zeros((2, 3))) == float("inf")
    assert relative_scale_error(np.zeros((4, 3)), np.zeros((4, 3))) == float("inf")
    accuracy = assess_accuracy(np.eye(3)[:2] * 50, np.zeros((2, 3)))
    assert not accuracy.metric
    assert "leave nothing over" in str(accuracy.reason)
    Georeference(aligned=True, axes="x", **accuracy.fields())


def test_plain_gps_over_a_survey_is_metric_with_an_honest_uncertainty() -> None:
    grid = a_grid()
    accuracy = assess_accuracy(grid, fitted(grid, np.random.default_rng(0).normal(0, 0.35, grid.shape)), drift_m=0.5)
    assert accuracy.metric
    assert 2 * 0.5 / 87 < accuracy.uncertainty < 0.02
    assert accuracy.uncertainty_m == pytest.approx(accuracy.uncertainty * 86, rel=0.01)


def test_errors_that_last_for_minutes_do_not_average_out() -> None:
    random, grid = np.random.default_rng(1), a_grid()
    white = random.normal(0, 1.0, grid.shape)
    wandering = np.empty_like(white)
    wandering[0] = white[0]
    for number in range(1, len(white)):
        wandering[number] = 0.9 * wandering[number - 1] + np.sqrt(1 - 0.9**2) * white[number]
    assert independent_share(white) > 0.7
    assert independent_share(wandering) < 0.3
    independent, correlated = (assess_accuracy(grid, fitted(grid, errors)) for errors in (white, wandering))
    assert correlated.uncertainty > 1.5 * independent.uncertainty


def test_control_points_that_miss_by_a_twentieth_of_their_extent_are_not_metric() -> None:
    few = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 0.1], [2.0, 1.9, 0.0], [0.0, 2.0, 0.4]])
    many = np.random.default_rng(2).uniform(0, 2.0, (40, 3))
    for points in (few, many):
        errors = np.random.default_rng(3).normal(0, 0.11, points.shape)
        accuracy = assess_accuracy(points, fitted(points, errors), what="control points", stated_std_m=0.02)
        assert not accuracy.metric
        assert "control points" in str(accuracy.reason)
    exact = fitted(few, np.random.default_rng(3).normal(0, 0.002, few.shape))
    assert assess_accuracy(few, exact, what="control points").metric


def test_rtk_positions_contradict_a_model_that_misses_them_by_far_more_than_they_are_worth() -> None:
    grid = a_grid(step=15.0)
    off = assess_accuracy(
        grid, fitted(grid, np.random.default_rng(4).normal(0, 0.25, grid.shape)), stated_std_m=0.02, drift_m=0.02
    )
    assert not off.metric
    assert "said to be exact to 2 cm, but miss the model by 0.3" in str(off.reason)
    near = fitted(grid, np.random.default_rng(4).normal(0, 0.02, grid.shape))
    assert assess_accuracy(grid, near, stated_std_m=0.02, drift_m=0.02).metric


@pytest.mark.parametrize("dome", [0.28, -0.28, 1.5])
def test_a_dome_is_found_where_positions_are_exact_enough(dome: float) -> None:
    grid = a_grid(5, 6, 8.0)
    ground = grid[:, :2] - grid[:, :2].mean(axis=0)
    squares = np.square(ground).sum(axis=1)
    bend = np.column_stack([np.zeros((len(grid), 2)), dome * (1 - squares / squares.max())])
    exact = bend + np.random.default_rng(5).normal(0, 0.02, grid.shape)
    residuals = fit_similarity(grid + exact, grid).residuals
    accuracy = assess_accuracy(grid, residuals)
    assert accuracy.dome_m == pytest.approx(dome, rel=0.15)
    assert accuracy.metric == (abs(dome) < 1)
    assert accuracy.uncertainty > abs(dome) / 53
    side = "above" if dome > 0 else "below"
    said = bent_model(accuracy.dome_m, 51.2)[0].sentence
    assert f"{abs(accuracy.dome_m or 0):.2f} m {side} its rim" in (said if accuracy.metric else str(accuracy.reason))
    assert bent_model(accuracy.dome_m, 1000.0) == []
    noise = np.random.default_rng(6).normal(0, 2.0, grid.shape)
    assert find_dome(grid, fit_similarity(grid + bend + noise, grid).residuals[:, 2]) is None


def test_a_line_shows_no_dome() -> None:
    line = np.column_stack([np.arange(20) * 5.0, np.zeros(20), np.full(20, 40.0)])
    assert find_dome(line, np.square(np.linspace(-1, 1, 20))) is None
    assert find_dome(line[:5], np.zeros(5)) is None


def test_a_focal_length_that_is_open_leaves_heights_open_where_all_look_down() -> None:
    grid = a_grid()
    residuals = fitted(grid, np.random.default_rng(7).normal(0, 0.1, grid.shape))
    assert assess_accuracy(grid, residuals, focal_uncertainty=0.1, looks_down=False).metric
    assert assess_accuracy(grid, residuals, focal_uncertainty=0.01, looks_down=True).metric
    open_focal = assess_accuracy(grid, residuals, focal_uncertainty=0.1, looks_down=True)
    assert "± 20%" in str(open_focal.reason)
    usual = assess_accuracy(grid, residuals, focal_uncertainty=0.03, looks_down=True)
    assert usual.metric
    assert usual.height_uncertainty == pytest.approx(np.hypot(usual.uncertainty, 0.06))
    oblique = assess_accuracy(grid, residuals, focal_uncertainty=0.03, looks_down=False)
    assert oblique.height_uncertainty == oblique.uncertainty
    assert assess_accuracy(grid, residuals, contradictions=["nothing fits"]).reason == "nothing fits"


def test_heights_that_were_not_used_do_not_count() -> None:
    grid = a_grid()
    residuals = fitted(grid, np.random.default_rng(8).normal(0, 0.5, grid.shape))
    residuals[:, 2] = np.nan
    accuracy = assess_accuracy(grid, residuals, drift_m=GPS_DRIFT_M)
    assert accuracy.metric
    assert accuracy.dome_m is None
    assert 0 < accuracy.scale_error < 0.01


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), lines=st.integers(3, 8), noise=st.floats(0.001, 3.0))
def test_noise_alone_seldom_makes_a_dome(seed: int, lines: int, noise: float) -> None:
    grid = a_grid(lines)
    residuals = fitted(grid, np.random.default_rng(seed).normal(0, noise, grid.shape))
    dome = find_dome(grid, residuals[:, 2])
    assert dome is None or abs(dome) < 5 * noise  # never a dome that noise cannot make
