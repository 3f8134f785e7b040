"""The training loop: one photo at a time, the same on every device."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final

import torch

from services.train.checkpoint import CheckpointFile
from services.train.estimate import EVALUATION_COST
from services.train.evaluate import mean_psnr
from services.train.live import LiveView
from services.train.log import LogEntry, TrainingLog
from services.train.mcmc import McmcParameters, inject_noise_to_position, refine, regularise
from services.train.rasterisers.protocol import Rasteriser, Tensors, TrainingView
from services.train.schedule import TrainingSchedule
from services.train.state import TrainingState
from services.train.stopping import StopReason
from services.train.time_budget import TimeBudget
from services.train.training_set import TrainingSet
from spaceport.pipeline.errors import Interrupted, Refused, Slug
from spaceport.progress import Progress
from spaceport.splats.cameras import Camera

MESSAGE: Final = "Training advanced neural 3D representation"
REPORT_EVERY: Final = 10
"""Iterations between two reports of progress."""
GPU_CHECK_EVERY: Final = 100
"""Iterations between two looks at the loss, whether it is a number: on a GPU each is a wait for all that is queued."""


class Trainer:
    """The loop of one training.

    Args:
        training_set: cameras and photos.
        rasteriser: of the device.
        state: the first Gaussians and everything else that changes.
        schedule: what happens when.
        mcmc: hyperparameters of the densification.
        clock: seconds; for the log, deadlines and checkpoints.
        begun: when the stage began, by that clock: what it did before the first iteration counts; by default, now.
        live: shows whoever watches how it is doing.
    """

    def __init__(
        self,
        training_set: TrainingSet,
        rasteriser: Rasteriser,
        state: TrainingState,
        schedule: TrainingSchedule,
        mcmc: McmcParameters,
        clock: Callable[[], float] = time.monotonic,
        begun: float | None = None,
        live: LiveView | None = None,
    ) -> None:
        self._rasteriser = rasteriser
        self._live = live
        self._check_every = 1 if rasteriser.device.type == "cpu" else GPU_CHECK_EVERY
        self._mcmc = mcmc
        self._photos = training_set.photos
        self._training = training_set.training
        self._validation = training_set.validation
        self._evaluated = len(training_set.evaluation)
        self._resized: dict[tuple[int, float], Camera] = {}
        self._state = state
        self._schedule = schedule
        self._planned_iterations = schedule.iterations
        self._time_budget = TimeBudget(schedule, 0)
        self._clock = clock
        self._started = clock() if begun is None else begun
        self._seconds_before = 0.0
        self._saved = clock()
        self._save_seconds = 0.0

    def run(self, progress: Progress, log: TrainingLog, checkpoint: CheckpointFile) -> StopReason:
        """Train to the end; save checkpoints on the way, and one when the machine is about to go.

        Raises:
            Refused: `training_diverged` when the loss is no longer a number.
            Interrupted, Stopped, LostLease: from `progress`.
        """
        reason = None
        try:
            while reason is None and self.iteration < self._schedule.iterations:
                reason = self._iterate(progress, log)
                if self.iteration == 1:  # the seconds that compilers took are not worth saving
                    self._saved = self._clock()
                if self._clock() - self._saved > checkpoint.interval.pause(self._save_seconds):
                    self.save(checkpoint, log)
        except Interrupted:
            self.save(checkpoint, log)
            raise
        return reason or self._shortening_reason() or StopReason.ITERATIONS

    def _iterate(self, progress: Progress, log: TrainingLog) -> StopReason | None:
        state = self._state
        iteration = state.iteration
        loss = self._step(iteration)
        evaluates = self._schedule.evaluates(iteration)
        if (evaluates or iteration % self._check_every == 0) and not math.isfinite(loss):
            raise Refused(Slug.TRAINING_DIVERGED, iterations=iteration)
        if self._schedule.refines(iteration):
            n_target = self._schedule.n_target(iteration)
            refine(state.optimiser, n_target, self._mcmc, state.mcmc_generator, state.radii)
            state.reset_radii()
        state.iteration += 1
        reason = None
        late = state.stopping.check_deadline(self.seconds)
        if evaluates or late:
            reason = self._evaluate(iteration, float(loss), log) or late
        if state.iteration % REPORT_EVERY == 0 or reason:
            self._fit_deadline()
            self._report_progress(progress, log)
        progress.check()
        return reason

    def _step(self, iteration: int) -> torch.Tensor:
        """Learn from one photo; returns its loss, on the device."""
        state = self._state
        parameters = state.optimiser.parameters
        learning_rates = self._schedule.learning_rates_at(iteration)
        level = self._schedule.level(iteration)
        photo = state.next_photo()
        camera = self._resized_camera(photo, level)
        view = TrainingView(camera, partial(self._photos.at, camera), state.exposures.of(photo))
        result = self._rasteriser.step(parameters, view, self._schedule.sh_degree_at(iteration))
        with torch.no_grad():
            state.optimiser.step(regularise(result.grads, parameters, self._mcmc), learning_rates)
            inject_noise_to_position(parameters, learning_rates["means"], self._mcmc, state.mcmc_generator)
            state.radii = torch.maximum(state.radii, result.radii / level)
        state.exposures.step(photo, result.exposure_grad, iteration / self._schedule.iterations)
        return result.loss

    def _resized_camera(self, photo: int, level: float) -> Camera:
        if (photo, level) not in self._resized:
            self._resized[photo, level] = self._training[photo].rescale(level)
        return self._resized[photo, level]

    def _evaluate(self, iteration: int, loss: float, log: TrainingLog) -> StopReason | None:
        state = self._state
        parameters = state.optimiser.parameters
        score = mean_psnr(self._rasteriser, parameters, self._validation, self._photos, self._schedule.sh_degree)
        if math.isnan(score):
            raise Refused(Slug.TRAINING_DIVERGED, iterations=iteration)
        level = self._schedule.level(iteration)
        log.add(LogEntry(state.iteration, loss, score, len(state.optimiser), self.seconds, level))
        comparable = self._schedule.scores_comparable(iteration)
        reason = state.stopping.observe(iteration, score, comparable=comparable)
        if state.stopping.is_best(iteration):
            state.best = {name: value.detach().cpu().clone() for name, value in parameters.items()}
        return reason

    def _fit_deadline(self) -> None:
        """Shorten the schedule to what can be done before the deadline, evaluation included: its last phases are
        what makes a model good."""
        self._time_budget.observe(self.iteration, self._schedule.iterations, self.seconds)
        if deadline := self._state.stopping.deadline:
            left = max(0.0, deadline.seconds - self.seconds)
            after = EVALUATION_COST * self._evaluated
            iterations = self._time_budget.affordable(self.iteration, self._schedule.iterations, left, after)
            self._schedule = replace(self._schedule, iterations=max(1, iterations))

    def _shortening_reason(self) -> StopReason | None:
        deadline = self._state.stopping.deadline
        return deadline.reason if deadline and self._schedule.iterations < self._planned_iterations else None

    def _report_progress(self, progress: Progress, log: TrainingLog) -> None:
        counts: dict[str, int | float] = {"iteration": self.iteration, "gaussians": len(self._state.optimiser)}
        if log.entries:
            counts["psnr"] = round(log.entries[-1].psnr, 2)
        total = self._schedule.iterations
        seconds_left = self._time_budget.seconds_left(self.iteration, total)
        if seconds_left is not None:
            counts["seconds_left"] = round(seconds_left)
        progress.update(self._time_budget.fraction(self.iteration, total), MESSAGE, **counts)
        if self._live:
            self._live.update(self._state.optimiser.parameters, self.iteration, log.entries)

    @property
    def iteration(self) -> int:
        """Iterations so far, with those of the runs before a checkpoint."""
        return self._state.iteration

    @property
    def seconds(self) -> float:
        """Of the stage so far, with those of the runs before a checkpoint."""
        return self._seconds_before + self._clock() - self._started

    @property
    def best(self) -> Tensors:
        """The parameters with the best score, or the present ones when nothing was evaluated yet; on the CPU."""
        parameters = self._state.optimiser.parameters
        return self._state.best or {name: value.detach().cpu() for name, value in parameters.items()}

    @property
    def best_psnr(self) -> float:
        """Of the validation photos, dB."""
        return self._state.stopping.best

    @property
    def best_iteration(self) -> int:
        """Iterations that the best model had."""
        return self._state.stopping.best_iteration + 1

    def save(self, checkpoint: CheckpointFile, log: TrainingLog) -> None:
        """Write a checkpoint of everything.

        Raises:
            OSError: the disk is full.
        """
        started = self._clock()
        run = {
            "iterations": self._schedule.iterations,
            "start": self._schedule.start,
            "seconds": self.seconds,
            "curve": [asdict(entry) for entry in log.entries],
        }
        checkpoint.save(run | self._state.state_dict())
        self._saved = self._clock()
        self._save_seconds = self._saved - started

    def load_state_dict(self, checkpoint: dict[str, Any]) -> None:
        """Continue from a checkpoint. When it is damaged, what this raises leaves a trainer of no use."""
        iteration, iterations = checkpoint["iteration"], checkpoint["iterations"]
        if not 0 <= iteration <= iterations <= self._planned_iterations:
            raise ValueError(f"iteration {iteration} of {iterations}")
        if not 1 <= checkpoint["start"] <= self._schedule.cap_max:
            raise ValueError(f"{checkpoint['start']} Gaussians at first, of {self._schedule.cap_max}")
        self._seconds_before = checkpoint["seconds"]
        self._schedule = replace(self._schedule, iterations=max(1, iterations), start=checkpoint["start"])
        self._time_budget = TimeBudget(self._schedule, iteration)
        self._state.load_state_dict(checkpoint)
