"""The plan of a run: levels, bands, rates and counts by iteration."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.train.schedule import SMALLEST_LEVEL_SIDE, Schedule

plans = st.builds(
    Schedule,
    iterations=st.integers(1, 50_000),
    longest_side=st.integers(1, 8192),
    start=st.integers(4, 100_000),
    cap=st.integers(1_000, 1_000_000),
    sh_degree=st.integers(0, 3),
    progressive=st.booleans(),
)


def test_borders_follow_the_length_of_the_run() -> None:
    for length in (600, 3_000, 30_000):
        plan = Schedule(length, 1600, 10_000, start=1_000)
        assert [plan.level(length * part // 12) for part in (0, 1, 2, 4, 6, 11)] == [0.25, 0.25, 0.5, 0.75, 1.0, 1.0]


def test_without_progression_every_photo_is_full_size() -> None:
    plan = Schedule(3_000, 1600, 10_000, progressive=False)
    assert {plan.level(iteration) for iteration in range(0, 3_000, 100)} == {1.0}


def test_small_photos_are_never_shrunk_to_nothing() -> None:
    side = 2 * SMALLEST_LEVEL_SIDE
    assert Schedule(1_000, side, 1_000).level(0) == 0.5
    assert Schedule(1_000, SMALLEST_LEVEL_SIDE // 2, 1_000).level(0) == 1.0


@given(plan=plans, at=st.floats(0, 1, exclude_max=True))
def test_nothing_ever_goes_back(plan: Schedule, at: float) -> None:
    now = int(at * plan.iterations)
    later = min(plan.iterations - 1, now + max(1, plan.iterations // 7))
    assert plan.level(now) <= plan.level(later) <= 1
    assert 0 <= plan.bands(now) <= plan.bands(later) <= plan.sh_degree
    assert plan.start <= plan.gaussians(now) <= plan.gaussians(later) <= max(plan.cap, plan.start)
    assert plan.settled(later) or not plan.settled(now)
    assert all(rate > 0 for rate in plan.rates(now).values())


def test_growth_reaches_the_cap_and_the_last_iteration_is_measured() -> None:
    plan = Schedule(2_000, 400, 20_000, start=500)
    assert plan.gaussians(0) == 500
    assert plan.gaussians(1_999) == 20_000
    assert plan.evaluates(1_999)
    assert plan.bands(1_999) == 3
    assert not plan.refines(1_999)


def test_rates_warm_up_and_then_fall() -> None:
    plan = Schedule(1_000, 400, 20_000, start=500)
    first, warm, last = (plan.rates(iteration) for iteration in (0, 30, 999))
    for name, rate in warm.items():
        assert first[name] < rate
        assert last[name] < rate
    assert warm["sh0"] == pytest.approx(20 * warm["shN"])
