"""When training ends early, from scores alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.train.schedule import TrainingSchedule
from services.train.stopping import Deadline, EarlyStopping, StopReason, default_patience, nearest_deadline
from services.train.time_budget import WARM_UP, TimeBudget
from spaceport.pipeline.pricing import LOCAL, cost_usd, seconds_for


def feed(stopping: EarlyStopping, scores: list[float], *, comparable: bool = True, start: int = 0) -> StopReason | None:
    for step, score in enumerate(scores):
        if reason := stopping.observe(start + 100 * step, score, comparable=comparable):
            return reason
    return None


def test_a_plateau_ends_after_its_patience_and_not_before() -> None:
    stopping = EarlyStopping(patience=300)
    assert feed(stopping, [20, 21, 22, 22, 22]) is None
    assert stopping.observe(500, 22, comparable=True) is StopReason.PLATEAU
    assert (stopping.best, stopping.best_iteration) == (22, 200)


def test_noise_does_not_restart_the_patience_but_the_best_is_kept() -> None:
    stopping = EarlyStopping(patience=300)
    assert feed(stopping, [22, 22.004, 22.008, 22.006]) is StopReason.PLATEAU
    assert stopping.best == 22.008
    assert stopping.best_iteration == 200


def test_no_plateau_while_the_photos_still_grow() -> None:
    stopping = EarlyStopping(patience=100)
    assert feed(stopping, [25, 24, 23, 22, 21], comparable=False) is None
    assert feed(stopping, [21, 21.5], start=500) is None
    assert feed(stopping, [21.5], start=700) is StopReason.PLATEAU


def test_the_target_ends_at_once_even_early() -> None:
    assert EarlyStopping(target=25).observe(10, 25.0, comparable=False) is StopReason.TARGET
    assert EarlyStopping(target=25).observe(10, 24.9, comparable=True) is None


def test_a_blurred_early_model_is_not_the_best() -> None:
    stopping = EarlyStopping(patience=1_000)
    feed(stopping, [24.0, 25.0], comparable=False)
    assert stopping.best == 25.0
    feed(stopping, [23.0, 23.5, 23.2], start=200)
    assert (stopping.best, stopping.best_iteration) == (23.5, 300)


def test_without_patience_or_target_it_never_ends() -> None:
    assert feed(EarlyStopping(), [20.0] * 500) is None


def test_a_reloaded_one_goes_on_as_if_never_cut() -> None:
    whole, first, second = (EarlyStopping(patience=300) for _ in range(3))
    scores = [20, 21, 20.5, 20.7]
    feed(whole, scores)
    feed(first, scores[:2])
    second.load_state_dict(first.state_dict())
    feed(second, scores[2:], start=200)
    assert second.state_dict() == whole.state_dict()
    assert whole.observe(400, 20.9, comparable=True) is second.observe(400, 20.9, comparable=True) is StopReason.PLATEAU


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
    assert nearest_deadline(minutes, dollars_last) == nearer


def test_a_deadline_is_over_when_it_is_over() -> None:
    stopping = EarlyStopping(deadline=Deadline(60, StopReason.TIME))
    assert stopping.check_deadline(59.9) is None
    assert stopping.check_deadline(60.0) is StopReason.TIME
    assert EarlyStopping().check_deadline(1e9) is None


def test_dollars_last_as_long_as_the_machine_costs_less_than_them() -> None:
    assert cost_usd("g4dn.xlarge", seconds_for("g4dn.xlarge", 0.25)) == pytest.approx(0.25)
    assert seconds_for(LOCAL, 0.01) == math.inf


SCHEDULE = TrainingSchedule(iterations=2_000, longest_side=640, start=5_000, cap_max=40_000)


def seconds_at(schedule: TrainingSchedule, iteration: int) -> float:
    """A machine that needs a microsecond for each Gaussian on full photos, and 5 ms for every iteration."""
    return sum(5e-3 + 1e-6 * schedule.level(step) * schedule.n_target(step) for step in range(iteration))


def test_the_fraction_follows_the_work_and_not_the_iterations() -> None:
    budget, total = TimeBudget(SCHEDULE, 0), seconds_at(SCHEDULE, 2_000)
    for iteration in (0, 200, 900, 1_500, 2_000):
        assert budget.fraction(iteration, 2_000) == pytest.approx(seconds_at(SCHEDULE, iteration) / total, abs=0.01)


def test_the_time_that_is_left_is_known_from_early_on() -> None:
    budget = TimeBudget(SCHEDULE, 0)
    assert budget.seconds_left(10, 2_000) is None
    for iteration in (WARM_UP, 100):
        budget.observe(iteration, 2_000, seconds_at(SCHEDULE, iteration))
    left = seconds_at(SCHEDULE, 2_000) - seconds_at(SCHEDULE, 100)
    assert budget.seconds_left(100, 2_000) == pytest.approx(left, rel=0.05)


@given(st.integers(WARM_UP + 1, 1_900), st.floats(0, 200))
def test_a_shorter_run_fits_into_the_time_that_is_left(iteration: int, seconds: float) -> None:
    budget = TimeBudget(SCHEDULE, 0)
    for done in (WARM_UP, iteration):
        budget.observe(done, 2_000, seconds_at(SCHEDULE, done))
    shorter = budget.affordable(iteration, 2_000, seconds)
    assert iteration <= shorter <= 2_000
    left = budget.seconds_left(iteration, shorter)
    longer = budget.seconds_left(iteration, shorter + 1)
    assert left is not None
    assert longer is not None
    assert left <= seconds or shorter == iteration
    assert longer > seconds or shorter == 2_000


def test_patience_lasts_for_several_scores_however_long_the_run() -> None:
    assert default_patience(2_500) == 500
    for iterations in (2_500, 30_000, 60_000):
        every = next(step + 1 for step in range(iterations) if TrainingSchedule(iterations, 640, 1_000).evaluates(step))
        assert default_patience(iterations) >= 4 * every
