"""Everything that is decided before the first iteration."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

import numpy as np
from pydantic import TypeAdapter, ValidationError

from services.train.capacity import (
    Cap,
    choose_cap,
    choose_sh_degree,
    mean_views_per_point,
    memory_cap,
    pixels_per_gaussian,
)
from services.train.dataset import Dataset, Photos, limit_size, open_dataset
from services.train.device import Device, choose_device, memory_bytes
from services.train.estimate import Estimate, estimate_training
from services.train.exposure import Exposures
from services.train.hyperparameters import Hyperparameters
from services.train.initialise import gaussians_from_points
from services.train.live import LiveView
from services.train.normalise import SceneTransform, transform_from_cameras
from services.train.optimiser import Optimiser
from services.train.rasterisers.protocol import Rasteriser
from services.train.schedule import TrainingSchedule
from services.train.seeding import Points, seed_points
from services.train.state import TrainingState
from services.train.stopping import Deadline, EarlyStopping, default_patience, nearest_deadline
from services.train.trainer import Trainer
from services.train.training_set import TrainingSet
from spaceport.pipeline.effort import choose_effort
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.options import TrainOptions
from spaceport.pipeline.pricing import instance_type, seconds_for


@dataclass(frozen=True)
class Decisions:
    """What follows from photos and device, and must stay the same when a run goes on, perhaps on another machine.

    Args:
        longest_side: of the photos at the finest level, pixels.
        iterations: of the whole run.
        gaussians: the most.
        why: that many, as a phrase for people.
    """

    longest_side: int
    iterations: int
    gaussians: int
    why: str

    @staticmethod
    def of(values: object) -> Decisions | None:
        """Those that a checkpoint holds; None where they are none, or beyond what options allow."""
        try:
            decisions = TypeAdapter(Decisions).validate_python(values)
            TrainOptions(max_iterations=decisions.iterations, max_gaussians=decisions.gaussians)
        except ValidationError:
            return None
        return decisions if decisions.longest_side > 0 else None


@dataclass(frozen=True)
class TrainingPlan:
    """The input, where it is trained, in which frame, and what happens when."""

    dataset: Dataset
    device: Device
    transform: SceneTransform
    training_set: TrainingSet
    cap: Cap
    schedule: TrainingSchedule
    options: TrainOptions
    hyperparameters: Hyperparameters

    @property
    def decisions(self) -> Decisions:
        """What a checkpoint keeps of this plan."""
        return Decisions(self.schedule.longest_side, self.schedule.iterations, self.cap.gaussians, self.cap.why)

    @property
    def reduction(self) -> float:
        """Sides of the photos, as multiples of those that are trained on: of most of them, the median."""
        pairs = zip(self.dataset.cameras, self.training_set.cameras, strict=True)
        return median(photo.width / trained.width for photo, trained in pairs)

    @property
    def estimate(self) -> Estimate:
        """What this will take, from its beginning."""
        training = self.training_set.training
        start = len(self.dataset.xyz) + int(self.hyperparameters.seed_fraction * self.cap.gaussians)
        return estimate_training(
            replace(self.schedule, start=min(start, self.cap.gaussians)),
            fmean(camera.width * camera.height for camera in training),
            len(training),
            len(self.training_set.evaluation),
            self.device.cpu_threads,
            instance_type(),
        )

    @property
    def fingerprint(self) -> str:
        """Names one input with one set of options: a checkpoint of any other must not be continued."""
        digest = hashlib.sha256(self.options.model_dump_json().encode() + self.device.kind.encode())
        for camera in self.dataset.cameras:
            digest.update(f"{camera.name}\0{camera.width}x{camera.height}{camera.held_out}".encode())
            digest.update(camera.world_to_camera.tobytes())
        digest.update(self.dataset.xyz.tobytes())
        if self.hyperparameters != Hyperparameters():
            digest.update(repr(self.hyperparameters).encode())
        return digest.hexdigest()


def make_plan(
    dense: Path,
    options: TrainOptions,
    hyperparameters: Hyperparameters | None = None,
    begun: Decisions | None = None,
) -> TrainingPlan:
    """Read the input and decide device, frame, photo size, number of Gaussians and schedule.

    Args:
        dense: the folder `colmap/dense`.
        options: of the job.
        hyperparameters: what jobs cannot set.
        begun: what an earlier run decided, perhaps on another machine, and this one goes on with.

    Raises:
        Refused: `bad_reconstruction`, `photo_mismatch` or `bad_options`.
    """
    hyperparameters = hyperparameters or Hyperparameters()
    dataset = open_dataset(dense, options.test_every)
    device = choose_device(options)
    try:
        transform = transform_from_cameras(dataset.cameras, dataset.xyz)
    except ValueError as error:
        raise Refused(Slug.BAD_RECONSTRUCTION, detail=str(error)) from None
    decisions = begun or _decide(dataset, device, options)
    cameras = [limit_size(transform.transform_camera(camera), decisions.longest_side) for camera in dataset.cameras]
    training_set = TrainingSet(cameras, Photos(dataset.folder))
    training = len(dataset.training)
    schedule = TrainingSchedule(
        iterations=decisions.iterations,
        longest_side=max(max(camera.width, camera.height) for camera in cameras),
        cap_max=decisions.gaussians,
        sh_degree=choose_sh_degree(options.sh_degree, training, hyperparameters.photos_per_band),
        progressive=options.progressive_resolution,
        sh_starts=hyperparameters.sh_starts,
        learning_rates=hyperparameters.learning_rates,
    )
    cap = Cap(decisions.gaussians, decisions.why)
    return TrainingPlan(dataset, device, transform, training_set, cap, schedule, options, hyperparameters)


def _decide(dataset: Dataset, device: Device, options: TrainOptions) -> Decisions:
    """Photo size, iterations and cap, by preset, photos and device."""
    training = [dataset.cameras[index] for index in dataset.training]
    views = mean_views_per_point(training, dataset.xyz)
    effort = choose_effort(options, device.cpu_threads, len(training), views)
    sizes = [limit_size(camera, effort.longest_side) for camera in training]
    pixels = [camera.width * camera.height for camera in sizes]
    longest_side = max(max(camera.width, camera.height) for camera in sizes)
    on = "a GPU" if device.kind == "cuda" else f"{device.threads} CPU threads"
    cap = choose_cap(
        options.max_gaussians,
        sum(pixels),
        pixels_per_gaussian(longest_side, views),
        len(dataset.xyz),
        Cap(effort.gaussians, f"what `{options.preset}` is worth on {on}"),
        memory_cap(memory_bytes(device), max(pixels), cuda=device.kind == "cuda"),
    )
    return Decisions(longest_side, effort.iterations_for(len(training)), cap.gaussians, cap.why)


def make_trainer(
    plan: TrainingPlan,
    rasteriser: Rasteriser,
    points: Points,
    clock: Callable[[], float] = time.monotonic,
    begun: float | None = None,
    live: LiveView | None = None,
) -> Trainer:
    """The trainer at its first iteration, with one Gaussian for each point (training frame); `begun` by the clock."""
    options = plan.options
    xyz, rgb = points
    patience = options.plateau_patience or default_patience(plan.schedule.iterations)
    parameters = gaussians_from_points(xyz, rgb, plan.schedule.sh_degree, rasteriser.device)
    state = TrainingState(
        Optimiser(parameters, rasteriser.update),
        Exposures(len(plan.training_set.training), plan.hyperparameters.exposure_lr, rasteriser.device),
        EarlyStopping(options.target_psnr, patience if options.plateau_stop else None, _deadline(options)),
        rasteriser.device,
        options.seed,
    )
    schedule = replace(plan.schedule, start=len(xyz))
    return Trainer(plan.training_set, rasteriser, state, schedule, plan.hyperparameters.mcmc, clock, begun, live)


def sparse_points(plan: TrainingPlan, random: np.random.Generator) -> Points:
    """The points of structure from motion in the training frame, with colours; a random part of them beyond the cap."""
    chosen = np.sort(random.permutation(len(plan.dataset.xyz))[: plan.cap.gaussians])
    return plan.transform.transform_points(plan.dataset.xyz[chosen]), plan.dataset.rgb[chosen]


def first_points(plan: TrainingPlan, check: Callable[[], None] = lambda: None) -> Points:
    """Where the first Gaussians are: the sparse points, and seeds between them.

    Takes a third of a second for each photo. `check` is called before each; what it raises passes.
    """
    cap = plan.cap.gaussians
    random = np.random.default_rng(plan.options.seed)
    xyz, rgb = sparse_points(plan, random)
    count = min(int(plan.hyperparameters.seed_fraction * cap), cap - len(xyz))
    training_set = plan.training_set
    seeds, colours = seed_points(training_set.training, training_set.photos, xyz, count, random, check)
    return np.concatenate([xyz, seeds]), np.concatenate([rgb, colours])


def _deadline(options: TrainOptions) -> Deadline | None:
    affordable = seconds_for(instance_type(), options.max_usd) if options.max_usd is not None else None
    return nearest_deadline(options.max_minutes, affordable)
