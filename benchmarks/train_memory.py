"""Peak memory of training on a large survey of large photos, against the goal of 8 GiB.

    python benchmarks/train_memory.py [--photos 500] [--sizes 640 5472] [--iterations 300 12]

The survey is synthetic: a level field seen straight down from a grid of places, 5472 x 3648 pixels each.
The field's texture repeats, and the places lie half a repeat apart, so that four JPEGs under many names (hard links)
are what the cameras would see. Each size is one run of `python -m services.train` in a process of its own;
memory and CPU seconds are the kernel's account of it and of what it started.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

GOAL: Final = 8.0
"""GiB."""
WIDTH, HEIGHT, FOCAL = 5472, 3648, 4000.0
REPEATS: Final = 4
"""Of the texture, along each side of a photo."""
METRES_PER_PIXEL: Final = 0.02
COLUMNS: Final = 25
POINTS: Final = 8000
DOWN: Final = (0.0, 1.0, 0.0, 0.0)
"""Quaternion (w, x, y, z) of a camera that looks down, its picture's upper edge to the north."""


def texture(random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """[H/REPEATS,W/REPEATS,3]: noise of all scales (amplitude as 1 / frequency), which tiles without seams."""
    height, width = HEIGHT // REPEATS, WIDTH // REPEATS
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    frequency[0, 0] = np.inf
    spectrum = np.fft.fft2(random.normal(size=(3, height, width))) / frequency
    field = np.fft.ifft2(spectrum).real.transpose(1, 2, 0)
    tile: npt.NDArray[np.uint8] = np.clip(128 + 50 * field / field.std(), 0, 255).astype(np.uint8)
    return tile


def write_survey(dense: Path, photos: int) -> None:
    """A COLMAP workspace, `images/` and `sparse/`, of so many photos."""
    random = np.random.default_rng(0)
    tile = texture(random)
    (dense / "images").mkdir(parents=True)
    (dense / "sparse").mkdir()
    step = np.array([tile.shape[1], tile.shape[0]]) / 2 * METRES_PER_PIXEL
    views = []
    for index in range(photos):
        row, column = divmod(index, COLUMNS)
        name = f"{index:04}.jpg"
        _photo(dense / "images", name, tile, row % 2, column % 2)
        east, north = column * step[0], -row * step[1]
        views.append(struct.pack("<i7di", index + 1, *DOWN, -east, north, FOCAL * METRES_PER_PIXEL, 1))
        views[-1] += name.encode() + struct.pack("<xQ", 0)
    size = np.array([WIDTH, HEIGHT]) * METRES_PER_PIXEL
    far = np.array([min(photos, COLUMNS) - 1, (photos - 1) // COLUMNS]) * step + size / 2
    ground = random.uniform(-size / 2, far, (POINTS, 2))
    pixels = ((ground + size / 2) / METRES_PER_PIXEL).astype(int)
    colours = tile[pixels[:, 1] % tile.shape[0], pixels[:, 0] % tile.shape[1]]
    points = [
        struct.pack("<Q3d3BdQ", i, x, -y, 0.0, *colour, 0.5, 0)
        for i, ((x, y), colour) in enumerate(zip(ground.tolist(), colours.tolist(), strict=True))
    ]
    camera = struct.pack("<ii2Q4d", 1, 1, WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2)
    for file, records in (("cameras", [camera]), ("images", views), ("points3D", points)):
        (dense / "sparse" / f"{file}.bin").write_bytes(struct.pack("<Q", len(records)) + b"".join(records))


def _photo(folder: Path, name: str, tile: npt.NDArray[np.uint8], down: int, right: int) -> None:
    """The photo of a place so many half repeats down and right: made once, then linked."""
    original = folder.parent / f"seen-{down}-{right}.jpg"
    if not original.exists():
        rolled = np.roll(tile, (-down * tile.shape[0] // 2, -right * tile.shape[1] // 2), axis=(0, 1))
        Image.fromarray(np.tile(rolled, (REPEATS, REPEATS, 1))).save(original, quality=90)
    (folder / name).hardlink_to(original)


def train(source: Path, output: Path, size: int, iterations: int) -> Any:
    """Resource usage of one run."""
    options = output.with_suffix(".json")
    train_options = {"image_size": size, "max_iterations": iterations, "test_every": 250, "plateau_stop": False}
    options.write_text(json.dumps({"train": train_options}))
    command = [
        sys.executable,
        "-m",
        "services.train",
        "--input",
        str(source),
        "--output",
        str(output),
        "--options",
        str(options),
    ]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"training ended with {child.returncode}")
    return usage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--sizes", type=int, nargs="+", default=[640, WIDTH], help="longest side, pixels")
    parser.add_argument("--iterations", type=int, nargs="+", default=[300, 12], help="of each size")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        write_survey(source / "colmap" / "dense", arguments.photos)
        print(f"{arguments.photos} photos of {WIDTH} x {HEIGHT}; goal {GOAL:.1f} GiB")
        print("size  iterations  peak GiB  CPU s")
        for size, iterations in zip(arguments.sizes, arguments.iterations, strict=True):
            usage = train(source, Path(folder) / f"model-{size}", size, iterations)
            seconds = usage.ru_utime + usage.ru_stime
            print(f"{size:>4}  {iterations:>10}  {usage.ru_maxrss / 2**20:8.2f}  {seconds:5.0f}", flush=True)


if __name__ == "__main__":
    main()
