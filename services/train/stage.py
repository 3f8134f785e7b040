"""The training stage: `colmap/dense/` in, `gaussian/` out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from services.train.checkpoint import NAME as CHECKPOINT
from services.train.checkpoint import CheckpointFile, CheckpointInterval
from services.train.device import make_rasteriser
from services.train.estimate import EVALUATION_COST
from services.train.hyperparameters import Hyperparameters
from services.train.live import LiveView
from services.train.log import LogEntry, TrainingLog
from services.train.plan import Decisions, TrainingPlan, first_points, make_plan, make_trainer, sparse_points
from services.train.publish import publish
from services.train.seeding import Points
from services.train.trainer import Trainer
from spaceport.files import write_atomic
from spaceport.pipeline.contract import Outcome
from spaceport.pipeline.options import TrainOptions
from spaceport.pipeline.stages.limits import machine_limits
from spaceport.progress import Progress, Share

log = logging.getLogger(__name__)
GEOREFERENCE: Final = "georeference.json"


def run(
    source: Path,
    output: Path,
    options: TrainOptions,
    progress: Progress,
    *,
    hyperparameters: Hyperparameters | None = None,
    checkpoint_interval: CheckpointInterval | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Train a model on an undistorted reconstruction.

    Reads `source/colmap/dense/`; writes `output/gaussian/` model.ply, cameras.json, training.log, training.png,
    preview.jpg and report.json, and passes on `source/colmap/georeference.json` where there is one. A `checkpoint` in
    that folder is continued if it is of the same input and options.
    While it trains, live.json and live.jpg there show how it is doing.

    Args:
        source: folder of the reconstruction.
        output: folder of the results.
        options: of the job.
        progress: reports how far it is, and interrupts.
        hyperparameters: what jobs cannot set; only benchmarks and tests change it.
        checkpoint_interval: how often a checkpoint is saved.
        clock: seconds.

    Raises:
        Refused: `bad_reconstruction`, `photo_mismatch`, `bad_options` or `training_diverged`.
        LostResource: `disk_full` or `out_of_memory`.
        Interrupted, Stopped, LostLease: from `progress`; on Interrupted the checkpoint has been saved.
    """
    begun = clock()
    with machine_limits("Training"), _cuda_out_of_memory():
        progress.update(0.0, "Reading the reconstruction")
        folder = output / "gaussian"
        folder.mkdir(parents=True, exist_ok=True)
        dense = source / "colmap" / "dense"
        plan, state = _plan(dense, options, hyperparameters, folder / CHECKPOINT)
        interval = checkpoint_interval or CheckpointInterval()
        checkpoint = CheckpointFile(folder / CHECKPOINT, plan.fingerprint, asdict(plan.decisions), interval)
        rasteriser = make_rasteriser(plan.device, antialiased=options.antialiased)
        live = LiveView(folder, plan.training_set, rasteriser, plan.schedule.sh_degree)
        begin = partial(make_trainer, plan, rasteriser, clock=clock, begun=begun, live=live)
        estimate = plan.estimate
        progress.update(0.0, estimate.sentence(plan.schedule), seconds_left=round(estimate.seconds))
        resumed = _resume(plan, begin, state)
        trainer, earlier = resumed or (begin(first_points(plan, progress.check)), [])
        curve = TrainingLog(folder / "training.log", earlier)
        evaluated = len(plan.training_set.evaluation)
        trained = plan.schedule.iterations / (plan.schedule.iterations + EVALUATION_COST * evaluated)
        reason = trainer.run(Share(progress, 0, trained), curve, checkpoint)
        outcome = publish(plan, trainer, rasteriser, curve, reason, folder, Share(progress, trained, 1))
        _pass_on(source / "colmap" / GEOREFERENCE, folder / GEOREFERENCE)
        checkpoint.path.unlink(missing_ok=True)
        live.remove()
        progress.update(1.0, outcome.message, **outcome.counts)
        return outcome


def _plan(
    dense: Path, options: TrainOptions, hyperparameters: Hyperparameters | None, checkpoint: Path
) -> tuple[TrainingPlan, dict[str, Any] | None]:
    """The plan, and the checkpoint that is continued, if any: then it is the plan of the run that was cut off."""
    plan = make_plan(dense, options, hyperparameters)
    state = CheckpointFile(checkpoint, plan.fingerprint, {}).load()
    if state is None:
        return plan, None
    begun = Decisions.of(state["decisions"])
    if begun is None:
        log.warning("the checkpoint is damaged, starting over")
        return plan, None
    return plan if begun == plan.decisions else make_plan(dense, options, hyperparameters, begun), state


def _resume(
    plan: TrainingPlan, begin: Callable[[Points], Trainer], state: dict[str, Any] | None
) -> tuple[Trainer, list[LogEntry]] | None:
    """A trainer where an earlier run was cut off, with that run's log; None when there is no usable checkpoint."""
    if state is None:
        return None
    trainer = begin(sparse_points(plan, np.random.default_rng()))  # replaced by the checkpoint's Gaussians
    try:
        trainer.load_state_dict(state)
        earlier = [LogEntry(**fields) for fields in state["curve"]]
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        log.warning("the checkpoint is damaged, starting over: %s", error)
        return None
    log.info("resuming after iteration %d", trainer.iteration)
    return trainer, earlier


def _pass_on(source: Path, target: Path) -> None:
    """Copy what says of which frame and scale the model is; its frame is that of the input."""
    if source.exists():
        write_atomic(target, source.read_bytes())


@contextmanager
def _cuda_out_of_memory() -> Iterator[None]:
    """A full GPU counts as full memory."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError from error
