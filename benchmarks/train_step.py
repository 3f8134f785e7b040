"""One training iteration on the CPU: ours, the machine's limit, and a tiled renderer in plain torch.

    python benchmarks/train_step.py [--repeats 30] [--no-torch]

Prints the least time of all repeats, as other work on the machine only ever adds to it.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from spaceport.simd.cores import usable_cores
from spaceport.simd.jit import kernel
from spaceport.simd.lanes import LANES
from spaceport.simd.memory import store
from spaceport.simd.ops import broadcast, fma
from spaceport.simd.thread_pool import THREAD_NAME
from spaceport.splats.cameras import Camera
from spaceport.splats.render import SimdRasteriser, record
from spaceport.splats.render.buffers import GradBuffers
from spaceport.splats.render.iteration import rasterize, rasterize_backward
from spaceport.splats.render.kernel_arguments import FrameSettings
from spaceport.splats.render.packed_camera import pack_camera

FLOP_FORWARD, FLOP_BACKWARD = 26, 53
"""Floating point operations per pair of pixel and Gaussian."""

RADIUS_A = 9.1
THREADS = sorted({1, min(2, usable_cores())})
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
NAMES = ("means", "quats", "scales", "opacities", "sh0", "shN")
Arrays = dict[str, np.ndarray]


def scene(count: int, radius: float, width: int = 400, height: int = 300) -> tuple[Arrays, Camera]:
    """Gaussians spread evenly over the picture and over depths 3 to 9, `radius` pixels in the mean, SH degree 3."""
    rng = np.random.default_rng(0)
    depth = rng.uniform(3, 9, count)
    x, y = rng.uniform(-width / 2, width / 2, count), rng.uniform(-height / 2, height / 2, count)
    opacities = rng.normal(size=count) - 1
    footprint = np.sqrt(2 * np.log(255 / (1 + np.exp(-opacities))))  # of one standard deviation
    deviation = 0.8 * radius / footprint * depth / width * np.exp(0.4 * rng.normal(size=count))
    arrays = {
        "means": np.stack([x / width * depth, y / width * depth, depth - 6], axis=1),
        "quats": rng.normal(size=(count, 4)),
        "scales": np.log(deviation)[:, None] + 0.2 * rng.normal(size=(count, 3)),
        "opacities": opacities,
        "sh0": 0.5 * rng.normal(size=(count, 1, 3)),
        "shN": 0.1 * rng.normal(size=(count, 15, 3)),
    }
    pose = np.eye(4)
    pose[2, 3] = 6
    camera = Camera("benchmark", width, height, width, width, width / 2, height / 2, pose)
    return {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}, camera


def fastest(work: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Milliseconds of the fastest call, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = clock()
        work()
        times.append(clock() - start)
    return 1000 * min(times)


@kernel
def multiply_add(rounds: int, out: np.ndarray) -> None:
    """Twelve independent chains: enough to keep two units with a latency of four busy."""
    a, b, c, d, e, f = broadcast(0.1), broadcast(0.2), broadcast(0.3), broadcast(0.4), broadcast(0.5), broadcast(0.6)
    g, h, i, j, k, m = broadcast(0.7), broadcast(0.8), broadcast(0.9), broadcast(1.1), broadcast(1.2), broadcast(1.3)
    scale, shift = broadcast(0.999), broadcast(0.001)
    for _ in range(rounds):
        a, b, c, d = fma(a, scale, shift), fma(b, scale, shift), fma(c, scale, shift), fma(d, scale, shift)
        e, f, g, h = fma(e, scale, shift), fma(f, scale, shift), fma(g, scale, shift), fma(h, scale, shift)
        i, j, k, m = fma(i, scale, shift), fma(j, scale, shift), fma(k, scale, shift), fma(m, scale, shift)
    store(out, 0, a + b + c + d + e + f + g + h + i + j + k + m)


def peak_gflops(repeats: int) -> float:
    """What one core reaches when it does nothing but multiply and add."""
    rounds, out = 1_000_000, np.zeros(LANES, np.float32)
    return rounds * 12 * LANES * 2 / (fastest(lambda: multiply_add(rounds, out), repeats) * 1e6)


@dataclass
class Ours:
    """Milliseconds of one iteration's parts."""

    render: float
    forward: float
    backward: float
    gradients: float
    cpu: float
    """Of loss and gradients, all threads together: what a busy machine blurs least."""
    adam: float

    @property
    def iteration(self) -> float:
        return self.gradients + self.adam


def measure(params: Arrays, camera: Camera, photo: np.ndarray, threads: int, repeats: int) -> Ours:
    rasteriser = SimdRasteriser(threads)
    _spread_over_cores()
    result = rasteriser.loss_and_grads(params, camera, photo)
    model, first, second, slopes = ({name: array.copy() for name, array in result.grads.items()} for _ in range(4))
    rates = dict.fromkeys(NAMES, 1e-9)
    whole = [
        fastest(lambda: rasteriser.loss_and_grads(params, camera, photo), repeats, clock)
        for clock in (time.perf_counter, time.process_time)
    ]
    projection, lists = rasteriser._model.projection, rasteriser._lists
    canvas = rasteriser._canvas_of(camera.height, camera.width)
    grad_records = GradBuffers(params, projection, threads).sums.grad_records
    settings = FrameSettings(pack_camera(camera), 3, (0.0, 0.0, 0.0), np.empty(0, np.float32), 0.0, 0.0)

    def each(work: Callable[[int], None]) -> float:
        return fastest(lambda: rasteriser._pool.parallel_for(work, threads), repeats)

    return Ours(
        render=fastest(lambda: rasteriser.render(params, camera), repeats),
        forward=each(lambda thread: rasterize(thread, projection, lists, canvas, settings)),
        backward=each(lambda thread: rasterize_backward(thread, projection, lists, canvas, grad_records)),
        gradients=whole[0],
        cpu=whole[1],
        adam=fastest(lambda: rasteriser.adam(model, (first, second), slopes, rates, 1), repeats),
    )


def _spread_over_cores() -> None:
    """Each thread on a core of its own: on a busy machine the system would now and then put two on one."""
    if not CORES:
        return
    os.sched_setaffinity(threading.get_native_id(), {CORES[0]})
    for thread in threading.enumerate():
        if thread.name.startswith(THREAD_NAME):
            number = int(thread.name.rpartition("-")[2])
            os.sched_setaffinity(thread.native_id or 0, {CORES[number % len(CORES)]})


def pairs(params: Arrays, camera: Camera) -> tuple[float, float]:
    """Pairs of pixel and Gaussian with alpha >= 1/255, by the ellipses' areas, and the mean radius in pixels."""
    rasteriser = SimdRasteriser(1)
    rasteriser.render(params, camera)
    projection = rasteriser._model.projection
    slots = [np.arange(first, first + count) for first, count in projection.regions]
    records = projection.records.reshape(-1, record.SIZE)[np.concatenate(slots)]
    radius = np.maximum(records[:, record.RADIUS_X], records[:, record.RADIUS_Y]).mean()
    return float(np.pi * (records[:, record.CHORD] * records[:, record.RADIUS_Y]).sum()), float(radius)


# The peer: the same picture in plain torch, tile by tile, differentiated by autograd.


def torch_records(leaves: dict[str, torch.Tensor], camera: Camera) -> tuple[torch.Tensor, ...]:
    """Centres, conics, opacities, colours (constant part), depths, radii."""
    pose = torch.tensor(camera.world_to_camera, dtype=torch.float32)
    x, y, z = (leaves["means"] @ pose[:3, :3].T + pose[:3, 3]).unbind(1)
    w, i, j, k = torch.nn.functional.normalize(leaves["quats"], dim=1).unbind(1)
    rotmats = torch.stack(
        [
            *(1 - 2 * (j * j + k * k), 2 * (i * j - w * k), 2 * (i * k + w * j)),
            *(2 * (i * j + w * k), 1 - 2 * (i * i + k * k), 2 * (j * k - w * i)),
            *(2 * (i * k - w * j), 2 * (j * k + w * i), 1 - 2 * (i * i + j * j)),
        ],
        1,
    ).reshape(-1, 3, 3)
    zero = torch.zeros_like(z)
    jacobian = torch.stack([camera.fx / z, zero, -camera.fx * x / z**2, zero, camera.fy / z, -camera.fy * y / z**2], 1)
    v = jacobian.reshape(-1, 2, 3) @ pose[:3, :3] @ (rotmats * leaves["scales"].exp()[:, None])
    covariance = v @ v.transpose(1, 2) + 0.3 * torch.eye(2)
    conic = torch.linalg.inv(covariance)
    centre = torch.stack([camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy], 1)
    opacity = torch.sigmoid(leaves["opacities"])
    reach = (2 * torch.log(255 * opacity.detach())).clamp_min(0).sqrt()[:, None]
    reach = reach * covariance.detach().diagonal(dim1=1, dim2=2).sqrt()
    return centre, conic, opacity, (0.2821 * leaves["sh0"][:, 0] + 0.5).clamp_min(0), z, reach


def torch_render(leaves: dict[str, torch.Tensor], camera: Camera, tile: int = 16) -> torch.Tensor:
    centre, conic, opacity, colour, depth, reach = torch_records(leaves, camera)
    order = torch.argsort(depth.detach())
    rows = []
    for top in range(0, camera.height, tile):
        row = []
        for left in range(0, camera.width, tile):
            corner = torch.tensor([left, top])
            here = ((centre + reach >= corner) & (centre - reach <= corner + tile)).all(1)
            chosen = order[here[order]]
            high, wide = min(tile, camera.height - top), min(tile, camera.width - left)
            v, u = torch.meshgrid(top + 0.5 + torch.arange(high), left + 0.5 + torch.arange(wide), indexing="ij")
            d = torch.stack([u, v], -1).reshape(-1, 1, 2) - centre[chosen]
            power = -0.5 * torch.einsum("pgi,gij,pgj->pg", d, conic[chosen], d)
            alpha = (opacity[chosen] * power.exp()).clamp_max(0.999)
            alpha = torch.where(alpha >= 1 / 255, alpha, 0.0)
            light = torch.cumprod(torch.cat([torch.ones(len(alpha), 1), 1 - alpha], 1), 1)[:, :-1]
            row.append(((alpha * light) @ colour[chosen]).reshape(high, wide, 3))
        rows.append(torch.cat(row, 1))
    return torch.cat(rows, 0)


def measure_torch(params: Arrays, camera: Camera, threads: int) -> tuple[float, float]:
    """Milliseconds forward and backward, one call each after a small one to warm up."""
    torch.set_num_threads(threads)
    leaves = {name: torch.tensor(array, requires_grad=True) for name, array in params.items()}
    torch_render({name: leaf[:100] for name, leaf in leaves.items()}, camera).sum().backward()
    start = time.perf_counter()
    picture = torch_render(leaves, camera)
    middle = time.perf_counter()
    picture.square().mean().backward()
    return 1000 * (middle - start), 1000 * (time.perf_counter() - middle)


def report(title: str, count: int, radius: float, repeats: int) -> Ours:
    params, camera = scene(count, radius)
    photo = np.random.default_rng(1).random((camera.height, camera.width, 3), dtype=np.float32)
    pixel_pairs, mean_radius = pairs(params, camera)
    layers = pixel_pairs / (camera.width * camera.height)
    print(f"\n{title}: {count} Gaussians, {camera.width}x{camera.height}")
    print(f"mean radius {mean_radius:.1f} px, {layers:.0f} layers")
    print("threads  render  forward  backward  loss+gradients  (CPU)  Adam  iteration ms")
    measured = []
    for threads in THREADS:
        ours = measure(params, camera, photo, threads, repeats)
        measured.append(ours)
        print(
            f"{threads:7}  {ours.render:6.2f} {ours.forward:8.2f} {ours.backward:9.2f} {ours.gradients:15.2f}"
            f" {ours.cpu:6.2f} {ours.adam:5.2f} {ours.iteration:10.2f}"
        )
    gradients, whole = (measured[0].gradients / measured[-1].gradients, measured[0].iteration / measured[-1].iteration)
    print(f"two threads are {gradients:.2f} times as fast, with Adam {whole:.2f} times")
    peak = peak_gflops(repeats)
    for name, flop, ms in (
        ("forward", FLOP_FORWARD, measured[0].forward),
        ("backward", FLOP_BACKWARD, measured[0].backward),
    ):
        gflops = pixel_pairs * flop / ms / 1e6
        print(f"{name}: {gflops:.0f} of {peak:.0f} GFLOP/s, {100 * gflops / peak:.0f} %")
    return measured[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--no-torch", action="store_true")
    arguments = parser.parse_args()
    ours = report("Scene A", 20_000, RADIUS_A, arguments.repeats)
    if not arguments.no_torch:
        forward, backward = measure_torch(*scene(20_000, RADIUS_A), threads=1)
        print(f"torch, tiled, 1 thread, no SH: forward {forward:.0f} ms, backward {backward:.0f} ms")
        print(f"ours is {forward / ours.render:.0f} and {backward / ours.backward:.0f} times as fast")
    report("Small ones", 100_000, 2.5, arguments.repeats)


if __name__ == "__main__":
    main()
