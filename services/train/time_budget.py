"""How far a training is and how long it will still take, by work instead of by iterations.

An iteration costs what it draws. On the demo survey (2 vCPUs, 2,500 iterations) one took 5.3, 9.2, 20.8 and 36 ms
with 13, 19, 39 and 53 thousand Gaussians on quarter, half, three-quarter and full photos: within 10 % of 0.62 us for
each Gaussian times the level, and 3.2 ms besides. Only the ratio of the two matters here.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from services.train.schedule import Schedule

FIXED: Final = 5_000
"""Gaussians on full photos whose drawing costs as much as what every iteration costs anyhow."""
BINS: Final = 400
FIRST: Final = 20
"""Iterations that are not timed: compilers and caches warm up."""


class Pace:
    """The work of a run, and the speed at which it goes.

    A schedule depends on the share of the run that is done, so one table of work by share serves runs of any length.
    """

    def __init__(self, schedule: Schedule, iteration: int) -> None:
        shares = (np.arange(BINS) + 0.5) / BINS
        steps = [min(schedule.iterations - 1, int(share * schedule.iterations)) for share in shares]
        work = [FIXED + schedule.level(step) * schedule.gaussians(step) for step in steps]
        self._until = np.concatenate([[0.0], np.cumsum(work)]) / BINS
        self._timed_from = iteration + FIRST
        self._mark: tuple[float, float] | None = None
        self._speed: float | None = None

    def fraction(self, iteration: int, iterations: int) -> float:
        """The share of the work that is done, 0 to 1."""
        return self._done(iteration, iterations) / self._done(iterations, iterations)

    def observe(self, iteration: int, iterations: int, seconds: float) -> None:
        """Take in that so many iterations were done after so many seconds."""
        if iteration < self._timed_from:
            return
        done = self._done(iteration, iterations)
        if self._mark is None:
            self._mark = done, seconds
        elif done > self._mark[0] and seconds > self._mark[1]:
            self._speed = (done - self._mark[0]) / (seconds - self._mark[1])

    def seconds_left(self, iteration: int, iterations: int) -> float | None:
        """Until the last iteration, at the speed so far; None while that is unknown."""
        if self._speed is None:
            return None
        return (self._done(iterations, iterations) - self._done(iteration, iterations)) / self._speed

    def affordable(self, iteration: int, iterations: int, seconds: float) -> int:
        """The longest run, at most `iterations`, of which the rest fits into so many seconds."""
        low, high = iteration, iterations
        while low < high:
            middle = (low + high + 1) // 2
            left = self.seconds_left(iteration, middle)
            low, high = (middle, high) if left is None or left <= seconds else (low, middle - 1)
        return low

    def _done(self, iteration: int, iterations: int) -> float:
        share = iteration / max(1, iterations)
        return iterations * float(np.interp(share * BINS, np.arange(BINS + 1), self._until))
