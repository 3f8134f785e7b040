"""How far a training is and how long it will still take, by work instead of by iterations.

An iteration costs what it draws. On the demo survey (2 vCPUs, 2,500 iterations) one took 5.3, 9.2, 20.8 and 36 ms
with 13, 19, 39 and 53 thousand Gaussians on quarter, half, three-quarter and full photos: within 10 % of 0.62 us for
each Gaussian times the level, plus 3.2 ms. Only the ratio of the two matters here.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from services.train.schedule import TrainingSchedule

FIXED_WORK: Final = 5_000
"""Gaussians on full photos that cost as much to draw as the part of an iteration that does not depend on them."""
BINS: Final = 400
WARM_UP: Final = 20
"""Iterations that are not timed: compilers and caches warm up."""


class TimeBudget:
    """The work of a run, and the speed at which it is done.

    A schedule depends on the share of the run that is done, so one table of work by share serves runs of any length.

    Args:
        schedule: of the run.
        iteration: the first one of this process.
    """

    def __init__(self, schedule: TrainingSchedule, iteration: int) -> None:
        shares = (np.arange(BINS) + 0.5) / BINS
        steps = [min(schedule.iterations - 1, int(share * schedule.iterations)) for share in shares]
        work = [FIXED_WORK + schedule.level(step) * schedule.n_target(step) for step in steps]
        self._cumulative = np.concatenate([[0.0], np.cumsum(work)]) / BINS
        self._timed_from = iteration + WARM_UP
        self._first_observation: tuple[float, float] | None = None
        self._speed: float | None = None

    def fraction(self, iteration: int, iterations: int) -> float:
        """The share of the work that is done, 0 to 1."""
        return self._work(iteration, iterations) / self._work(iterations, iterations)

    def observe(self, iteration: int, iterations: int, seconds: float) -> None:
        """Record that so many iterations were done after so many seconds."""
        if iteration < self._timed_from:
            return
        work = self._work(iteration, iterations)
        if self._first_observation is None:
            self._first_observation = work, seconds
            return
        first_work, first_seconds = self._first_observation
        if work > first_work and seconds > first_seconds:
            self._speed = (work - first_work) / (seconds - first_seconds)

    def seconds_left(self, iteration: int, iterations: int) -> float | None:
        """Until the last iteration, at the speed so far; None while that is unknown."""
        if self._speed is None:
            return None
        return (self._work(iterations, iterations) - self._work(iteration, iterations)) / self._speed

    def affordable(self, iteration: int, iterations: int, seconds: float, after: int = 0) -> int:
        """The longest run, at most `iterations`, of which the rest fits into so many seconds.

        Args:
            iteration: done so far.
            iterations: of the whole run as it is planned.
            seconds: that are left.
            after: what comes after the last iteration, in iterations like that one.
        """
        last = self._work(iterations, iterations) - self._work(iterations - 1, iterations)
        low, high = iteration, iterations
        while low < high:
            middle = (low + high + 1) // 2
            left = self.seconds_left(iteration, middle)
            if left is None or self._speed is None or left + after * last / self._speed <= seconds:
                low = middle
            else:
                high = middle - 1
        return low

    def _work(self, iteration: int, iterations: int) -> float:
        """Of the first `iteration` iterations, in Gaussians drawn on full photos."""
        share = iteration / max(1, iterations)
        return iterations * float(np.interp(share * BINS, np.arange(BINS + 1), self._cumulative))
