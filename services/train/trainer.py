"""The training loop: one photo at a time, the same on every device."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from services.train.checkpoint import save_checkpoint
from services.train.dataset import Photos
from services.train.evaluate import mean_psnr, spread
from services.train.exposure import Exposures
from services.train.log import Entry, TrainingLog
from services.train.mcmc import add_noise, penalised, refine
from services.train.optimiser import Optimiser
from services.train.rasterisers.protocol import Rasteriser, Tensors, View
from services.train.schedule import Schedule
from services.train.stopping import Stopping, StopReason
from services.train.time_budget import Pace
from spaceport.pipeline.errors import Interrupted, Refused, Slug
from spaceport.progress import Progress
from spaceport.splats.cameras import Camera

MESSAGE: Final = "Training advanced neural 3D representation"
WATCHED: Final = 6
"""Photos whose PSNR is followed during training."""
MOST_TRAINING_VIEWS: Final = 32
"""Training photos that are measured in the end."""
REPORT_EVERY: Final = 10
CHECKPOINT_SECONDS: Final = (10.0, 60.0)
CHECKPOINT_SHARE: Final = 0.02
"""Between checkpoints lie so many seconds at least and at most; within that, saving takes this share of the time."""


@dataclass(frozen=True)
class Scene:
    """What is learned from: cameras in the training frame at the finest level, and which of them are trained on."""

    cameras: list[Camera]
    photos: Photos

    @property
    def training(self) -> list[Camera]:
        return [camera for camera in self.cameras if not camera.held_out]

    @property
    def watched(self) -> list[Camera]:
        """The photos whose PSNR decides: held-out ones, or of those trained on when none is held out."""
        return spread([camera for camera in self.cameras if camera.held_out] or self.cameras, WATCHED)

    @property
    def measured(self) -> list[Camera]:
        """The photos that are measured in the end: some that were trained on, and all that were held out."""
        return spread(self.training, MOST_TRAINING_VIEWS) + [camera for camera in self.cameras if camera.held_out]


class Trainer:
    """State and loop of one training.

    Args:
        scene: what is learned from.
        rasteriser: of the device.
        parameters: the first Gaussians, on the rasteriser's device.
        schedule: what happens when.
        stopping: when to end early.
        seed: of all randomness.
        clock: seconds, for the log only.
    """

    def __init__(
        self,
        scene: Scene,
        rasteriser: Rasteriser,
        parameters: Tensors,
        schedule: Schedule,
        stopping: Stopping,
        *,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.optimiser = Optimiser(parameters, rasteriser.update)
        self.exposures = Exposures(len(scene.training))
        self.iteration = 0
        self._scene, self._rasteriser, self._schedule, self._stopping = scene, rasteriser, schedule, stopping
        self._planned = schedule.iterations
        self._best: Tensors | None = None
        self._order: list[int] = []
        self._radii = torch.zeros(len(self.optimiser), device=rasteriser.device)
        self._levels: dict[tuple[int, float], Camera] = {}
        self._training, self._watched = scene.training, scene.watched
        self._shuffle = torch.Generator().manual_seed(seed)
        self._chance = torch.Generator(device=rasteriser.device).manual_seed(seed + 1)
        self._clock, self._began, self._before, self._saved = clock, clock(), 0.0, clock()
        self._pause = CHECKPOINT_SECONDS[0]
        self._pace = Pace(schedule, 0)

    def run(self, progress: Progress, log: TrainingLog, checkpoint: Path, fingerprint: str) -> StopReason:
        """Train to the end; save a checkpoint every minute or more often, and when the machine is about to go.

        Raises:
            Refused: `training_diverged` when the loss is no longer a number.
            Interrupted, Stopped, LostLease: from `progress`.
        """
        reason = None
        try:
            while reason is None and self.iteration < self._schedule.iterations:
                reason = self._iterate(progress, log)
                if self.iteration == 1:  # compilers' seconds are not worth keeping
                    self._saved = self._clock()
                if self._clock() - self._saved > self._pause:
                    self.save(checkpoint, fingerprint, log)
        except Interrupted:
            self.save(checkpoint, fingerprint, log)
            raise
        return reason or self._shortened_for() or StopReason.ITERATIONS

    def _iterate(self, progress: Progress, log: TrainingLog) -> StopReason | None:
        iteration = self.iteration
        loss = self._step(iteration)
        if not math.isfinite(loss):
            raise Refused(Slug.TRAINING_DIVERGED, iterations=iteration)
        if self._schedule.refines(iteration):
            refine(self.optimiser, self._schedule.gaussians(iteration), self._chance, self._radii)
            self._radii = torch.zeros(len(self.optimiser), device=self._rasteriser.device)
        self.iteration += 1
        reason = None
        late = self._stopping.too_late(self.seconds)
        if self._schedule.evaluates(iteration) or late:
            reason = self._evaluate(iteration, loss, log) or late
        if self.iteration % REPORT_EVERY == 0 or reason:
            self._keep_time()
            self._tell(progress, log)
        progress.check()
        return reason

    def _step(self, iteration: int) -> float:
        """Learn from one photo; returns its loss."""
        parameters, rates = self.optimiser.parameters, self._schedule.rates(iteration)
        photo = self._next_photo()
        camera = self._at_level(photo, self._schedule.level(iteration))
        view = View(camera, self._scene.photos.at(camera), self.exposures.of(photo))
        step = self._rasteriser.step(parameters, view, self._schedule.bands(iteration))
        with torch.no_grad():
            self.optimiser.step(penalised(step.grads, parameters), rates)
            add_noise(parameters, rates["means"], self._chance)
            self._radii = torch.maximum(self._radii, step.radii / self._schedule.level(iteration))
        self.exposures.step(photo, step.exposure_grad, iteration / self._schedule.iterations)
        return step.loss

    def _next_photo(self) -> int:
        """Each photo once per round, in a new order each round."""
        if not self._order:
            self._order = torch.randperm(len(self._training), generator=self._shuffle).tolist()
        return self._order.pop()

    def _at_level(self, photo: int, level: float) -> Camera:
        if (photo, level) not in self._levels:
            self._levels[photo, level] = self._training[photo].scaled(level)
        return self._levels[photo, level]

    def _evaluate(self, iteration: int, loss: float, log: TrainingLog) -> StopReason | None:
        score = mean_psnr(
            self._rasteriser, self.optimiser.parameters, self._watched, self._scene.photos, self._schedule.sh_degree
        )
        if math.isnan(score):
            raise Refused(Slug.TRAINING_DIVERGED, iterations=iteration)
        level = self._schedule.level(iteration)
        log.add(Entry(self.iteration, loss, score, len(self.optimiser), self.seconds, level))
        reason = self._stopping.observe(iteration, score, settled=self._schedule.settled(iteration))
        if self._stopping.is_best(iteration):
            self._best = {name: value.detach().cpu().clone() for name, value in self.optimiser.parameters.items()}
        return reason

    def _keep_time(self) -> None:
        """Shorten the schedule to what can be done before the deadline: its last phases are what makes a model good."""
        self._pace.observe(self.iteration, self._schedule.iterations, self.seconds)
        if limit := self._stopping.deadline:
            left = max(0.0, limit.seconds - self.seconds)
            iterations = self._pace.affordable(self.iteration, self._schedule.iterations, left)
            self._schedule = replace(self._schedule, iterations=max(1, iterations))

    def _shortened_for(self) -> StopReason | None:
        limit = self._stopping.deadline
        return limit.reason if limit and self._schedule.iterations < self._planned else None

    def _tell(self, progress: Progress, log: TrainingLog) -> None:
        counts: dict[str, int | float] = {"iteration": self.iteration, "gaussians": len(self.optimiser)}
        if log.entries:
            counts["psnr"] = round(log.entries[-1].psnr, 2)
        total = self._schedule.iterations
        if (left := self._pace.seconds_left(self.iteration, total)) is not None:
            counts["seconds_left"] = round(left)
        progress.update(self._pace.fraction(self.iteration, total), MESSAGE, **counts)

    @property
    def seconds(self) -> float:
        """Trained so far, with the runs before a checkpoint."""
        return self._before + self._clock() - self._began

    @property
    def best(self) -> Tensors:
        """The parameters with the best score (on the CPU), or the present ones when nothing was measured yet."""
        return self._best or {name: value.detach().cpu() for name, value in self.optimiser.parameters.items()}

    @property
    def best_psnr(self) -> float:
        """Of the watched photos, dB."""
        return self._stopping.best

    @property
    def best_iteration(self) -> int:
        """Iterations that the best model had."""
        return self._stopping.best_iteration + 1

    def save(self, path: Path, fingerprint: str, log: TrainingLog) -> None:
        """Write a checkpoint of everything."""
        began = self._clock()
        state = {
            "fingerprint": fingerprint,
            "iteration": self.iteration,
            "iterations": self._schedule.iterations,
            "start": self._schedule.start,
            "seconds": self.seconds,
            "optimiser": self.optimiser.state(),
            "exposures": self.exposures.state(),
            "stopping": self._stopping.state(),
            "order": self._order,
            "radii": self._radii,
            "random": [self._shuffle.get_state(), self._chance.get_state()],
            "best": self._best,
            "curve": [asdict(entry) for entry in log.entries],
        }
        save_checkpoint(path, state)
        self._saved = self._clock()
        least, most = CHECKPOINT_SECONDS
        self._pause = min(most, max(least, (self._saved - began) / CHECKPOINT_SHARE))

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint's state. What it raises when the state is damaged leaves a trainer of no use."""
        self.iteration, self._before, self._order = state["iteration"], state["seconds"], list(state["order"])
        if not 0 <= self.iteration <= state["iterations"] <= self._planned:
            raise ValueError(f"iteration {self.iteration} of {state['iterations']}")
        if not 1 <= state["start"] <= self._schedule.cap:
            raise ValueError(f"{state['start']} Gaussians at first, of {self._schedule.cap}")
        self._schedule = replace(self._schedule, iterations=max(1, state["iterations"]), start=state["start"])
        self._pace = Pace(self._schedule, self.iteration)
        if not set(self._order) <= set(range(len(self._training))):
            raise ValueError("photos that there are not")
        self.optimiser.load(state["optimiser"], self._rasteriser.device)
        if state["radii"].shape != (len(self.optimiser),):
            raise ValueError("sizes of another number of Gaussians")
        self.exposures.load(state["exposures"])
        if len(self.exposures.values) != len(self._training):
            raise ValueError("exposures of another number of photos")
        self._stopping.load(state["stopping"])
        self._radii = state["radii"].to(self._rasteriser.device)
        self._shuffle.set_state(state["random"][0])
        self._chance.set_state(state["random"][1])
        self._best = state["best"]
        if self._best is not None and self._best.keys() != self.optimiser.parameters.keys():
            raise ValueError("a best model with other parameters")
