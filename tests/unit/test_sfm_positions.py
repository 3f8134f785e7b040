"""Positions that cannot be right, found before there is a model: made flights with what receivers do to them."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sfm.georeference.positions import find_wrong_positions, ground_of
from services.sfm.georeference.wgs84 import Array

HERE = np.array([50.44, -4.995, 145.0])
ELSEWHERE = np.array([0.2, 0.3, 0.0])
DEGREE = np.array([1 / 111_230, 1 / 70_960, 1.0])  # degrees in a metre north and east, at HERE


def degrees(metres: Array, origin: Array = HERE) -> Array:
    """Positions [N,3] of metres east, north, up [N,3]."""
    return np.asarray(origin + metres[:, [1, 0, 2]] * DEGREE)


def grid(lines: int = 5, photos: int = 6, step: float = 12.0) -> Array:
    rows = []
    for line in range(lines):
        along = range(photos) if line % 2 == 0 else reversed(range(photos))
        rows += [[line * step, number * step, 0.0] for number in along]
    return np.array(rows)


def strip(photos: int = 15) -> Array:
    return np.column_stack([np.arange(photos) * 9.0, np.zeros(photos), np.zeros(photos)])


def orbit(photos: int = 24) -> Array:
    turn = np.linspace(0, 2 * np.pi, photos, endpoint=False)
    return np.column_stack([30 * np.cos(turn), 30 * np.sin(turn), np.zeros(photos)])


def wrong(positions: Array, seconds: float | None = 3.0) -> dict[int, str]:
    times = np.array([np.nan if seconds is None else seconds * number for number in range(len(positions))])
    return find_wrong_positions(positions, times, [0] * len(positions))


def test_the_last_fix_from_another_field_is_named_in_eight_photos() -> None:
    positions = degrees(grid(2, 4))
    positions[:2] = HERE + ELSEWHERE
    reasons = wrong(positions)
    assert list(reasons) == [0, 1]
    assert "the receiver's last fix: the same place in 2 photos, 31 km from" in reasons[0]
    assert list(wrong(positions, None)) == [0, 1]
    assert "31 km from all other photos" in wrong(positions, None)[0]


@pytest.mark.parametrize("stale", [8, 12, 18])
def test_a_last_fix_is_named_even_where_it_is_in_most_photos(stale: int) -> None:
    positions = degrees(grid())
    positions[:stale] = HERE + ELSEWHERE
    assert list(wrong(positions)) == list(range(stale))


def test_no_fix_is_named_unless_the_survey_is_there() -> None:
    positions = degrees(grid())
    positions[3, :2] = 0.0
    positions[7, :2] = [1e-5, -0.02]
    reasons = wrong(positions)
    assert list(reasons) == [3, 7]
    assert "without a fix" in reasons[3]
    assert wrong(degrees(grid(), np.zeros(3))) == {}


@pytest.mark.parametrize("flight", [grid(), strip(), orbit()])
def test_forty_percent_wild_positions_are_named(flight: Array) -> None:
    random = np.random.default_rng(1)
    bad = np.sort(random.choice(len(flight), int(0.4 * len(flight)), replace=False))
    metres = flight.copy()
    metres[bad, :2] += random.uniform(2_000, 50_000, (len(bad), 2)) * random.choice([-1, 1], (len(bad), 2))
    assert list(wrong(degrees(metres))) == bad.tolist()


def test_a_receiver_that_froze_is_told_from_a_drone_that_hovers() -> None:
    froze, hovered = grid(3, 12), grid()
    froze[3:9] = froze[3]
    hovered = np.concatenate([hovered[:9], np.repeat(hovered[8:9], 5, axis=0), hovered[9:]])
    reasons = wrong(degrees(froze))
    assert list(reasons) == list(range(3, 9))
    assert "the same position in 6 photos in a row" in reasons[3]
    assert wrong(degrees(hovered)) == {}


def test_two_flights_at_two_places_are_no_fault() -> None:
    flights = np.concatenate([grid(), grid(2, 5) + np.array([4_000.0, 100.0, 0.0])])
    assert wrong(degrees(flights), None) == {}
    together = np.stack([grid(), grid() + np.array([4_000.0, 0.0, 0.0])], axis=1).reshape(-1, 3)
    assert wrong(degrees(together), 1.5) == {}  # two drones of one make at once


def test_unknown_positions_and_few_photos_are_left_alone() -> None:
    positions = degrees(grid())
    positions[::2] = np.nan
    assert wrong(positions) == {}
    assert wrong(np.full((4, 3), np.nan)) == {}
    assert wrong(np.empty((0, 3))) == {}
    assert wrong(degrees(grid(1, 2))) == {}


def test_the_ground_leaves_out_what_is_wrong() -> None:
    positions = degrees(grid())
    positions[0] = HERE + ELSEWHERE
    positions[5] = np.nan
    positions[6, 2] = np.nan
    ground = ground_of(positions, wrong(positions))
    assert np.flatnonzero(np.isnan(ground[:, 0])).tolist() == [0, 5]
    assert np.nanmax(np.abs(ground)) < 100
    assert np.isnan(ground_of(np.full((2, 3), np.nan))).all()


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from([grid, strip, orbit]),
    noise=st.floats(0.0, 8.0),
    seconds=st.one_of(st.none(), st.floats(0.0, 30.0)),
    scale=st.floats(0.2, 20.0),
)
def test_no_good_position_is_named(seed: int, kind: object, noise: float, seconds: float | None, scale: float) -> None:
    flight = {grid: grid(), strip: strip(), orbit: orbit()}[kind] * scale  # type: ignore[index]
    metres = flight + np.random.default_rng(seed).normal(0, 1, flight.shape) * noise
    if seconds is not None and seconds * 30 < 9 * scale:  # no drone is faster
        seconds = None
    assert wrong(degrees(metres), seconds) == {}


def test_thousands_of_wild_positions_take_seconds() -> None:
    random = np.random.default_rng(2)
    metres = np.column_stack([random.uniform(-80_000, 80_000, (6_000, 2)), np.zeros(6_000)])
    begin = time.process_time()
    wrong(degrees(metres), 1.0)
    assert time.process_time() - begin < 20
