"""What each part of training contributes: the whole stage once with everything, and once without each part.

    python benchmarks/train_ablation.py JOB_FOLDER [--size 400] [--iterations N] [--seeds 0 1] [--parts exposure …]
        [--markdown FILE]

JOB_FOLDER holds `colmap/dense/`, as the sfm stage leaves it. Options are those of the preset `standard`. Differences
are to the first row; with several seeds all figures are means, and the last column is half the range of the seeds.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from statistics import fmean
from typing import Any

from train_scene import measure

from services.train.hyperparameters import Hyperparameters
from services.train.mcmc import McmcParameters
from spaceport.pipeline.options import TrainOptions

HEAD = (
    "| without | cpu s | wall s | iterations | Gaussians | held-out raw / cc | trained raw / cc"
    " | Δ held-out cc | Δ trained cc | seeds ± |"
)


OPTIONS: dict[str, dict[str, Any]] = {
    "coarse to fine": {"progressive_resolution": False},
    "plateau stop": {"plateau_stop": False},
    "pruning": {"prune": False},
    "at most 100 iterations a photo": {"max_looks": 10_000},
}
HYPERPARAMETERS: dict[str, Hyperparameters] = {
    "exposure of each photo": Hyperparameters(exposure_lr=0.0),
    "seeds by plane sweep": Hyperparameters(seed_fraction=0.0),
    "opacity_reg": Hyperparameters(mcmc=McmcParameters(opacity_reg=0.0)),
    "scale_reg": Hyperparameters(mcmc=McmcParameters(scale_reg=0.0)),
    "noise on the means": Hyperparameters(mcmc=McmcParameters(noise_lr=0.0)),
    "scattered copies of large Gaussians": Hyperparameters(mcmc=McmcParameters(scatter_radius=math.inf)),
    "SH degree by number of photos": Hyperparameters(photos_per_band=(0, 0, 0, 0)),
    "rising SH degree": Hyperparameters(sh_starts=(0.0, 0.0, 0.0)),
}
PARTS = ("nothing", *OPTIONS, *HYPERPARAMETERS)


def measure_without(source: Path, part: str, base: dict[str, Any], seed: int) -> dict[str, float]:
    """One training without a part, as numbers."""
    options = TrainOptions(**(base | OPTIONS.get(part, {})), seed=seed)
    report = measure(source, options, hyperparameters=HYPERPARAMETERS.get(part))
    quality = {name: report["quality"][name] for name in ("psnr_held_out", "psnr_train")}
    quality |= {f"{name}_cc": report["quality"][f"{name}_cc"] for name in list(quality)}
    counts = {name: report["counts"][name] for name in ("iterations", "gaussians")}
    return quality | counts | {"cpu": report["cpu"], "wall": report["wall"]}


def row(part: str, runs: list[dict[str, float]], whole: dict[str, float]) -> tuple[str, dict[str, float]]:
    """One line of the table, and its means."""
    mean = {name: fmean(run[name] for run in runs) for name in runs[0]}
    seed_range = max(run["psnr_held_out_cc"] for run in runs) - min(run["psnr_held_out_cc"] for run in runs)
    whole = whole or mean
    cells = [
        part,
        f"{mean['cpu']:.0f}",
        f"{mean['wall']:.0f}",
        f"{mean['iterations']:.0f}",
        f"{mean['gaussians']:,.0f}",
        f"{mean['psnr_held_out']:.2f} / {mean['psnr_held_out_cc']:.2f}",
        f"{mean['psnr_train']:.2f} / {mean['psnr_train_cc']:.2f}",
        f"{mean['psnr_held_out_cc'] - whole['psnr_held_out_cc']:+.2f}",
        f"{mean['psnr_train_cc'] - whole['psnr_train_cc']:+.2f}",
        f"{seed_range / 2:.2f}" if len(runs) > 1 else "-",
    ]
    return "| " + " | ".join(cells) + " |", mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--size", type=int, default=400, help="longest side of the photos, pixels")
    parser.add_argument("--iterations", type=int, help="at most; without it, the preset's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--markdown", type=Path, help="write the table here")
    arguments = parser.parse_args()
    base: dict[str, Any] = {"image_size": arguments.size, "device": arguments.device}
    if arguments.iterations:
        base["max_iterations"] = arguments.iterations
    whole: dict[str, float] = {}
    lines = [HEAD, "|---" * (HEAD.count("|") - 1) + "|"]
    print("\n".join(lines), flush=True)
    for part in arguments.parts:
        line, mean = row(part, [measure_without(arguments.source, part, base, seed) for seed in arguments.seeds], whole)
        whole = whole or mean
        lines.append(line)
        print(line, flush=True)
    if arguments.markdown:
        arguments.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
