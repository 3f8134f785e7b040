"""One training iteration on CUDA through gsplat, and on this machine's CPU through our rasteriser.

    python benchmarks/train_gpu.py [--gaussians 100000 500000 1000000] [--width 1600] [--repeats 20] [--no-cpu]
        [--breakdown]

A whole iteration: projection, rasterisation, loss, gradients, Adam, MCMC noise. By the bytes per Gaussian the stage
chooses its cap (`services/train/capacity.py`). `--breakdown` prints instead, for the first size, the median
milliseconds of each part of an iteration on CUDA, between CUDA events: where the device waits for the host, the wait
counts to the part that comes next.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from services.train.capacity import CUDA_BYTES_PER_GAUSSIAN
from services.train.mcmc import McmcParameters, inject_noise_to_position, regularise
from services.train.optimiser import Optimiser
from services.train.rasterisers.cpu import CpuRasteriser
from services.train.rasterisers.gsplat_cuda import GsplatRasteriser
from services.train.rasterisers.protocol import Rasteriser, Tensors, TrainingView
from services.train.schedule import TrainingSchedule
from spaceport.splats.cameras import Camera

WARM_UP = 3
"""Iterations that are not timed."""

Mark = Callable[[str], None]


def scene(count: int, device: torch.device) -> Tensors:
    """Gaussians over a field seen from above, sized so that they just cover it. SH degree 3."""
    random = torch.Generator().manual_seed(0)
    means = torch.rand((count, 3), generator=random) * torch.tensor([4.0, 3.0, 0.3]) - torch.tensor([2.0, 1.5, 0.0])
    parameters = {
        "means": means,
        "quats": torch.randn((count, 4), generator=random),
        "scales": 0.3 * torch.randn((count, 3), generator=random) + 0.5 * float(np.log(4.0 / count)),
        "opacities": torch.randn(count, generator=random),
        "sh0": 0.5 * torch.randn((count, 1, 3), generator=random),
        "shN": 0.1 * torch.randn((count, 15, 3), generator=random),
    }
    return {name: value.to(device) for name, value in parameters.items()}


def training_view(width: int, device: torch.device) -> TrainingView:
    """A photo of noise, 4:3."""
    height = width * 3 // 4
    pose = np.eye(4)
    pose[2, 3] = 3.0
    camera = Camera("benchmark", width, height, 0.8 * width, 0.8 * width, width / 2, height / 2, pose)
    photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return TrainingView(camera, lambda: photo, torch.tensor([[1.0, 1, 1], [0, 0, 0]], device=device))


def make_iteration(rasteriser: Rasteriser, count: int, width: int, mark: Mark = lambda _: None) -> Callable[[], None]:
    """One iteration of training as a function, as the trainer does it; `mark` is called after each of its parts."""
    optimiser = Optimiser(scene(count, rasteriser.device), rasteriser.update)
    generator = torch.Generator(device=rasteriser.device).manual_seed(0)
    learning_rates = TrainingSchedule(1_000, width, count, start=count).learning_rates_at(500)
    view = training_view(width, rasteriser.device)
    mcmc = McmcParameters()

    def iterate() -> None:
        result = rasteriser.step(optimiser.parameters, view, 3)
        with torch.no_grad():
            optimiser.step(regularise(result.grads, optimiser.parameters, mcmc), learning_rates)
            mark("optimiser")
            inject_noise_to_position(optimiser.parameters, learning_rates["means"], mcmc, generator)
            mark("noise")

    return iterate


def median_milliseconds(iterate: Callable[[], None], repeats: int, synchronise: Callable[[], None]) -> float:
    """The median of single iterations, after some to warm up."""
    times = []
    for index in range(repeats + WARM_UP):
        began = time.perf_counter()
        iterate()
        synchronise()
        if index >= WARM_UP:
            times.append(time.perf_counter() - began)
    return 1e3 * float(np.median(times))


class EventTimer:
    """Times the parts of an iteration between CUDA events.

    Args:
        make_event: an event that has `record()` and, after synchronisation, `elapsed_time(later)` in milliseconds.
        synchronise: waits for the device.
    """

    def __init__(self, make_event: Callable[[], Any], synchronise: Callable[[], None]) -> None:
        self._make_event = make_event
        self._synchronise = synchronise
        self._events: list[tuple[str, Any]] = []

    def mark(self, part: str) -> None:
        """The work of a part has been queued."""
        event = self._make_event()
        event.record()
        self._events.append((part, event))

    def medians(self, iterate: Callable[[], None], repeats: int) -> dict[str, float]:
        """Median milliseconds of each part that `iterate` marks, in its order, and of the whole iteration."""
        runs: list[dict[str, float]] = []
        for _ in range(repeats + WARM_UP):
            self._events.clear()
            self.mark("")
            iterate()
            self._synchronise()
            events = self._events
            run = {part: before.elapsed_time(event) for (_, before), (part, event) in pairwise(events)}
            runs.append(run | {"whole iteration": events[0][1].elapsed_time(events[-1][1])})
        return {part: float(np.median([run[part] for run in runs[WARM_UP:]])) for part in runs[0]}


def print_breakdown(count: int, width: int, repeats: int) -> None:
    """One line for each part of an iteration on CUDA."""
    timer = EventTimer(lambda: torch.cuda.Event(enable_timing=True), torch.cuda.synchronize)
    iterate = make_iteration(GsplatRasteriser(mark=timer.mark), count, width, timer.mark)
    print(f"{count:,} Gaussians; median of {repeats}, milliseconds between CUDA events")
    for part, milliseconds in timer.medians(iterate, repeats).items():
        print(f"{part:<22} {milliseconds:8.2f}")


def print_comparison(counts: list[int], width: int, repeats: int, *, with_cpu: bool) -> None:
    """One line for each number of Gaussians: an iteration on CUDA and on the CPU, and the memory at its peak."""
    print(f"cap assumes {CUDA_BYTES_PER_GAUSSIAN} bytes per Gaussian")
    print(f"{'gaussians':>10} {'cuda ms':>9} {'bytes each':>11} {'cpu ms':>9} {'ratio':>6}")
    for count in counts:
        torch.cuda.reset_peak_memory_stats()
        cuda = median_milliseconds(make_iteration(GsplatRasteriser(), count, width), repeats, torch.cuda.synchronize)
        bytes_each = torch.cuda.max_memory_allocated() / count
        cpu = float("nan")
        if with_cpu:
            iterate = make_iteration(CpuRasteriser(), count, width)
            cpu = median_milliseconds(iterate, max(3, repeats // 5), lambda: None)
        print(f"{count:>10} {cuda:9.1f} {bytes_each:11.0f} {cpu:9.1f} {cpu / cuda:6.1f}", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gaussians", type=int, nargs="+", default=[100_000, 500_000, 1_000_000])
    parser.add_argument(
        "--width", type=int, default=1600, help="of the photo, pixels; its height is three quarters of it"
    )
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--no-cpu", action="store_true", help="leave out our rasteriser")
    parser.add_argument("--breakdown", action="store_true", help="the parts of an iteration, for the first size")
    arguments = parser.parse_args(argv)
    if not torch.cuda.is_available():
        print("there is no CUDA device", file=sys.stderr)
        return 1
    print(f"{torch.cuda.get_device_name()}, {arguments.width} x {arguments.width * 3 // 4}")
    if arguments.breakdown:
        print_breakdown(arguments.gaussians[0], arguments.width, arguments.repeats)
    else:
        print_comparison(arguments.gaussians, arguments.width, arguments.repeats, with_cpu=not arguments.no_cpu)
    return 0


if __name__ == "__main__":
    sys.exit(main())
