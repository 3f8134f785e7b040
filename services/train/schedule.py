"""What training does when: photo size, learning rates, SH bands and the number of Gaussians, by iteration.

Everything is a fraction of `iterations`, so a run of 1,500 goes through the same phases as one of 30,000.
Pure: the same schedule and iteration always give the same answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

LEVELS: Final = ((0.0, 0.25), (1 / 6, 0.5), (1 / 3, 0.75), (1 / 2, 1.0))
"""(from this fraction of the run, photos at this fraction of their size)."""
MIN_LEVEL_SIDE: Final = 96
"""Pixels; a level whose longest side would be shorter shows nothing to train on and is skipped."""
SH_STARTS: Final = (1 / 6, 1 / 3, 1 / 2)
"""Fractions of the run from which on SH degrees 1, 2 and 3 are used."""
REFINE_START: Final = 0.04
GROWTH_STOP: Final = 0.6
"""Gaussians are added between these two fractions of the run."""
REFINE_STOP: Final = 0.85
"""Dead Gaussians are relocated up to here; what moved last still needs time to converge."""
REFINEMENTS: Final = 60
EVALUATIONS: Final = 50
WARM_UP: Final = 20
"""Iterations over which the learning rates rise, so that the first steps of Adam do not scatter the points."""

MEANS_LR: Final = (6.4e-4, 6.4e-6)
"""Adam's learning rate of the means, first and last, in units of the scene's extent; it falls exponentially."""
LEARNING_RATES: Final[Mapping[str, float]] = {
    "quats": 2e-3,
    "scales": 1e-2,
    "opacities": 4e-2,
    "sh0": 5e-3,
    "shN": 5e-3 / 20,  # as in 3DGS
}
FINAL_LR_FACTOR: Final = 0.2
"""These learning rates end at this fraction of where they began."""


@dataclass(frozen=True)
class TrainingSchedule:
    """The phases of one run.

    Args:
        iterations: length of the whole run.
        longest_side: of the finest level, pixels.
        cap_max: Gaussians at the end of growth.
        sh_degree: highest band in the end.
        progressive: train on small photos first.
        start: Gaussians at the beginning, once they are made.
        sh_starts: fractions of the run from which on SH degrees 1, 2 and 3 are used.
        learning_rates: Adam's, by parameter, except that of the means.
    """

    iterations: int
    longest_side: int
    cap_max: int
    sh_degree: int = 3
    progressive: bool = True
    start: int = 1
    sh_starts: tuple[float, ...] = SH_STARTS
    learning_rates: Mapping[str, float] = field(default_factory=lambda: LEARNING_RATES)

    def level(self, iteration: int) -> float:
        """The photos' size at this iteration, as a fraction of the finest level."""
        if not self.progressive:
            return 1.0
        fraction = self._fraction(iteration)
        scheduled = max((begin, factor) for begin, factor in LEVELS if fraction >= begin)[1]
        usable = [factor for _, factor in LEVELS if factor * self.longest_side >= MIN_LEVEL_SIDE or factor == 1]
        return max(scheduled, min(usable))

    def scores_comparable(self, iteration: int) -> bool:
        """True once photos are full size and growth has ended: from here on scores can be compared."""
        return self.level(iteration) == 1.0 and self._fraction(iteration) >= GROWTH_STOP

    def sh_degree_at(self, iteration: int) -> int:
        """The SH degree in use at this iteration."""
        fraction = self._fraction(iteration)
        return min(self.sh_degree, sum(fraction >= start for start in self.sh_starts))

    def learning_rates_at(self, iteration: int) -> dict[str, float]:
        """Adam's learning rate of each parameter at this iteration."""
        fraction = self._fraction(iteration)
        warm_up = min(1.0, (iteration + 1) / WARM_UP)
        decay = FINAL_LR_FACTOR**fraction
        means = MEANS_LR[0] * (MEANS_LR[1] / MEANS_LR[0]) ** fraction
        return {"means": warm_up * means} | {name: warm_up * lr * decay for name, lr in self.learning_rates.items()}

    def n_target(self, iteration: int) -> int:
        """How many Gaussians there should be after a refinement at this iteration; grows geometrically."""
        if self.cap_max <= self.start:
            return self.start
        growth = min(1.0, max(0.0, (self._fraction(iteration) - REFINE_START) / (GROWTH_STOP - REFINE_START)))
        return round(self.start * math.exp(growth * math.log(self.cap_max / self.start)))

    def refines(self, iteration: int) -> bool:
        """True when dead Gaussians are relocated and new ones added after this iteration."""
        return REFINE_START <= self._fraction(iteration) < REFINE_STOP and iteration % self._every(REFINEMENTS) == 0

    def evaluates(self, iteration: int) -> bool:
        """True when the held-out photos are evaluated after this iteration; always after the last."""
        return (iteration + 1) % self._every(EVALUATIONS) == 0 or iteration + 1 == self.iterations

    def _fraction(self, iteration: int) -> float:
        return iteration / self.iterations

    def _every(self, times: int) -> int:
        """Iterations between events that happen so many times in a run."""
        return max(10, self.iterations // times)
