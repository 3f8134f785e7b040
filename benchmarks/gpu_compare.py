"""Time to PSNR: our preset against gsplat's own strategies, on the same photos, poses and rasteriser.

    python benchmarks/gpu_compare.py JOB_FOLDER --out FOLDER [--methods standard default mcmc] [--steps 7000]
        [--minutes 3] [--device cuda]
    python benchmarks/gpu_compare.py --table FOLDER

`standard` is our training stage. `default` and `mcmc` are gsplat's `DefaultStrategy` and `MCMCStrategy` with the
learning rates, first sizes and schedule of its `simple_trainer.py` (7,000 steps is its first milestone, 30,000 its
end), in our loop: same loss, photos, held-out photos and metrics. Each run writes FOLDER/SCENE-METHOD.json. Seconds are
of training with its evaluations, not of imports, seeds and the measuring at the end. On a CPU, for tests without a
card, gsplat's two CUDA functions that MCMC needs are replaced by ours.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from services.train.device import make_rasteriser
from services.train.evaluate import mean_psnr, score_views, summarise_scores
from services.train.initialise import mean_neighbour_distances
from services.train.mcmc import McmcParameters, compute_relocation, quat_to_rotmat, regularise
from services.train.plan import TrainingPlan, make_plan
from services.train.rasterisers.protocol import NAMES, Rasteriser, StepResult, Tensors, TrainingView
from services.train.stage import run
from spaceport.pipeline.options import TrainOptions
from spaceport.progress import Silent
from spaceport.splats.cameras import Camera
from spaceport.splats.sh import from_rgb

METHODS = ("standard", "default", "mcmc")
EVALUATIONS = 25
SH_INTERVAL = 1_000
LEARNING_RATES = {"means": 1.6e-4, "scales": 5e-3, "quats": 1e-3, "opacities": 5e-2, "sh0": 2.5e-3, "shN": 2.5e-3 / 20}
FINAL_MEANS_LR = 0.01
FIRST = {"default": (0.1, 1.0), "mcmc": (0.5, 0.1)}
"""First opacity, and first scale in distances to the nearest points, of `simple_trainer.py`."""
MCMC_CAP = 1_000_000
TARGETS_BELOW_BEST = (3, 2, 1, 0.5)
"""dB under the best score of the scene that times are compared at."""

Curve = list[dict[str, float]]


def ours(job: Path, options: TrainOptions, folder: Path) -> dict[str, Any]:
    """Our stage with a preset."""
    run(job, folder, options, Silent())
    report = json.loads((folder / "gaussian/report.json").read_text())
    keep = ("iteration", "psnr", "gaussians", "seconds")
    curve = [{name: entry[name] for name in keep} for entry in report["curve"]]
    counts = report["counts"]
    return {
        "device": report["device"]["name"],
        "iterations": counts["iterations"],
        "gaussians": counts["gaussians"],
        "seconds": report["seconds"],
        "quality": report["quality"],
        "curve": curve,
    }


def first_parameters(plan: TrainingPlan, method: str, device: torch.device) -> torch.nn.ParameterDict:
    """One Gaussian for each sparse point, as `simple_trainer.py` makes them."""
    opacity, scale = FIRST[method]
    xyz, count = plan.transform.transform_points(plan.dataset.xyz), len(plan.dataset.xyz)
    arrays = {
        "means": xyz,
        "scales": np.log(scale * mean_neighbour_distances(xyz))[:, None].repeat(3, axis=1),
        "quats": np.random.default_rng(0).random((count, 4)),
        "opacities": np.full(count, math.log(opacity / (1 - opacity))),
        "sh0": from_rgb(plan.dataset.rgb / 255.0)[:, None],
        "shN": np.zeros((count, 15, 3)),
    }
    return torch.nn.ParameterDict(
        {name: torch.nn.Parameter(torch.tensor(arrays[name], dtype=torch.float32, device=device)) for name in NAMES}
    )


def make_strategy(method: str, device: torch.device) -> Any:
    """gsplat's strategy with its defaults."""
    from gsplat.strategy import DefaultStrategy, MCMCStrategy, ops  # noqa: PLC0415 - only where it is compared

    if device.type == "cpu":
        ops.compute_relocation, ops.quat_scale_to_covar_preci = _relocation, _covariances
    return DefaultStrategy() if method == "default" else MCMCStrategy(cap_max=MCMC_CAP)


def _relocation(
    opacities: torch.Tensor, scales: torch.Tensor, ratios: torch.Tensor, **_: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    new, factors = compute_relocation(opacities.flatten(), ratios.flatten())
    return new, scales * factors[:, None]


def _covariances(quats: torch.Tensor, scales: torch.Tensor, **_: bool) -> tuple[torch.Tensor, None]:
    axes = quat_to_rotmat(quats) * scales[:, None]
    return axes @ axes.transpose(1, 2), None


class Baseline:
    """The loop of `simple_trainer.py` around one of gsplat's strategies."""

    def __init__(self, plan: TrainingPlan, rasteriser: Rasteriser, method: str, steps: int) -> None:
        self._plan, self._rasteriser, self._method, self._steps = plan, rasteriser, method, steps
        self.parameters = first_parameters(plan, method, rasteriser.device)
        fused = rasteriser.device.type == "cuda"
        self._optimizers = {
            name: torch.optim.Adam([self.parameters[name]], lr=LEARNING_RATES[name], eps=1e-15, fused=fused)
            for name in NAMES
        }
        gamma = FINAL_MEANS_LR ** (1 / steps)
        self._decay = torch.optim.lr_scheduler.ExponentialLR(self._optimizers["means"], gamma)
        self._strategy = make_strategy(method, rasteriser.device)
        self._state = self._strategy.initialize_state()
        self._neutral = torch.tensor([[1.0, 1, 1], [0, 0, 0]], device=rasteriser.device)
        self._random = np.random.default_rng(0)
        self._queue: list[int] = []

    def tensors(self) -> Tensors:
        """The parameters, for the rasteriser."""
        return {name: self.parameters[name].detach() for name in NAMES}

    def step(self, step: int) -> None:
        """One photo."""
        training = self._plan.training_set.training
        self._queue = self._queue or self._random.permutation(len(training)).tolist()
        camera = training[self._queue.pop()]
        view = TrainingView(camera, partial(self._plan.training_set.photos.at, camera), self._neutral)
        result = self._rasteriser.step(self.tensors(), view, min(step // SH_INTERVAL, 3))
        grads = result.grads
        if self._method == "mcmc":
            grads = regularise(grads, self.tensors(), McmcParameters())
        for name in NAMES:
            self.parameters[name].grad = grads[name]
        for optimizer in self._optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self._decay.step()
        extra = {"lr": self._decay.get_last_lr()[0]} if self._method == "mcmc" else {}
        info = _info(result, camera)
        self._strategy.step_post_backward(self.parameters, self._optimizers, self._state, step, info, **extra)

    def train(self, minutes: float, clock: Callable[[], float] = time.monotonic) -> tuple[Curve, float]:
        """All steps, or as many as fit into so many minutes: the scores on the way, and the seconds."""
        began, curve, every = clock(), [], max(1, self._steps // EVALUATIONS)
        training_set = self._plan.training_set
        for step in range(self._steps):
            self.step(step)
            late = clock() - began > 60 * minutes
            if (step + 1) % every == 0 or step + 1 == self._steps or late:
                cameras, photos = training_set.validation, training_set.photos
                score = mean_psnr(self._rasteriser, self.tensors(), cameras, photos, 3)
                count = len(self.parameters["means"])
                curve.append({"iteration": step + 1, "psnr": score, "gaussians": count, "seconds": clock() - began})
            if late:
                break
        return curve, clock() - began


def _info(result: StepResult, camera: Camera) -> dict[str, Any]:
    """What gsplat's strategies look at: gradients of projected means by length, radii in pixels."""
    means2d = torch.zeros((1, len(result.radii), 2), device=result.radii.device)
    means2d.grad = torch.stack([result.means2d_grads, torch.zeros_like(result.means2d_grads)], dim=-1)[None]
    radii = result.radii[None, :, None].expand(1, -1, 2)
    return {
        "width": camera.width,
        "height": camera.height,
        "n_cameras": 1,
        "radii": radii,
        "gaussian_ids": None,
        "means2d": means2d,
    }


def theirs(job: Path, options: TrainOptions, method: str, steps: int, minutes: float) -> dict[str, Any]:
    """One of gsplat's strategies."""
    plan = make_plan(job / "colmap/dense", options)
    rasteriser = make_rasteriser(plan.device)
    baseline = Baseline(plan, rasteriser, method, steps)
    curve, seconds = baseline.train(minutes)
    training_set = plan.training_set
    scores = score_views(rasteriser, baseline.tensors(), training_set.evaluation, training_set.photos, 3, Silent())
    return {
        "device": plan.device.name,
        "iterations": curve[-1]["iteration"],
        "gaussians": len(baseline.parameters["means"]),
        "seconds": seconds,
        "quality": summarise_scores(scores),
        "curve": curve,
    }


def seconds_to(curve: Curve, psnr: float) -> float | None:
    """When a score was first reached."""
    return next((entry["seconds"] for entry in curve if entry["psnr"] >= psnr), None)


def table(folder: Path) -> str:
    """All runs of a folder, by scene, as Markdown."""
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("*-*.json"))]
    lines = []
    for scene in sorted({result["scene"] for result in results}):
        runs = sorted((run for run in results if run["scene"] == scene), key=lambda run: METHODS.index(run["method"]))
        best = max(entry["psnr"] for run in runs for entry in run["curve"])
        targets = [best - below for below in TARGETS_BELOW_BEST]
        columns = " | ".join(f"s to {target:.1f} dB" for target in targets)
        lines += [
            "",
            f"{scene}, {runs[0]['device']}; held-out PSNR in dB",
            "",
            f"| method | iterations | Gaussians | seconds | held-out raw / cc | {columns} |",
            "|---" * (5 + len(targets)) + "|",
        ]
        for each in runs:
            reached = [seconds_to(each["curve"], target) for target in targets]
            cells = " | ".join("-" if value is None else f"{value:.0f}" for value in reached)
            quality = each["quality"]
            lines.append(
                f"| {each['method']} | {each['iterations']:,} | {each['gaussians']:,} | {each['seconds']:.0f}"
                f" | {quality['psnr_held_out']:.2f} / {quality['psnr_held_out_cc']:.2f} | {cells} |"
            )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", type=Path, nargs="?")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path, help="only print the table of a folder")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--steps", type=int, default=7_000, help="of gsplat's strategies")
    parser.add_argument("--minutes", type=float, default=3.0, help="of each training, at most")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--size", type=int, help="longest side of the photos, pixels; by default all of it on a GPU")
    parser.add_argument("--iterations", type=int, help="of ours, at most; by default the preset's")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(arguments.table))
        return
    if not arguments.job or not arguments.out:
        parser.error("give JOB_FOLDER and --out, or --table")
    arguments.out.mkdir(parents=True, exist_ok=True)
    options = TrainOptions(
        device=arguments.device,
        image_size=arguments.size,
        max_iterations=arguments.iterations,
        max_minutes=arguments.minutes,
    )
    scene = arguments.job.resolve().name
    for method in arguments.methods:
        if method == "standard":
            result = ours(arguments.job, options, arguments.out / f"{scene}-model")
        else:
            result = theirs(arguments.job, options, method, arguments.steps, arguments.minutes)
        named = {"scene": scene, "method": method} | result
        (arguments.out / f"{scene}-{method}.json").write_text(json.dumps(named, indent=1) + "\n")
        print(f"{scene} {method}: {result['seconds']:.0f} s, {result['quality']}", flush=True)


if __name__ == "__main__":
    main()
