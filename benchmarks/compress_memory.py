"""Memory and time of compression by the number of Gaussians: what one costs, and whether both grow in proportion.

    python benchmarks/compress_memory.py [--counts 1 2 5 10] [--degree 3] [--folder FOLDER] [--peer] [--options JSON]

The models are fields of a million Gaussians each, with SH 3 or as `--degree` says, side by side (compress_models.py),
written and compressed one after the other. Each run is the whole stage in a process of its own. `peak` is its resident
memory at most (VmHWM), pages of mapped files included; `foreseen` is what the stage reckons with before it begins. With
`--peer`, splat-transform runs on the same models until `--cutoff` CPU seconds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from compress import Measured, measure, peer_command
from compress_models import make_field

from spaceport.splats.edit import transform
from spaceport.splats.formats.ply import write_ply
from spaceport.splats.sog.memory import estimate_memory

MILLION = 1_000_000
TILE_WIDTH = 20.0  # of a field of a million
TILES_IN_A_ROW = 4


def write_fields(path: Path, fields: int, degree: int = 3, count: int = MILLION) -> None:
    """Write a PLY of so many fields of `count` Gaussians with SH of a degree, one in memory at a time."""
    part = path.with_suffix(".part.ply")
    with path.open("wb") as file:
        for number in range(fields):
            row, column = divmod(number, TILES_IN_A_ROW)
            field = transform(
                make_field(count, degree, number), np.eye(3), 1.0, (TILE_WIDTH * column, TILE_WIDTH * row, 0.0)
            )
            write_ply(part, field)
            with part.open("rb") as source:
                header = b"".join(iter(source.readline, b"end_header\n")) + b"end_header\n"
                if number == 0:
                    file.write(header.replace(f"vertex {count}".encode(), f"vertex {fields * count}".encode()))
                shutil.copyfileobj(source, file, 1 << 24)
    part.unlink()


def row(label: str, gaussians: int, run: Measured) -> str:
    size = run.note or f"{run.size:,} B"
    peak = f"{run.peak_mb:7,.0f} {run.peak_mb * 2**20 / gaussians:6.0f}"
    return f"{label:24} {size:>24} {run.cpu:8.1f} {run.wall:8.1f} {run.cpu * MILLION / gaussians:8.1f} {peak}"


def run(millions: int, arguments: argparse.Namespace, folder: Path) -> None:
    """Make one model, compress it, and print a row for each encoder."""
    ply, options = folder / "gaussian/model.ply", folder / "options.json"
    ply.parent.mkdir(parents=True)
    count = millions * MILLION
    write_fields(ply, millions, arguments.degree)
    options.write_text(json.dumps({"compress": arguments.options}))
    ways = ["--input", str(folder), "--output", str(folder), "--options", str(options)]
    mine = measure([sys.executable, "-m", "services.compress", *ways], folder / "compressed/model.sog", 3600)
    foreseen = estimate_memory(count, arguments.degree) / 2**20
    print(f"{row(f'{millions} million', count, mine)} {foreseen:9,.0f}", flush=True)
    if arguments.peer and peer_command():
        target = folder / "peer.sog"
        print(
            row(
                "  splat-transform",
                count,
                measure([*peer_command(), "-g", "cpu", str(ply), str(target)], target, arguments.cutoff),
            ),
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 5, 10], help="millions of Gaussians")
    parser.add_argument("--degree", type=int, default=3, choices=range(4), help="of the spherical harmonics")
    parser.add_argument("--folder", type=Path, help="on a disk with 15 GB for ten million; default: the system's")
    parser.add_argument("--options", type=json.loads, default={}, help="CompressOptions, as JSON")
    parser.add_argument("--peer", action="store_true", help="also run splat-transform")
    parser.add_argument("--cutoff", type=int, default=600, help="CPU seconds for splat-transform")
    arguments = parser.parse_args()
    titles = f"{'size':>24} {'CPU s':>8} {'wall s':>8} {'CPU/M':>8} {'peak MiB':>7} {'B each':>6} {'foreseen':>9}"
    print(f"{'Gaussians':24} {titles}")
    for millions in arguments.counts:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            run(millions, arguments, Path(folder))


if __name__ == "__main__":
    main()
