"""When training ends: the target is reached, nothing improves any more, or iterations, time or money are used up.

The plateau stop follows the idea of GSta (arXiv 2504.06716): watch the score on photos that are not trained on.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

SMALLEST_GAIN_DB: Final = 0.01
"""A rise smaller than this is noise and does not restart the patience."""


class StopReason(StrEnum):
    """Why training ended; kept in the report."""

    ITERATIONS = "iterations"
    PLATEAU = "plateau"
    TARGET = "target_psnr"
    TIME = "time"
    BUDGET = "budget"


@dataclass(frozen=True)
class Deadline:
    """Seconds of training after which it must have ended, and what they stand for."""

    seconds: float
    reason: StopReason


def deadline(max_minutes: float | None, affordable_seconds: float | None) -> Deadline | None:
    """The nearer of a limit in minutes and of the seconds that the dollars last; None without either."""
    limits = []
    if max_minutes is not None:
        limits.append(Deadline(60 * max_minutes, StopReason.TIME))
    if affordable_seconds is not None:
        limits.append(Deadline(affordable_seconds, StopReason.BUDGET))
    return min(limits, key=lambda limit: limit.seconds, default=None)


@dataclass
class Stopping:
    """Decides from the scores alone.

    Args:
        target: PSNR in dB at which training may end at once, or None.
        patience: iterations without a better score before a plateau is called, or None for never.
        deadline: when time or money is used up, or None.
    """

    target: float | None = None
    patience: int | None = None
    deadline: Deadline | None = None
    best: float = -math.inf
    best_iteration: int = -1
    _risen_at: int = -1
    _level_to_beat: float = -math.inf
    _has_settled: bool = False

    def observe(self, iteration: int, psnr: float, *, settled: bool) -> StopReason | None:
        """Take in a score; say whether to end.

        Args:
            iteration: at which it was measured.
            psnr: dB; higher is better.
            settled: False while photos still grow or Gaussians are still added. Then the score can set no plateau,
                because what follows is expected to be better. Nor is it the best any more once one is settled: a
                coarse, blurred model may score well where photos disagree (leaves in wind) and yet show nothing.
        """
        if psnr > self.best or (settled and not self._has_settled):
            self.best, self.best_iteration = psnr, iteration
        self._has_settled = self._has_settled or settled
        if not settled or psnr > self._level_to_beat + SMALLEST_GAIN_DB:
            self._level_to_beat, self._risen_at = (psnr if settled else -math.inf), iteration
        if self.target is not None and psnr >= self.target:
            return StopReason.TARGET
        if self.patience is not None and settled and iteration - self._risen_at >= self.patience:
            return StopReason.PLATEAU
        return None

    def too_late(self, seconds: float) -> StopReason | None:
        """The reason to end when the deadline has passed after so many seconds of training."""
        return self.deadline.reason if self.deadline and seconds >= self.deadline.seconds else None

    def is_best(self, iteration: int) -> bool:
        """True if the score of this iteration is the best so far."""
        return self.best_iteration == iteration

    def state(self) -> dict[str, Any]:
        """For a checkpoint: everything that was seen, as plain values."""
        return {name: value for name, value in asdict(self).items() if name != "deadline"}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint; target, patience and deadline stay as this run was told."""
        self.best, self.best_iteration = float(state["best"]), int(state["best_iteration"])
        self._risen_at, self._level_to_beat = int(state["_risen_at"]), float(state["_level_to_beat"])
        self._has_settled = bool(state["_has_settled"])
