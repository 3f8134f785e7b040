"""PSNR of trained scenes against the time it took, on the demo survey and on the real photo sets where they are.

    python benchmarks/train_scene.py [JOB_FOLDER ...] [--iterations 250 500 1000 2000] [--presets draft standard high]
        [--size 400] [--out FOLDER]

Each row is one whole run of the training stage, start to report, so its seconds are those that a user waits. Every 8th
photo is held out; PSNR is of the photos at `--size` pixels on the long side, whatever a preset trained on, raw and
after an affine fit of each photo's colours. JOB_FOLDER holds `colmap/dense/`; without one, the demo survey and the zips
of ../shared/data go through structure from motion first. The table and a plot are kept in FOLDER.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from services.train.dataset import Photos, limit_size, open_dataset
from services.train.evaluate import score_views, summarise_scores
from services.train.hyperparameters import Hyperparameters
from services.train.rasterisers.cpu import CpuRasteriser
from services.train.stage import run
from spaceport.demo import make_survey
from spaceport.pipeline.options import PRESETS, Preset, TrainOptions
from spaceport.progress import Silent
from spaceport.splats.formats.ply import read_ply

DATA = Path(__file__).parents[1] / "../shared/data"
HEAD = "| scene | setting | iterations | Gaussians | wall s | cpu s | held-out raw / cc | trained raw / cc | ended by |"
LINES = (("psnr_held_out_cc", "held-out", "-"), ("psnr_train_cc", "trained", "--"))
COLOURS = ("#1b6ca8", "#d9700b", "#4a7a3a", "#8e44ad")


def scenes(folder: Path) -> Iterator[Path]:
    """The demo survey and the real sets, each through structure from motion unless that has run before."""
    if not (folder / "demo/source/upload.zip").exists():
        (folder / "demo/source").mkdir(parents=True, exist_ok=True)
        make_survey(folder / "survey").zip_path.rename(folder / "demo/source/upload.zip")
    for zipped in sorted(DATA.glob("*.zip")):
        (folder / zipped.stem / "source").mkdir(parents=True, exist_ok=True)
        link = folder / zipped.stem / "source/upload.zip"
        if not link.exists():
            link.symlink_to(zipped.resolve())
    for source in sorted(folder.glob("*/source")):
        job = source.parent
        if not (job / "colmap/dense").exists():
            command = [sys.executable, "-m", "services.sfm", "--input", str(source), "--output", str(job)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        yield job


def settings(iterations: list[int], presets: list[str], size: int) -> dict[str, dict[str, Any]]:
    """The options of each row: so many iterations on photos of the size that is evaluated, and the presets."""
    fixed = {f"{count:,} at {size} px": {"max_iterations": count, "image_size": size} for count in iterations}
    for one in fixed.values():
        one |= {"plateau_stop": False, "max_looks": 10_000}
    return fixed | {name: PRESETS[Preset(name)]["train"] for name in presets}


def measure(
    source: Path, options: TrainOptions, size: int | None = None, hyperparameters: Hyperparameters | None = None
) -> dict[str, Any]:
    """The report of one run with its wall and CPU seconds; quality at `size`, or as the stage measured it."""
    with tempfile.TemporaryDirectory() as folder:
        began, worked = time.monotonic(), time.process_time()
        run(source, Path(folder), options, Silent(), hyperparameters=hyperparameters)
        wall, cpu = time.monotonic() - began, time.process_time() - worked
        report: dict[str, Any] = json.loads((Path(folder) / "gaussian/report.json").read_text())
        if size:
            report["quality"] = evaluate(source / "colmap/dense", Path(folder) / "gaussian/model.ply", size)
    return report | {"wall": wall, "cpu": cpu}


def evaluate(dense: Path, ply: Path, size: int) -> dict[str, float]:
    """PSNR and SSIM of a model over all photos at one size."""
    dataset = open_dataset(dense, 8)
    parameters = {name: torch.from_numpy(array) for name, array in read_ply(ply).arrays().items()}
    cameras = [limit_size(camera, size) for camera in dataset.cameras]
    return summarise_scores(score_views(CpuRasteriser(), parameters, cameras, Photos(dataset.folder), 3, Silent()))


def row(scene: str, setting: str, report: dict[str, Any]) -> str:
    """One line of the table."""
    counts, quality = report["counts"], report["quality"]
    pairs = [
        f"{quality.get(f'psnr_{part}', float('nan')):.2f} / {quality.get(f'psnr_{part}_cc', float('nan')):.2f}"
        for part in ("held_out", "train")
    ]
    cells = [scene, setting, f"{counts['iterations']:,}", f"{counts['gaussians']:,}", f"{report['wall']:.0f}"]
    return "| " + " | ".join([*cells, f"{report['cpu']:.0f}", *pairs, counts["stopped_by"]]) + " |"


def plot(curves: dict[str, list[dict[str, Any]]], size: int, path: Path) -> None:
    """Colour-corrected PSNR against wall seconds, a colour for each scene."""
    figure = Figure(figsize=(8, 4.8), dpi=110, layout="constrained")
    axes = figure.subplots()
    for colour, (scene, reports) in zip(COLOURS, curves.items(), strict=False):
        for name, label, style in LINES:
            values = [report["quality"].get(name, float("nan")) for report in reports]
            walls = [report["wall"] for report in reports]
            axes.plot(walls, values, style, marker="o", color=colour, label=f"{scene}, {label}")
    axes.set_xlabel("seconds of the whole training stage")
    axes.set_ylabel(f"colour-corrected PSNR at {size} px, dB")
    axes.grid(color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", type=Path, nargs="*")
    parser.add_argument("--size", type=int, default=400, help="longest side of the photos, pixels")
    parser.add_argument("--iterations", type=int, nargs="*", default=[250, 500, 1000, 2000])
    parser.add_argument("--presets", nargs="*", choices=list(Preset), default=["draft", "standard"])
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--out", type=Path, help="keep train_scene.md and train_scene.png here")
    arguments = parser.parse_args()
    lines = [HEAD, "|---" * (HEAD.count("|") - 1) + "|"]
    print("\n".join(lines), flush=True)
    curves: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for job in arguments.jobs or scenes(Path(folder)):
            for setting, options in settings(arguments.iterations, arguments.presets, arguments.size).items():
                report = measure(job, TrainOptions(**options, device=arguments.device), arguments.size)
                if setting not in arguments.presets:
                    curves.setdefault(job.name, []).append(report)
                lines.append(row(job.name, setting, report))
                print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "train_scene.md").write_text("\n".join(lines) + "\n")
        plot(curves, arguments.size, arguments.out / "train_scene.png")


if __name__ == "__main__":
    main()
