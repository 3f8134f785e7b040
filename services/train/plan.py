"""All that is decided before the first iteration."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from services.train.capacity import Cap, choose_cap, choose_sh_degree, views_of_points
from services.train.dataset import Dataset, Photos, finest, open_dataset
from services.train.device import Device, choose_device
from services.train.frame import Frame, choose_frame
from services.train.initialise import gaussians_from_points
from services.train.rasterisers.protocol import Rasteriser
from services.train.schedule import Schedule
from services.train.seeding import Points, seed_points
from services.train.stopping import Deadline, Stopping, deadline
from services.train.trainer import Scene, Trainer
from spaceport.pipeline.errors import Refused, Slug
from spaceport.pipeline.options import TrainOptions
from spaceport.pipeline.pricing import instance_type, seconds_for

CPU_LONGEST_SIDE: Final = 640
"""Photos are trained on at most this large on a CPU, unless the options say otherwise."""
SEEDED: Final = 0.4
"""Seeds between the sparse points, as a part of the cap; the rest grows where training finds it lacking."""


@dataclass(frozen=True)
class Plan:
    """The input, where it is trained, in which frame, and what happens when."""

    dataset: Dataset
    device: Device
    frame: Frame
    scene: Scene
    cap: Cap
    schedule: Schedule
    options: TrainOptions

    @property
    def fingerprint(self) -> str:
        """Names one input with one set of options: a checkpoint of any other must not be continued."""
        digest = hashlib.sha256(self.options.model_dump_json().encode() + self.device.kind.encode())
        for camera in self.dataset.cameras:
            digest.update(f"{camera.name}\0{camera.width}x{camera.height}{camera.held_out}".encode())
            digest.update(camera.world_to_camera.tobytes())
        digest.update(self.dataset.xyz.tobytes())
        return digest.hexdigest()


def make_plan(dense: Path, options: TrainOptions) -> Plan:
    """Read the input and decide device, frame, photo size, number of Gaussians and schedule.

    Raises:
        Refused: `bad_reconstruction`, `photo_mismatch` or `bad_options`.
    """
    dataset = open_dataset(dense, options.test_every)
    device = choose_device(options)
    try:
        frame = choose_frame(dataset.cameras, dataset.xyz)
    except ValueError as error:
        raise Refused(Slug.BAD_RECONSTRUCTION, detail=str(error)) from None
    side = options.image_size or (CPU_LONGEST_SIDE if device.kind == "cpu" else None)
    cameras = [finest(frame.camera_in(camera), side) for camera in dataset.cameras]
    scene = Scene(cameras, Photos(dataset.folder))
    pixels = sum(camera.width * camera.height for camera in scene.training)
    views = views_of_points(scene.training, frame.points_in(dataset.xyz))
    cap = choose_cap(options.max_gaussians, pixels, views, len(dataset.xyz), device.cuda_bytes)
    schedule = Schedule(
        iterations=min(options.max_iterations, options.max_looks * len(scene.training)),
        longest_side=max(max(camera.width, camera.height) for camera in cameras),
        cap=cap.gaussians,
        sh_degree=choose_sh_degree(options.sh_degree, len(scene.training)),
        progressive=options.progressive_resolution,
    )
    return Plan(dataset, device, frame, scene, cap, schedule, options)


def make_trainer(plan: Plan, rasteriser: Rasteriser, points: Points) -> Trainer:
    """The trainer at its first iteration, with one Gaussian for each point (training frame)."""
    options = plan.options
    xyz, rgb = points
    parameters = gaussians_from_points(xyz, rgb, plan.schedule.sh_degree, rasteriser.device)
    patience = options.plateau_patience if options.plateau_stop else None
    stopping = Stopping(options.target_psnr, patience, _deadline(options))
    schedule = replace(plan.schedule, start=len(xyz))
    return Trainer(plan.scene, rasteriser, parameters, schedule, stopping, seed=options.seed)


def sparse_points(plan: Plan, random: np.random.Generator) -> Points:
    """What structure from motion found, in the training frame, with colours; a random part of it beyond the cap."""
    chosen = np.sort(random.permutation(len(plan.dataset.xyz))[: plan.cap.gaussians])
    return plan.frame.points_in(plan.dataset.xyz[chosen]), plan.dataset.rgb[chosen]


def first_points(plan: Plan, check: Callable[[], None] = lambda: None) -> Points:
    """Where the first Gaussians are: the sparse points, and seeds between them.

    Takes a third of a second for each photo. `check` is called now and then; what it raises passes.
    """
    cap, random = plan.cap.gaussians, np.random.default_rng(plan.options.seed)
    xyz, rgb = sparse_points(plan, random)
    wanted = min(int(SEEDED * cap), cap - len(xyz))
    seeds, colours = seed_points(plan.scene.training, plan.scene.photos, xyz, wanted, random, check)
    return np.concatenate([xyz, seeds]), np.concatenate([rgb, colours])


def _deadline(options: TrainOptions) -> Deadline | None:
    lasts = seconds_for(instance_type(), options.max_usd) if options.max_usd is not None else None
    return deadline(options.max_minutes, lasts)
