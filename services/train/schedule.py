"""What training does when: photo size, learning rates, SH bands and the number of Gaussians, by iteration.

Everything is a fraction of `iterations`, so a run of 1,500 goes through the same phases as one of 30,000.
Pure: the same schedule and iteration always give the same answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

LEVELS: Final = ((0.0, 0.25), (1 / 6, 0.5), (1 / 3, 0.75), (1 / 2, 1.0))
"""(from this fraction of the run, photos at this fraction of their size)."""
SMALLEST_LEVEL_SIDE: Final = 96
"""A level whose longest side would be shorter shows nothing to train on and is skipped."""
SH_BORDERS: Final = (1 / 6, 1 / 3, 1 / 2)
GROWTH: Final = (0.04, 0.6)
"""Gaussians are added between these fractions of the run."""
REFINEMENT_END: Final = 0.85
"""Dead Gaussians are relocated up to here; what moved last still needs time to settle."""
REFINEMENTS: Final = 60
EVALUATIONS: Final = 50
WARM_UP: Final = 20
"""Iterations over which the learning rates rise, so that the first steps of Adam do not scatter the points."""

# Adam's rates. `means` is in units of the scene's extent and falls exponentially; shN is 1/20 of sh0 as in 3DGS.
MEANS_RATE: Final = (6.4e-4, 6.4e-6)
RATES: Final = {"quats": 2e-3, "scales": 1e-2, "opacities": 4e-2, "sh0": 5e-3, "shN": 5e-3 / 20}
FINAL_RATE: Final = 0.2
"""The other rates end at this part of where they began."""


@dataclass(frozen=True)
class Schedule:
    """The plan of one run.

    Args:
        iterations: length of the whole run.
        longest_side: of the finest level, pixels.
        cap: Gaussians at the end of growth.
        sh_degree: highest band in the end.
        progressive: train on small photos first.
        start: Gaussians at the beginning, once they are made.
    """

    iterations: int
    longest_side: int
    cap: int
    sh_degree: int = 3
    progressive: bool = True
    start: int = 1

    def level(self, iteration: int) -> float:
        """The photos' size at this iteration, as a fraction of the finest level."""
        if not self.progressive:
            return 1.0
        done = self._done(iteration)
        wanted = max((begin, factor) for begin, factor in LEVELS if done >= begin)[1]
        usable = [factor for _, factor in LEVELS if factor * self.longest_side >= SMALLEST_LEVEL_SIDE or factor == 1]
        return max(wanted, min(usable))

    def settled(self, iteration: int) -> bool:
        """True once photos are full size and growth has ended: from here on scores can be compared."""
        return self.level(iteration) == 1.0 and self._done(iteration) >= GROWTH[1]

    def bands(self, iteration: int) -> int:
        """The SH degree in use at this iteration."""
        done = self._done(iteration)
        return min(self.sh_degree, sum(done >= border for border in SH_BORDERS))

    def rates(self, iteration: int) -> dict[str, float]:
        """Adam's learning rate of each parameter at this iteration."""
        done = self._done(iteration)
        warm = min(1.0, (iteration + 1) / WARM_UP)
        decay = FINAL_RATE**done
        means = MEANS_RATE[0] * (MEANS_RATE[1] / MEANS_RATE[0]) ** done
        return {"means": warm * means} | {name: warm * rate * decay for name, rate in RATES.items()}

    def gaussians(self, iteration: int) -> int:
        """How many Gaussians there should be after a refinement at this iteration; grows geometrically."""
        begin, end = GROWTH
        part = min(1.0, max(0.0, (self._done(iteration) - begin) / (end - begin)))
        return (
            round(self.start * math.exp(part * math.log(self.cap / self.start)))
            if self.cap > self.start
            else self.start
        )

    def refines(self, iteration: int) -> bool:
        """True when dead Gaussians are relocated and new ones added after this iteration."""
        done = self._done(iteration)
        return GROWTH[0] <= done < REFINEMENT_END and iteration % self._every(REFINEMENTS) == 0

    def evaluates(self, iteration: int) -> bool:
        """True when the held-out photos are measured after this iteration; always after the last."""
        return (iteration + 1) % self._every(EVALUATIONS) == 0 or iteration + 1 == self.iterations

    def _done(self, iteration: int) -> float:
        return iteration / self.iterations

    def _every(self, times: int) -> int:
        return max(10, self.iterations // times)
