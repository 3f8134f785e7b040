"""The schedule of a run: levels, SH degrees, learning rates and counts by iteration."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.train.schedule import MIN_LEVEL_SIDE, TrainingSchedule

schedules = st.builds(
    TrainingSchedule,
    iterations=st.integers(1, 50_000),
    longest_side=st.integers(1, 8192),
    start=st.integers(4, 100_000),
    cap_max=st.integers(1_000, 1_000_000),
    sh_degree=st.integers(0, 3),
    progressive=st.booleans(),
)


def test_borders_follow_the_length_of_the_run() -> None:
    for length in (600, 3_000, 30_000):
        schedule = TrainingSchedule(length, 1600, 10_000, start=1_000)
        levels = [schedule.level(length * part // 12) for part in (0, 1, 2, 4, 6, 11)]
        assert levels == [0.25, 0.25, 0.5, 0.75, 1.0, 1.0]


def test_without_progression_every_photo_is_full_size() -> None:
    schedule = TrainingSchedule(3_000, 1600, 10_000, progressive=False)
    assert {schedule.level(iteration) for iteration in range(0, 3_000, 100)} == {1.0}


def test_small_photos_are_never_shrunk_to_nothing() -> None:
    side = 2 * MIN_LEVEL_SIDE
    assert TrainingSchedule(1_000, side, 1_000).level(0) == 0.5
    assert TrainingSchedule(1_000, MIN_LEVEL_SIDE // 2, 1_000).level(0) == 1.0


@given(schedule=schedules, at=st.floats(0, 1, exclude_max=True))
def test_nothing_ever_goes_back(schedule: TrainingSchedule, at: float) -> None:
    now = int(at * schedule.iterations)
    later = min(schedule.iterations - 1, now + max(1, schedule.iterations // 7))
    assert schedule.level(now) <= schedule.level(later) <= 1
    assert 0 <= schedule.sh_degree_at(now) <= schedule.sh_degree_at(later) <= schedule.sh_degree
    assert schedule.start <= schedule.n_target(now) <= schedule.n_target(later) <= max(schedule.cap_max, schedule.start)
    assert schedule.scores_comparable(later) or not schedule.scores_comparable(now)
    assert all(rate > 0 for rate in schedule.learning_rates_at(now).values())


def test_growth_reaches_the_cap_and_the_last_iteration_is_measured() -> None:
    schedule = TrainingSchedule(2_000, 400, 20_000, start=500)
    assert schedule.n_target(0) == 500
    assert schedule.n_target(1_999) == 20_000
    assert schedule.evaluates(1_999)
    assert schedule.sh_degree_at(1_999) == 3
    assert not schedule.refines(1_999)


def test_rates_warm_up_and_then_fall() -> None:
    schedule = TrainingSchedule(1_000, 400, 20_000, start=500)
    first, warm, last = (schedule.learning_rates_at(iteration) for iteration in (0, 30, 999))
    for name, rate in warm.items():
        assert first[name] < rate
        assert last[name] < rate
    assert warm["sh0"] == pytest.approx(20 * warm["shN"])
