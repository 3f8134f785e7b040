"""Positions that lag behind the photos."""

from __future__ import annotations

import numpy as np
import pytest
from flight_paths import Flight, as_model, circle, lawnmower, moments, strip
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sfm.georeference.clock_shift import CameraPath, ClockShift, estimate_clock_shift


def shift_of(
    flight: Flight, lag: float, seed: int = 0, noise: float = 0.7, photos: int = 40, whole: bool = False
) -> ClockShift | None:
    random, times = np.random.default_rng(seed), moments(photos)
    ground = flight(times - lag)[:, :2] + noise * random.normal(size=(photos, 2))
    ground[5] = np.nan
    clock = np.floor(times + 0.3) if whole else times
    path = CameraPath(as_model(flight(times), random), clock, ["one camera"] * photos)
    return estimate_clock_shift(path, ground, np.ones(photos))


@pytest.mark.parametrize("lag", [0.5, 1.0, 2.0, 3.0, -1.5])
@pytest.mark.parametrize("whole", [False, True])
def test_a_lag_is_found_on_a_flight_that_turns(lag: float, whole: bool) -> None:
    shift = shift_of(lawnmower(), lag, whole=whole)
    assert shift is not None
    assert shift.seconds == pytest.approx(lag, abs=max(0.1, 4 * shift.sigma_s))
    assert 0.005 < shift.sigma_s < 0.2


@pytest.mark.parametrize("flight", [strip(), circle()])
def test_a_lag_that_is_a_shift_or_a_rotation_is_not_claimed(flight: Flight) -> None:
    assert shift_of(flight, 2.0) is None


def test_few_photos_and_photos_without_time_have_none() -> None:
    assert shift_of(lawnmower(), 2.0, photos=9) is None
    places = lawnmower()(moments(30))
    path = CameraPath(places, np.full(30, np.nan), [0] * 30)
    assert estimate_clock_shift(path, places[:, :2], np.ones(30)) is None


def test_the_path_ends_where_a_flight_or_a_camera_does() -> None:
    times = np.array([0.0, 2, 4, 6, 100, 102, 104, 0, 2, 4])
    centres = np.column_stack([times, np.zeros((10, 2))])
    before = CameraPath(centres, times, ["a"] * 7 + ["b"] * 3).before(1.0)
    np.testing.assert_allclose(before[[1, 2, 3, 5, 6, 8, 9], 0], times[[1, 2, 3, 5, 6, 8, 9]] - 1)
    assert np.isnan(before[[0, 4, 7]]).all()


def test_photos_of_one_second_are_spread_over_it() -> None:
    times = np.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0])
    centres = np.column_stack([np.arange(6.0), np.zeros((6, 2))])
    before = CameraPath(centres, times, [0] * 6).before(0.5)
    np.testing.assert_allclose(before[1:, 0], np.arange(5.0), atol=1e-9)


@settings(max_examples=16, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), noise=st.floats(0.01, 5.0), photos=st.integers(10, 60))
def test_noise_alone_is_no_shift(seed: int, noise: float, photos: int) -> None:
    assert shift_of(lawnmower(), 0.0, seed, noise, photos) is None
