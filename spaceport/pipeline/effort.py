"""What a preset means for training, by device: looks at each photo, iterations, photo size and Gaussians, at most.

On a GPU it means what the field means by it: every photo is looked at a hundred times or more, in full, with a million
Gaussians and more, for up to 30,000 iterations (3DGS, gsplat). On a CPU it means minutes: what two threads were seen
to do in them (`docs/measured/train.md`), and with more threads as much more as they are faster.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from spaceport.pipeline.options import Preset, TrainOptions

MEASURED_THREADS: Final = 2
EXPONENT_BELOW, EXPONENT_ABOVE = 0.95, 0.35
"""Threads are as many times faster to this power. Two were 1.94 times as fast as one; sixteen, on the one machine
with so many that was measured, only 1.0 to 1.5 times as fast as two (`docs/measured/gpu.md`)."""
CUDA_SECONDS_PER_ITERATION: Final = 2 * 2149 / 30_000
"""On a T4, the slowest card in use: gsplat's table has 30,000 iterations in 2,149 s for a TITAN RTX, which has the same
architecture and twice the memory bandwidth and arithmetic. Not measured. An H100 was measured to need an eighth."""
MIN_LOOKS, LOOKS_PER_VIEW = 100, 10
"""Iterations for each photo: always so many; more only where places are shown by enough photos. With 14 photos, 10 of
which show a place, 250 looks learned them by heart: held-out ones lost 0.4 dB while trained ones gained 3.3."""
MIN_SIDE: Final = 320
SIDE_STEP: Final = 8


@dataclass(frozen=True)
class Effort:
    """The limits of one training.

    Args:
        looks: iterations for each photo that is trained on.
        iterations: in all.
        longest_side: of the photos, pixels; None: as large as they are.
        gaussians: at the end of growth.
    """

    looks: int
    iterations: int
    longest_side: int | None
    gaussians: int

    def iterations_for(self, photos: int) -> int:
        """Of a training on so many photos."""
        return max(1, min(self.iterations, self.looks * photos))


CUDA: Final = {
    Preset.DRAFT: Effort(looks=100, iterations=7_000, longest_side=800, gaussians=500_000),
    Preset.STANDARD: Effort(looks=150, iterations=30_000, longest_side=None, gaussians=2_000_000),
    Preset.HIGH: Effort(looks=300, iterations=60_000, longest_side=None, gaussians=4_000_000),
}
CPU: Final = {
    Preset.DRAFT: Effort(looks=100, iterations=1_500, longest_side=400, gaussians=100_000),
    Preset.STANDARD: Effort(looks=100, iterations=2_500, longest_side=640, gaussians=100_000),
    Preset.HIGH: Effort(looks=250, iterations=6_000, longest_side=1_200, gaussians=300_000),
}
"""On `MEASURED_THREADS`."""


def choose_effort(options: TrainOptions, threads: int | None, photos: int, views: float = math.inf) -> Effort:
    """The limits of a training: those of its preset on this device, except where the options name others.

    Pure: the same threads give the same model, on any machine and on any day.

    Args:
        options: of the job.
        threads: of the CPU, or None on a GPU.
        photos: that are trained on.
        views: of these photos that show a place, in the mean; as long as it is not known, many.
    """
    effort = CUDA[options.preset] if threads is None else CPU[options.preset]
    looks = min(effort.looks, max(MIN_LOOKS, round(min(LOOKS_PER_VIEW * views, effort.looks))))
    effort = replace(effort, looks=looks)
    if threads is not None and effort.longest_side is not None and options.preset is not Preset.DRAFT:
        effort = _with_threads(effort, effort.longest_side, threads, photos)
    return Effort(
        looks=options.max_looks or effort.looks,
        iterations=options.max_iterations or effort.iterations,
        longest_side=options.image_size or effort.longest_side,
        gaussians=options.max_gaussians or effort.gaussians,
    )


def cpu_speed(threads: int) -> float:
    """How many times as fast so many threads train as `MEASURED_THREADS` do."""
    ratio = threads / MEASURED_THREADS
    return float(ratio ** (EXPONENT_BELOW if ratio < 1 else EXPONENT_ABOVE))


def _with_threads(effort: Effort, longest_side: int, threads: int, photos: int) -> Effort:
    """What is done on two threads, with as many as there are: more of them first look at each photo more often, up to
    what the preset wants, then at more of it; fewer look at less of it. Not for drafts, which are only done sooner."""
    speed = cpu_speed(threads)
    wanted = effort.looks * photos
    on_two = min(effort.iterations, wanted)
    iterations = max(on_two, min(effort.iterations * speed, wanted))
    left = speed * on_two / iterations
    side = max(MIN_SIDE, SIDE_STEP * round(longest_side * math.sqrt(left) / SIDE_STEP))
    return Effort(effort.looks, max(round(iterations), effort.iterations), side, round(effort.gaussians * left))
