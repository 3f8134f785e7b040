"""PSNR of a trained scene against the time it took.

    python benchmarks/train_scene.py JOB_FOLDER [--size 400] [--iterations 500 1000 2000] [--svg curve.svg]

JOB_FOLDER holds `colmap/dense/`, as the sfm stage leaves it. Each row is one whole run of the training stage, so the
seconds are those that a user waits; the plot shows the watched photos' PSNR along each run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from services.train.stage import run
from spaceport.pipeline.options import TrainOptions
from spaceport.pipeline.progress import Silent

WIDTH, HEIGHT, EDGE = 640, 360, 48
COLOURS = ("#c0392b", "#2980b9", "#27ae60", "#8e44ad", "#d35400", "#16a085")


def measure(source: Path, options: TrainOptions) -> dict[str, Any]:
    """The report of one run, with the seconds of all of it."""
    with tempfile.TemporaryDirectory() as folder:
        began, worked = time.monotonic(), time.process_time()
        run(source, Path(folder), options, Silent())
        wall, cpu = time.monotonic() - began, time.process_time() - worked
        report: dict[str, Any] = json.loads((Path(folder) / "gaussian" / "report.json").read_text())
    return report | {"wall": wall, "cpu": cpu}


def row(report: dict[str, Any]) -> str:
    """One line of the table."""
    counts, quality = report["counts"], report["quality"]
    pairs = [
        f"{quality.get(f'psnr_{part}', float('nan')):6.2f} {quality.get(f'psnr_{part}_cc', float('nan')):6.2f}"
        for part in ("held_out", "train")
    ]
    return (
        f"{counts['iterations']:>10} {counts['gaussians']:>9} {report['wall']:7.1f} {report['cpu']:7.1f}"
        f"   {pairs[0]}    {pairs[1]}   {counts['stopped_by']}"
    )


def plot(reports: list[dict[str, Any]]) -> str:
    """PSNR over seconds of every run, as SVG."""
    points = [(entry["seconds"], entry["psnr"]) for report in reports for entry in report["curve"]]
    latest, low, high = max(x for x, _ in points), min(y for _, y in points), max(y for _, y in points)

    def place(entry: dict[str, float]) -> str:
        x = EDGE + (WIDTH - 2 * EDGE) * entry["seconds"] / latest
        y = HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (entry["psnr"] - low) / max(high - low, 1e-9)
        return f"{x:.1f},{y:.1f}"

    lines = [
        f'<polyline fill="none" stroke="{COLOURS[index % len(COLOURS)]}" stroke-width="2"'
        f' points="{" ".join(place(entry) for entry in report["curve"])}"/>'
        for index, report in enumerate(reports)
    ]
    labels = [
        f'<text x="{EDGE}" y="{HEIGHT - EDGE + 20}">0 s</text>',
        f'<text x="{WIDTH - EDGE}" y="{HEIGHT - EDGE + 20}" text-anchor="end">{latest:.0f} s</text>',
        f'<text x="4" y="{EDGE}">{high:.1f} dB</text>',
        f'<text x="4" y="{HEIGHT - EDGE}">{low:.1f} dB</text>',
    ]
    body = "\n".join(lines + labels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif"'
        f' font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--size", type=int, default=400, help="longest side of the photos, pixels")
    parser.add_argument("--iterations", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--svg", type=Path, help="write the curves here")
    given = parser.parse_args()
    print("iterations gaussians  wall s   cpu s   held out, cc     train, cc       ended by")
    reports = []
    for iterations in given.iterations:
        options = TrainOptions(
            max_iterations=iterations, image_size=given.size, plateau_stop=False, device=given.device
        )
        reports.append(measure(given.source, options))
        print(row(reports[-1]), flush=True)
    if given.svg:
        given.svg.write_text(plot(reports))


if __name__ == "__main__":
    main()
