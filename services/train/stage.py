"""The training stage: `colmap/dense/` in, `gaussian/` out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import torch

from services.train.checkpoint import NAME as CHECKPOINT
from services.train.checkpoint import load_checkpoint
from services.train.device import make_rasteriser
from services.train.log import Entry, TrainingLog
from services.train.plan import Plan, first_points, make_plan, make_trainer, sparse_points
from services.train.publish import publish
from services.train.rasterisers.protocol import Rasteriser
from services.train.trainer import Trainer
from spaceport.pipeline.contract import Outcome
from spaceport.pipeline.options import TrainOptions
from spaceport.pipeline.stages.limits import machine_limits
from spaceport.progress import Progress, Share

log = logging.getLogger(__name__)

MEASURING: Final = 5
"""Measuring one photo in the end takes as long as so many iterations: 0.1 s against 20 ms (640 pixels, two cores)."""


def run(source: Path, output: Path, options: TrainOptions, progress: Progress) -> Outcome:
    """Train a model on an undistorted reconstruction.

    Reads `source/colmap/dense/`; writes `output/gaussian/` model.ply, cameras.json, training.log, training.png,
    preview.jpg and report.json. A `checkpoint` found there is continued if it is of the same input and options.

    Raises:
        Refused: `bad_reconstruction`, `photo_mismatch`, `bad_options` or `training_diverged`.
        LostResource: `disk_full` or `out_of_memory`.
        Interrupted, Stopped, LostLease: from `progress`; on Interrupted the checkpoint has been saved.
    """
    with machine_limits("Training"), _cuda_memory():
        progress.update(0.0, "Reading the reconstruction")
        home = output / "gaussian"
        home.mkdir(parents=True, exist_ok=True)
        plan = make_plan(source / "colmap" / "dense", options)
        rasteriser = make_rasteriser(plan.device, antialiased=options.antialiased)
        trainer, earlier = _begin(plan, rasteriser, home / CHECKPOINT, progress.check)
        curve = TrainingLog(home / "training.log", earlier)
        trained = plan.schedule.iterations / (plan.schedule.iterations + MEASURING * len(plan.scene.measured))
        reason = trainer.run(Share(progress, 0, trained), curve, home / CHECKPOINT, plan.fingerprint)
        outcome = publish(plan, trainer, rasteriser, curve, reason, home, Share(progress, trained, 1))
        (home / CHECKPOINT).unlink(missing_ok=True)
        progress.update(1.0, outcome.message, **outcome.counts)
        return outcome


def _begin(
    plan: Plan, rasteriser: Rasteriser, checkpoint: Path, check: Callable[[], None]
) -> tuple[Trainer, list[Entry]]:
    """A trainer where an earlier run was cut off, with that run's log, or one at its first iteration."""
    if state := load_checkpoint(checkpoint, plan.fingerprint):
        trainer = make_trainer(plan, rasteriser, sparse_points(plan, np.random.default_rng()))
        try:
            trainer.load(state)
            earlier = [Entry(**fields) for fields in state["curve"]]
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            log.warning("the checkpoint is damaged, beginning afresh: %s", error)
        else:
            log.info("going on after iteration %d", trainer.iteration)
            return trainer, earlier
    return make_trainer(plan, rasteriser, first_points(plan, check)), []


@contextmanager
def _cuda_memory() -> Iterator[None]:
    """A full GPU is a full memory."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError from error
