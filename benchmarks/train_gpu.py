"""One training iteration on CUDA through gsplat, and on this machine's CPU through our rasteriser.

    python benchmarks/train_gpu.py [--gaussians 100000 500000 1000000] [--width 1600] [--repeats 20] [--no-cpu]

A whole iteration: project, draw, loss, gradients, Adam, MCMC noise. The bytes for each Gaussian are those by which the
stage chooses its cap (`services/train/capacity.py`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from services.train.capacity import CUDA_BYTES
from services.train.mcmc import add_noise, penalised
from services.train.optimiser import Optimiser
from services.train.rasterisers.cpu import CpuRasteriser
from services.train.rasterisers.gsplat_cuda import GsplatRasteriser
from services.train.rasterisers.protocol import Rasteriser, Tensors, View
from services.train.schedule import Schedule
from spaceport.splats.cameras import Camera


def scene(count: int, device: torch.device) -> Tensors:
    """Gaussians over a field seen from above, sized so that they just cover it. SH degree 3."""
    random = torch.Generator().manual_seed(0)
    means = torch.rand((count, 3), generator=random) * torch.tensor([4.0, 3.0, 0.3]) - torch.tensor([2.0, 1.5, 0.0])
    found = {
        "means": means,
        "quats": torch.randn((count, 4), generator=random),
        "scales": 0.3 * torch.randn((count, 3), generator=random) + 0.5 * float(np.log(4.0 / count)),
        "opacities": torch.randn(count, generator=random),
        "sh0": 0.5 * torch.randn((count, 1, 3), generator=random),
        "shN": 0.1 * torch.randn((count, 15, 3), generator=random),
    }
    return {name: value.to(device) for name, value in found.items()}


def view(width: int) -> View:
    height = width * 3 // 4
    pose = np.eye(4)
    pose[2, 3] = 3.0
    camera = Camera("benchmark", width, height, 0.8 * width, 0.8 * width, width / 2, height / 2, pose)
    photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return View(camera, photo, np.array([[1, 1, 1], [0, 0, 0]], np.float32))


def iteration(rasteriser: Rasteriser, count: int, width: int) -> Callable[[], None]:
    """One step of training as a function."""
    optimiser = Optimiser(scene(count, rasteriser.device), rasteriser.update)
    generator = torch.Generator(device=rasteriser.device).manual_seed(0)
    rates, seen = Schedule(1_000, width, count, start=count).rates(500), view(width)

    def step() -> None:
        found = rasteriser.step(optimiser.parameters, seen, 3)
        with torch.no_grad():
            optimiser.step(penalised(found.grads, optimiser.parameters), rates)
            add_noise(optimiser.parameters, rates["means"], generator)

    return step


def milliseconds(step: Callable[[], None], repeats: int, wait: Callable[[], None]) -> float:
    """The median of single iterations, after three to warm up."""
    times = []
    for index in range(repeats + 3):
        began = time.perf_counter()
        step()
        wait()
        if index >= 3:
            times.append(time.perf_counter() - began)
    return 1e3 * float(np.median(times))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gaussians", type=int, nargs="+", default=[100_000, 500_000, 1_000_000])
    parser.add_argument("--width", type=int, default=1600)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--no-cpu", action="store_true")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device is there", file=sys.stderr)
        return 1
    print(
        f"{torch.cuda.get_device_name()}, {given.width} x {given.width * 3 // 4}; cap assumes {CUDA_BYTES} bytes each"
    )
    print(f"{'gaussians':>10} {'cuda ms':>9} {'bytes each':>11} {'cpu ms':>9} {'ratio':>6}")
    for count in given.gaussians:
        torch.cuda.reset_peak_memory_stats()
        cuda = milliseconds(iteration(GsplatRasteriser(), count, given.width), given.repeats, torch.cuda.synchronize)
        bytes_each = torch.cuda.max_memory_allocated() / count
        cpu = float("nan")
        if not given.no_cpu:
            cpu = milliseconds(iteration(CpuRasteriser(), count, given.width), max(3, given.repeats // 5), lambda: None)
        print(f"{count:>10} {cuda:9.1f} {bytes_each:11.0f} {cpu:9.1f} {cpu / cuda:6.1f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
