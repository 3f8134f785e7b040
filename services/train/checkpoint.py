"""The checkpoint's file, with everything that a training needs to continue where it was cut off."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from spaceport.files import replacing

VERSION: Final = 5
NAME: Final = "checkpoint"
KEYS: Final = frozenset(
    {
        *("version", "fingerprint", "decisions", "iteration", "iterations", "start", "seconds"),
        *("optimiser", "exposures", "stopping", "radii", "order", "random", "best", "curve"),
    }
)
"""All of them, always: the fingerprint of input and options; what was decided by photos and device; the next iteration,
the run's length, how many Gaussians there were at first, seconds trained; parameters with Adam's moments, the photos'
exposures, the scores so far, radii since the last refinement, photos left in this round, both random generators'
states, the best model so far, and what training.log holds."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckpointInterval:
    """How long to train between two checkpoints.

    Args:
        min_seconds: at least.
        max_seconds: at most.
        time_share: within these limits, saving takes this share of the time.
    """

    min_seconds: float = 10.0
    max_seconds: float = 60.0
    time_share: float = 0.02

    def pause(self, save_seconds: float) -> float:
        """Seconds until the next checkpoint, after one that took `save_seconds` to save."""
        return min(self.max_seconds, max(self.min_seconds, save_seconds / self.time_share))


@dataclass(frozen=True)
class CheckpointFile:
    """The checkpoint of one training.

    Args:
        path: of the file; it need not exist.
        fingerprint: of input and options; a file with another one is not used.
        decisions: plain values that the file keeps.
        interval: how often it is saved.
    """

    path: Path
    fingerprint: str
    decisions: dict[str, Any]
    interval: CheckpointInterval = CheckpointInterval()

    def save(self, state: dict[str, Any]) -> None:
        """Write the file at once or not at all.

        Raises:
            ValueError: a part of the state is missing.
            OSError: the disk is full.
        """
        state = {"version": VERSION, "fingerprint": self.fingerprint, "decisions": self.decisions} | state
        if state.keys() != KEYS:
            raise ValueError(f"a checkpoint needs exactly {sorted(KEYS)}")
        with replacing(self.path) as part, part.open("wb") as file:
            torch.save(state, file)

    def load(self) -> dict[str, Any] | None:
        """The state of an earlier run of the same input and options; None when there is none, or it cannot be used.

        Only tensors and plain values are unpickled (`weights_only`), so a file from elsewhere cannot run code.
        """
        if not self.path.exists():
            return None
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # what a damaged file makes torch raise is documented nowhere
            log.warning("the checkpoint cannot be read, starting over: %s", type(error).__name__)
            return None
        if not isinstance(state, dict) or state.keys() != KEYS:
            log.warning("the checkpoint is incomplete, starting over")
            return None
        if (state["version"], state["fingerprint"]) != (VERSION, self.fingerprint):
            log.info("the checkpoint is of another input, other options or another version: starting over")
            return None
        return state
