"""How long a training will take, and what it will cost, before its first iteration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from services.train.schedule import TrainingSchedule
from services.train.seeding import MAX_SWEPT_PHOTOS
from spaceport.pipeline.effort import CUDA_SECONDS_PER_ITERATION, cpu_speed
from spaceport.pipeline.pricing import cost_usd

CPU_ITERATION_SECONDS: Final = 1e-3
CPU_GAUSSIAN_SECONDS: Final = 0.165e-6
CPU_PIXEL_SECONDS: Final = 20e-9
"""Of one iteration on two threads (Xeon, AVX-512): in itself, for each Gaussian, and for each pixel of its photo."""
SEED_SECONDS: Final = 0.33
"""Looking for seeds in one photo."""
EVALUATION_COST: Final = 5
"""Evaluating one photo in the end takes as long as this many iterations: 0.1 s against 20 ms (640 pixels, 2 cores)."""
STEPS: Final = 200


@dataclass(frozen=True)
class Estimate:
    """Of a whole training: seconds, and dollars on a machine that costs any."""

    seconds: float
    usd: float

    def sentence(self, schedule: TrainingSchedule) -> str:
        """What will be done and how long that takes, for people."""
        minutes = max(1, math.ceil(self.seconds / 60))
        price = f", ${self.usd:.2f}" if self.usd else ""
        return (
            f"Training with {schedule.iterations:,} iterations, photos of {schedule.longest_side:,} pixels and up to"
            f" {schedule.cap_max:,} Gaussians: about {minutes} min{price}"
        )


def estimate_training(
    schedule: TrainingSchedule, photo_pixels: float, photos: int, evaluated: int, threads: int | None, machine: str
) -> Estimate:
    """The estimate for a schedule.

    Args:
        schedule: of the run, with the Gaussians that it is likely to start with.
        photo_pixels: of a photo at the finest level, in the mean.
        photos: that are trained on.
        evaluated: photos that are evaluated in the end.
        threads: of the CPU, or None on a GPU.
        machine: as `pricing` names it.
    """
    if threads is None:
        training = (schedule.iterations + EVALUATION_COST * evaluated) * CUDA_SECONDS_PER_ITERATION
    else:
        steps = [int((step + 0.5) / STEPS * schedule.iterations) for step in range(STEPS)]
        mean = sum(_cpu_seconds(schedule, step, photo_pixels) for step in steps) / STEPS
        last = _cpu_seconds(schedule, schedule.iterations - 1, photo_pixels)
        training = (schedule.iterations * mean + EVALUATION_COST * evaluated * last) / cpu_speed(threads)
    seconds = training + SEED_SECONDS * min(photos, MAX_SWEPT_PHOTOS)
    return Estimate(seconds, cost_usd(machine, seconds))


def _cpu_seconds(schedule: TrainingSchedule, step: int, photo_pixels: float) -> float:
    """Of one iteration on two threads."""
    pixels = photo_pixels * schedule.level(step) ** 2
    return CPU_ITERATION_SECONDS + CPU_GAUSSIAN_SECONDS * schedule.n_target(step) + CPU_PIXEL_SECONDS * pixels
