"""`.splat` of the first web viewer (antimatter15): 32 bytes for each Gaussian, no header, no SH bands.

Position and size as float32, then colour, opacity and rotation as bytes. The most visible come first, because that
viewer shows a file while it loads.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spaceport.files import replacing
from spaceport.splats.formats.limits import BrokenFile, as_gaussians, budget_of, check_count
from spaceport.splats.model import Gaussians
from spaceport.splats.sh import C0
from spaceport.splats.sog.attributes import opacity, rotations
from spaceport.splats.sog.codec.sanitise import SMALLEST_LOG_SCALE

RECORD = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("quat", "u1", 4)])
ZERO_BYTE = 128


def read(path: Path) -> Gaussians:
    """Read a `.splat` file.

    Raises:
        BrokenFile: its size is no multiple of 32, or it is empty.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size % RECORD.itemsize:
        raise BrokenFile(f"The file has {size} bytes, which is no whole number of 32-byte Gaussians.")
    check_count(size // RECORD.itemsize, 0, budget_of(path))
    table = np.fromfile(path, RECORD)
    smallest = np.exp(np.float32(SMALLEST_LOG_SCALE))
    with np.errstate(invalid="ignore"):
        scales = np.log(np.maximum(table["scale"], smallest))
    return as_gaussians(
        means=table["mean"],
        quats=rotations.normalise(table["quat"].astype(np.float32) - ZERO_BYTE),
        scales=scales,
        opacities=opacity.decode(table["rgba"][:, 3]),
        sh0=((table["rgba"][:, None, :3] / np.float32(255)) - 0.5) / C0,
        shN=np.zeros((len(table), 0, 3), np.float32),
    )


def write(path: Path, gaussians: Gaussians) -> None:
    """Write a `.splat` file at once or not at all. SH bands are left out, colours clipped to 0..1."""
    table = np.empty(len(gaussians), RECORD)
    table["mean"] = gaussians.means
    table["scale"] = np.exp(gaussians.scales)
    colours = np.clip(0.5 + C0 * gaussians.sh0[:, 0], 0, 1)
    table["rgba"][:, :3] = np.floor(colours * 255 + 0.5)
    table["rgba"][:, 3] = opacity.encode(gaussians.opacities)
    units = rotations.normalise(gaussians.quats)
    table["quat"] = np.clip(np.floor(units * ZERO_BYTE + ZERO_BYTE + 0.5), 0, 255)
    volume = gaussians.scales.sum(axis=1, dtype=np.float64)
    visible = np.exp(volume) * table["rgba"][:, 3]
    with replacing(path) as part:
        table[np.argsort(-visible, kind="stable")].tofile(part)
