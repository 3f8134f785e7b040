"""Curves of bytes against PSNR, ours beside splat-transform's: measures points, keeps them, and draws the plot.

    python benchmarks/rate_distortion.py docs/measured/rate_distortion.json docs/pictures/rate_distortion.svg \\
        [TITLE=MODEL[,cameras.json] ...]

A model is named as for benchmarks/compress.py. Points of a title that is in the file already are not measured again,
but for ours with `--again`; without models the plot is only drawn. Ours has a point for each of `TARGETS`. The peer has
no setting of quality but the number of SH bands: it has a point for each number up to the bands that are not all zero,
of those that it makes within `--cutoff` CPU seconds; the plot says where it was cut off. PSNR is of renders of the
original against renders of the decoded file, from the cameras of the proof.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from compress import measure, peer_command
from compress_models import write_as_ply
from matplotlib import rcParams
from matplotlib.figure import Figure

from services.compress.core import compress
from services.compress.proving.flown import choose_views
from services.compress.proving.proof import Prover
from services.compress.sog_output import used_bands
from spaceport.files import write_atomic
from spaceport.pipeline.options import CompressOptions
from spaceport.progress import Silent
from spaceport.splats.cameras import Camera, read_cameras
from spaceport.splats.formats.ply import read_ply
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.codec.reader import read_sog

TARGETS = (38.0, 42.0, 46.0, 50.0)  # dB
COLUMNS = 3
OURS, PEER, GRID = "#1b6ca8", "#d9700b", "#dddddd"

Point = dict[str, Any]
"""`bytes` and `psnr`; of the peer also `bands`."""


def measure_model(name: str, cameras: list[Camera], cutoff: int, earlier: dict[str, Any] | None) -> dict[str, Any]:
    """The points of both for one model; those of the peer may be known from `earlier`."""
    with tempfile.TemporaryDirectory() as scratch:
        ply = Path(scratch) / "model.ply"
        write_as_ply(name, ply, peer_command())
        model = read_ply(ply)
        bands = used_bands(model)
        prover = Prover(model, choose_views(model, cameras), Silent())
        of_peer = earlier or _peer(ply, bands, prover, cutoff)
        return {
            "gaussians": len(model),
            "sh_bands": bands,
            "ply_bytes": ply.stat().st_size,
            "ours": [_ours(model, cameras, prover, target) for target in TARGETS],
            **{name: of_peer[name] for name in ("peer", "peer_cut_off") if name in of_peer},
        }


def _ours(model: Gaussians, cameras: list[Camera], prover: Prover, target: float) -> Point:
    options = CompressOptions(target_psnr=target, min_psnr=1.0)
    compressed = compress(model, cameras, options, Silent())
    return {"bytes": len(compressed.bundle), "psnr": prover.compare(compressed.decoded).mean, "target": target}


def _peer(ply: Path, bands: int, prover: Prover, cutoff: int) -> dict[str, Any]:
    """`peer`: from no SH bands to all, as far as it gets; `peer_cut_off`: at how many bands it was, after how long."""
    points: list[Point] = []
    for kept in range(bands + 1):
        result = ply.with_name(f"{kept}.sog")
        command = [*peer_command(), "-g", "cpu", str(ply), "-H", str(kept), str(result)]
        run = measure(command, result, cutoff)
        if run.size is None:
            return {"peer": points, "peer_cut_off": {"bands": kept, "cpu_s": cutoff}}
        points.append({"bytes": run.size, "psnr": prover.compare(read_sog(result, 1 << 34)).mean, "bands": kept})
    return {"peer": points}


def draw(models: dict[str, Any]) -> Figure:
    """One plot for each model."""
    rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "spaceport", "font.size": 8})
    rows = -(-len(models) // COLUMNS)
    figure = Figure(figsize=(11.0, 2.9 * rows), layout="constrained")
    plots = figure.subplots(rows, min(len(models), COLUMNS), squeeze=False).reshape(-1)
    for plot in plots[len(models) :]:
        plot.set_axis_off()
    for plot, (title, points) in zip(plots, models.items(), strict=False):
        _draw_curve(plot, points["ours"], OURS, "o", "ours")
        _draw_curve(plot, points["peer"], PEER, "s", "splat-transform 3.7.0")
        for point in points["peer"]:
            at = point["bytes"] / 1e6, point["psnr"]
            plot.annotate(f"SH {point['bands']}", at, xytext=(4, -9), textcoords="offset points", color=PEER)
        plot.set_title(f"{title}\n{points['gaussians']:,} Gaussians", loc="left")
        if cut_off := points.get("peer_cut_off"):
            words = f"splat-transform with SH {cut_off['bands']}:\ncut off at {cut_off['cpu_s']} CPU s"
            plot.text(0.02, 0.04, words, transform=plot.transAxes, color=PEER)
        plot.set_xlabel("MB")
        plot.set_xlim(left=0)
        plot.margins(x=0.18, y=0.12)
        plot.grid(color=GRID)
        plot.spines[["top", "right"]].set_visible(False)
    for plot in plots[::COLUMNS]:
        plot.set_ylabel("PSNR against the model, dB")
    handles, labels = plots[0].get_legend_handles_labels()
    plots[-1].legend(handles, labels, loc="center left", frameon=False)
    return figure


def _draw_curve(plot: Any, points: list[Point], colour: str, marker: str, label: str) -> None:
    ordered = sorted(points, key=lambda point: float(point["bytes"]))
    megabytes = [point["bytes"] / 1e6 for point in ordered]
    decibels = [point["psnr"] for point in ordered]
    plot.plot(megabytes, decibels, f"{marker}-", color=colour, label=label, markersize=4, linewidth=1.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("points", type=Path, help="JSON file of all points, added to")
    parser.add_argument("picture", type=Path, help="the plot, .svg or .png")
    parser.add_argument("models", nargs="*", help="TITLE=MODEL[,cameras.json]")
    parser.add_argument("--cutoff", type=int, default=600, help="CPU seconds for each file of the peer")
    parser.add_argument("--again", action="store_true", help="measure ours anew, and keep the peer's points")
    arguments = parser.parse_intermixed_args()
    models: dict[str, Any] = json.loads(arguments.points.read_text()) if arguments.points.exists() else {}
    for each in arguments.models:
        title, _, path = each.partition("=")
        name, _, cameras = path.partition(",")
        if title not in models or arguments.again:
            at = read_cameras(Path(cameras)) if cameras else []
            models[title] = measure_model(name, at, arguments.cutoff, models.get(title))
            write_atomic(arguments.points, (json.dumps(models, indent=1) + "\n").encode())
    draw(models).savefig(arguments.picture, metadata={"Date": None} if arguments.picture.suffix == ".svg" else None)


if __name__ == "__main__":
    main()
