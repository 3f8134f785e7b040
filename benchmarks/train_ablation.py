"""What each part of training gives: the whole stage once with everything, and once with each part taken out.

    python benchmarks/train_ablation.py JOB_FOLDER [--size 400] [--iterations N] [--seeds 0 1] [--parts exposure …]
        [--markdown FILE]

JOB_FOLDER holds `colmap/dense/`, as the sfm stage leaves it. Options are those of the preset `standard`. Differences
are to the first row; with several seeds all figures are means, and the last column tells how far apart the seeds are.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any
from unittest.mock import patch

import torch
from train_scene import measure

from spaceport.pipeline.options import TrainOptions

HEAD = (
    "| without | cpu s | wall s | iterations | Gaussians | held-out raw / cc | trained raw / cc"
    " | Δ held-out cc | Δ trained cc | seeds ± |"
)


def _still(_: Any, moments: Any, grad: Any, done: float) -> None:
    """Exposures that never move."""


def _as_they_are(parameters: Any, rate: float, generator: torch.Generator) -> None:
    """No noise."""


OPTIONS: dict[str, dict[str, Any]] = {
    "coarse to fine": {"progressive_resolution": False},
    "plateau stop": {"plateau_stop": False},
    "pruning": {"prune": False},
    "the limit of 100 looks a photo": {"max_looks": 10_000},
}
CODE: dict[str, dict[str, Any]] = {
    "exposure of each photo": {"services.train.exposure.Exposures.step": _still},
    "seeds in holes": {"services.train.plan.SEEDED": 0.0},
    "regulariser of opacities": {"services.train.mcmc.OPACITY_PENALTY": 0.0},
    "regulariser of scales": {"services.train.mcmc.SCALE_PENALTY": 0.0},
    "noise of MCMC": {"services.train.trainer.add_noise": _as_they_are},
    "offspring of wide ones scattered": {"services.train.mcmc.WIDE": 1e9},
    "SH bands by number of photos": {"services.train.capacity.PHOTOS_FOR_BAND": (0, 0, 0, 0)},
    "SH bands rising": {"services.train.schedule.SH_BORDERS": (0.0, 0.0, 0.0)},
}
PARTS = ("nothing", *OPTIONS, *CODE)


@contextmanager
def without(part: str) -> Iterator[dict[str, Any]]:
    """The options of a training without a part; what is no option is taken out of the code meanwhile."""
    patches = [patch(name, value) for name, value in CODE.get(part, {}).items()]
    for one in patches:
        one.start()
    try:
        yield OPTIONS.get(part, {})
    finally:
        for one in patches:
            one.stop()


def figures(source: Path, part: str, base: dict[str, Any], seed: int) -> dict[str, float]:
    """One training, as numbers."""
    with without(part) as changed:
        report = measure(source, TrainOptions(**(base | changed), seed=seed))
    shown = {name: report["quality"][name] for name in ("psnr_held_out", "psnr_train")}
    shown |= {f"{name}_cc": report["quality"][f"{name}_cc"] for name in list(shown)}
    counts = {name: report["counts"][name] for name in ("iterations", "gaussians")}
    return shown | counts | {"cpu": report["cpu"], "wall": report["wall"]}


def row(part: str, runs: list[dict[str, float]], whole: dict[str, float]) -> tuple[str, dict[str, float]]:
    """One line of the table, and its means."""
    mean = {name: fmean(run[name] for run in runs) for name in runs[0]}
    apart = max(run["psnr_held_out_cc"] for run in runs) - min(run["psnr_held_out_cc"] for run in runs)
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
        f"{apart / 2:.2f}" if len(runs) > 1 else "-",
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
    given = parser.parse_args()
    base: dict[str, Any] = {"image_size": given.size, "device": given.device}
    if given.iterations:
        base["max_iterations"] = given.iterations
    whole: dict[str, float] = {}
    lines = [HEAD, "|---" * (HEAD.count("|") - 1) + "|"]
    print("\n".join(lines), flush=True)
    for part in given.parts:
        line, mean = row(part, [figures(given.source, part, base, seed) for seed in given.seeds], whole)
        whole = whole or mean
        lines.append(line)
        print(line, flush=True)
    if given.markdown:
        given.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
