"""The models that benchmarks/compress.py compresses: real ones as PLY, and made ones of any size."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np

from spaceport.splats.formats.ply import write_ply
from spaceport.splats.model import Gaussians
from spaceport.splats.sh import SHN_SIZES
from spaceport.splats.sog.codec.reader import read_sog

BAND = np.repeat((1, 2, 3), (3, 5, 7))  # of each SH coefficient past the constant one
FIELDS = 16  # independent ways in which the appearance varies over the place


def make_field(count: int, degree: int, seed: int = 0) -> Gaussians:
    """A rolling field of flat Gaussians, the same each time for a seed; structured, not noise.

    Heights and colours are waves over the ground. Rotations turn the flat side to the surface's normal, jittered by
    15 degrees. Sizes shrink with the density. SH is a sum of 16 smooth fields over the ground, each times a fixed
    random direction whose amplitude halves from band to band. To all comes independent noise of a fifth of the
    variation, because trained models are not smooth either.
    """
    random = np.random.default_rng(seed)
    ground = random.uniform(-10, 10, (count, 2))
    x, y = ground.T
    height = np.sin(x) * np.cos(0.7 * y) + random.normal(0, 0.02, count)
    slope = np.stack([-np.cos(x) * np.cos(0.7 * y), 0.7 * np.sin(x) * np.sin(0.7 * y), np.ones(count)], axis=1)
    normal = slope / np.linalg.norm(slope, axis=1, keepdims=True)
    quats = np.stack([1 + normal[:, 2], -normal[:, 1], normal[:, 0], np.zeros(count)], axis=1)  # turns z to the normal
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    size = np.log(20 / np.sqrt(count)) + random.normal(0, 0.5, (count, 3)) - [0.0, 0.0, 1.5]
    waves = np.sin(ground @ random.normal(0, 1, (2, 3)))
    return Gaussians(
        means=np.column_stack([ground, height]),
        quats=(quats + random.normal(0, 0.13, (count, 4))).astype(np.float32),
        scales=size,
        opacities=random.normal(1, 2, count).clip(-5, 8),
        sh0=(waves + random.normal(0, 0.2, (count, 3)))[:, None].astype(np.float32),
        shN=_sh(ground, SHN_SIZES[degree], random),
    )


def _sh(ground: np.ndarray, coefficients: int, random: np.random.Generator) -> np.ndarray:
    fields = np.sin(ground @ random.normal(0, 0.8, (2, FIELDS)) + random.uniform(0, 6, FIELDS))
    amplitude = 0.06 * 0.5 ** (BAND[:coefficients, None] - 1.0)
    directions = random.normal(0, 1, (FIELDS, coefficients, 3)) * amplitude / np.sqrt(FIELDS / 2)
    smooth = (fields @ directions.reshape(FIELDS, -1)).reshape(len(ground), coefficients, 3)
    return np.asarray(smooth + random.normal(0, 0.2, smooth.shape) * amplitude)


def write_as_ply(name: str, target: Path, peer: list[str]) -> None:
    """Write the model `name` to `target`: a .ply, a folder with a SOG, or made:COUNT:DEGREE.

    A compressed PLY goes through `peer`, the command of splat-transform, which knows that layout best.
    """
    if name.startswith("made:"):
        _, count, degree = name.split(":")
        write_ply(target, make_field(int(count), int(degree)))
    elif name.endswith(".compressed.ply"):
        subprocess.run([*peer, name, str(target)], check=True, capture_output=True)
    elif name.endswith(".ply"):
        target.write_bytes(Path(name).read_bytes())
    else:
        write_ply(target, read_sog(Path(name), 1 << 34))
