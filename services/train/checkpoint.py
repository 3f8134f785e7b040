"""Everything that a training needs to go on where it was cut off, in one versioned file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

import torch

from spaceport.files import replacing

VERSION: Final = 4
NAME: Final = "checkpoint"
KEYS: Final = frozenset(
    {
        *("version", "fingerprint", "iteration", "iterations", "start", "seconds"),
        *("optimiser", "exposures", "stopping", "radii", "order", "random", "best", "curve"),
    }
)
"""All of them, always: the fingerprint of input and options, the next iteration, how many Gaussians there
were at first, seconds trained, parameters with
Adam's moments, the photos' exposures, the plateau window, sizes on screen since the last refinement, photos left in
this round, both random generators' states, the best model so far, and what training.log holds."""

log = logging.getLogger(__name__)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write the file at once or not at all.

    Raises:
        ValueError: a part of the state is missing.
        OSError: the disk is full.
    """
    state = {"version": VERSION} | state
    if state.keys() != KEYS:
        raise ValueError(f"a checkpoint needs exactly {sorted(KEYS)}")
    with replacing(path) as part, part.open("wb") as file:
        torch.save(state, file)


def load_checkpoint(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The state of an earlier run of the same input and options; None when there is none, or it cannot be used.

    Only tensors and plain values are unpickled (`weights_only`), so a file from elsewhere cannot run code.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged file makes torch raise is not told anywhere
        log.warning("the checkpoint cannot be read, beginning afresh: %s", type(error).__name__)
        return None
    if not isinstance(state, dict) or state.keys() != KEYS:
        log.warning("the checkpoint is not complete, beginning afresh")
        return None
    if (state["version"], state["fingerprint"]) != (VERSION, fingerprint):
        log.info("the checkpoint is of another input, other options or another version: beginning afresh")
        return None
    return state
