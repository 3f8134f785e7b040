"""When training ends: the target is reached, nothing improves any more, or iterations, time or money are used up.

The plateau stop follows the idea of GSta (arXiv 2504.06716): watch the score on photos that are not trained on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

MIN_DELTA_DB: Final = 0.01
"""A rise smaller than this is noise and does not restart the patience."""

MIN_PATIENCE: Final = 500
PATIENCE_SHARE: Final = 0.1


class StopReason(StrEnum):
    """Why training ended; written to the report."""

    ITERATIONS = "iterations"
    PLATEAU = "plateau"
    TARGET = "target_psnr"
    TIME = "time"
    BUDGET = "budget"


@dataclass(frozen=True)
class Deadline:
    """Seconds of training after which it must have ended, and which limit sets them."""

    seconds: float
    reason: StopReason


def nearest_deadline(max_minutes: float | None, affordable_seconds: float | None) -> Deadline | None:
    """The nearer of a limit in minutes and of the seconds that the dollars last; None without either."""
    limits = []
    if max_minutes is not None:
        limits.append(Deadline(60 * max_minutes, StopReason.TIME))
    if affordable_seconds is not None:
        limits.append(Deadline(affordable_seconds, StopReason.BUDGET))
    return min(limits, key=lambda limit: limit.seconds, default=None)


def default_patience(iterations: int) -> int:
    """Iterations without a better score that count as a plateau in a run of this length: in a long one the scores are
    far apart."""
    return max(MIN_PATIENCE, round(PATIENCE_SHARE * iterations))


@dataclass
class EarlyStopping:
    """Decides from the scores alone.

    Args:
        target: PSNR in dB at which training may end at once, or None.
        patience: iterations without a better score before a plateau is declared, or None for never.
        deadline: when time or money is used up, or None.
    """

    target: float | None = None
    patience: int | None = None
    deadline: Deadline | None = None
    best: float = -math.inf
    best_iteration: int = -1
    _baseline: float = -math.inf
    _baseline_iteration: int = -1
    _comparable: bool = False

    def observe(self, iteration: int, psnr: float, *, comparable: bool) -> StopReason | None:
        """Record a score; return the reason to end, or None.

        Args:
            iteration: at which it was measured.
            psnr: dB; higher is better.
            comparable: False while photos still grow or Gaussians are still added. Then the score can set no plateau,
                because what follows is expected to be better. Nor does it stay the best once there is a comparable one:
                a coarse, blurred model may score well where photos disagree (leaves in wind) and yet show nothing.
        """
        if psnr > self.best or (comparable and not self._comparable):
            self.best = psnr
            self.best_iteration = iteration
        self._comparable = self._comparable or comparable
        if not comparable or psnr > self._baseline + MIN_DELTA_DB:
            self._baseline = psnr if comparable else -math.inf
            self._baseline_iteration = iteration
        if self.target is not None and psnr >= self.target:
            return StopReason.TARGET
        if self.patience is not None and comparable and iteration - self._baseline_iteration >= self.patience:
            return StopReason.PLATEAU
        return None

    def check_deadline(self, seconds: float) -> StopReason | None:
        """The reason to end when the deadline has passed after so many seconds of training."""
        return self.deadline.reason if self.deadline and seconds >= self.deadline.seconds else None

    def is_best(self, iteration: int) -> bool:
        """True if the score of this iteration is the best so far."""
        return self.best_iteration == iteration

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint: the scores so far, as plain values."""
        return {
            "best": self.best,
            "best_iteration": self.best_iteration,
            "_level_to_beat": self._baseline,
            "_risen_at": self._baseline_iteration,
            "_has_settled": self._comparable,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint; target, patience and deadline are those of this run."""
        self.best = float(state["best"])
        self.best_iteration = int(state["best_iteration"])
        self._baseline = float(state["_level_to_beat"])
        self._baseline_iteration = int(state["_risen_at"])
        self._comparable = bool(state["_has_settled"])
