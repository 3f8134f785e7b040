"""When training ends early, from scores alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.train.schedule import Schedule
from services.train.stopping import Deadline, Stopping, StopReason, deadline
from services.train.time_budget import FIRST, Pace
from spaceport.pipeline.pricing import LOCAL, cost_usd, seconds_for


def feed(stopping: Stopping, scores: list[float], *, settled: bool = True, start: int = 0) -> StopReason | None:
    for step, score in enumerate(scores):
        if reason := stopping.observe(start + 100 * step, score, settled=settled):
            return reason
    return None


def test_a_plateau_ends_after_its_patience_and_not_before() -> None:
    stopping = Stopping(patience=300)
    assert feed(stopping, [20, 21, 22, 22, 22]) is None
    assert stopping.observe(500, 22, settled=True) is StopReason.PLATEAU
    assert (stopping.best, stopping.best_iteration) == (22, 200)


def test_noise_does_not_restart_the_patience_but_the_best_is_kept() -> None:
    stopping = Stopping(patience=300)
    assert feed(stopping, [22, 22.004, 22.008, 22.006]) is StopReason.PLATEAU
    assert stopping.best == 22.008
    assert stopping.best_iteration == 200


def test_no_plateau_while_the_photos_still_grow() -> None:
    stopping = Stopping(patience=100)
    assert feed(stopping, [25, 24, 23, 22, 21], settled=False) is None
    assert feed(stopping, [21, 21.5], start=500) is None
    assert feed(stopping, [21.5], start=700) is StopReason.PLATEAU


def test_the_target_ends_at_once_even_early() -> None:
    assert Stopping(target=25).observe(10, 25.0, settled=False) is StopReason.TARGET
    assert Stopping(target=25).observe(10, 24.9, settled=True) is None


def test_a_blurred_early_model_is_not_the_best() -> None:
    stopping = Stopping(patience=1_000)
    feed(stopping, [24.0, 25.0], settled=False)
    assert stopping.best == 25.0
    feed(stopping, [23.0, 23.5, 23.2], start=200)
    assert (stopping.best, stopping.best_iteration) == (23.5, 300)


def test_without_patience_or_target_it_never_ends() -> None:
    assert feed(Stopping(), [20.0] * 500) is None


def test_a_reloaded_one_goes_on_as_if_never_cut() -> None:
    whole, first, second = (Stopping(patience=300) for _ in range(3))
    scores = [20, 21, 20.5, 20.7]
    feed(whole, scores)
    feed(first, scores[:2])
    second.load(first.state())
    feed(second, scores[2:], start=200)
    assert second.state() == whole.state()
    assert whole.observe(400, 20.9, settled=True) is second.observe(400, 20.9, settled=True) is StopReason.PLATEAU


@pytest.mark.parametrize(
    ("minutes", "dollars_last", "nearer"),
    [
        (None, None, None),
        (2.0, None, Deadline(120.0, StopReason.TIME)),
        (None, 50.0, Deadline(50.0, StopReason.BUDGET)),
        (1.0, 50.0, Deadline(50.0, StopReason.BUDGET)),
        (1.0, math.inf, Deadline(60.0, StopReason.TIME)),
    ],
)
def test_the_nearer_of_time_and_money_ends_it(
    minutes: float | None, dollars_last: float | None, nearer: Deadline | None
) -> None:
    assert deadline(minutes, dollars_last) == nearer


def test_a_deadline_is_over_when_it_is_over() -> None:
    stopping = Stopping(deadline=Deadline(60, StopReason.TIME))
    assert stopping.too_late(59.9) is None
    assert stopping.too_late(60.0) is StopReason.TIME
    assert Stopping().too_late(1e9) is None


def test_dollars_last_as_long_as_the_machine_costs_less_than_them() -> None:
    assert cost_usd("g4dn.xlarge", seconds_for("g4dn.xlarge", 0.25)) == pytest.approx(0.25)
    assert seconds_for(LOCAL, 0.01) == math.inf


SCHEDULE = Schedule(iterations=2_000, longest_side=640, start=5_000, cap=40_000)


def seconds_at(schedule: Schedule, iteration: int) -> float:
    """A machine that needs a microsecond for each Gaussian on full photos, and 5 ms for every iteration."""
    return sum(5e-3 + 1e-6 * schedule.level(step) * schedule.gaussians(step) for step in range(iteration))


def test_the_fraction_follows_the_work_and_not_the_iterations() -> None:
    pace, total = Pace(SCHEDULE, 0), seconds_at(SCHEDULE, 2_000)
    for iteration in (0, 200, 900, 1_500, 2_000):
        assert pace.fraction(iteration, 2_000) == pytest.approx(seconds_at(SCHEDULE, iteration) / total, abs=0.01)


def test_the_time_that_is_left_is_known_from_early_on() -> None:
    pace = Pace(SCHEDULE, 0)
    assert pace.seconds_left(10, 2_000) is None
    for iteration in (FIRST, 100):
        pace.observe(iteration, 2_000, seconds_at(SCHEDULE, iteration))
    left = seconds_at(SCHEDULE, 2_000) - seconds_at(SCHEDULE, 100)
    assert pace.seconds_left(100, 2_000) == pytest.approx(left, rel=0.05)


@given(st.integers(FIRST + 1, 1_900), st.floats(0, 200))
def test_a_shorter_run_fits_into_the_time_that_is_left(iteration: int, seconds: float) -> None:
    pace = Pace(SCHEDULE, 0)
    for done in (FIRST, iteration):
        pace.observe(done, 2_000, seconds_at(SCHEDULE, done))
    shorter = pace.affordable(iteration, 2_000, seconds)
    assert iteration <= shorter <= 2_000
    left = pace.seconds_left(iteration, shorter)
    longer = pace.seconds_left(iteration, shorter + 1)
    assert left is not None
    assert longer is not None
    assert left <= seconds or shorter == iteration
    assert longer > seconds or shorter == 2_000
