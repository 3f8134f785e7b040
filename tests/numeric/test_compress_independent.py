"""A model with three SH bands and without cameras, judged by a renderer and from places that compression knows nothing
of: ours beside splat-transform's file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import dense_oracle
import numpy as np
import pytest
import torch

from services.compress.core import compress
from services.compress.proving.views import look_at
from services.compress.rate_control.windows import crop_camera
from services.compress.report import missed_target
from spaceport.pipeline.options import CompressOptions
from spaceport.progress import Silent
from spaceport.splats.cameras import Camera
from spaceport.splats.formats.ply import write_ply
from spaceport.splats.metrics import psnr
from spaceport.splats.model import Gaussians
from spaceport.splats.sog.codec.reader import read_bundle, read_sog

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from compress_models import make_field

ROOT = Path(__file__).parents[2]
TOOL = ROOT / ".venv/npm/node_modules/@playcanvas/splat-transform/bin/cli.mjs"
NODE = shutil.which("node")
COUNT = 30_000
LEAST = 48.5  # dB, from each place
SHARE = 0.6  # of the peer's bytes
SIDE = 128  # pixels of a picture, in tiles of 32
TILE = 32
PLACES = {"orbit": (22.0, 30.0), "near": (6.0, 25.0), "above": (24.0, 80.0)}  # distance and degrees above the ground


def cameras(distance: float, degrees: float) -> list[Camera]:
    """From a side that no view of the proof looks from."""
    rise, made = np.radians(degrees), []
    for turn in np.radians((10.0,)):
        target = np.array((np.cos(2 * turn), np.sin(3 * turn), 0.0)) * (2.0 if distance < 10 else 0.3)
        side = np.array((np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)))
        eye = target + distance * side
        made.append(look_at(eye, target, np.array((0.0, 0, 1)), (SIDE, SIDE), 1.1 * SIDE))
    return made


def render(model: Gaussians, camera: Camera) -> np.ndarray:
    """By the plain renderer of the tests: each tile with all Gaussians whose three standard deviations reach it."""
    params = {name: torch.tensor(array, dtype=torch.float64) for name, array in model.arrays().items()}
    centres, covariances, depths = dense_oracle.project(params, camera)
    reach = 3.5 * torch.sqrt(torch.linalg.eigvalsh(covariances)[:, 1])
    picture = np.zeros((SIDE, SIDE, 3))
    for top in range(0, SIDE, TILE):
        for left in range(0, SIDE, TILE):
            middle = torch.tensor((left + TILE / 2, top + TILE / 2), dtype=torch.float64)
            rows = (((centres - middle).abs() - reach[:, None]) < TILE / 2).all(1) & (depths > 0.01)
            part = crop_camera(camera, TILE / SIDE, 0.5, 0.5)
            part = replace(part, width=TILE, height=TILE, cx=camera.cx - left, cy=camera.cy - top)
            shown = {name: values[rows] for name, values in params.items()}
            pixels = dense_oracle.render(shown, part, model.sh_degree)
            picture[top : top + TILE, left : left + TILE] = np.clip(pixels.numpy(), 0, 1)
    return picture


def likeness(original: Gaussians, decoded: Gaussians) -> dict[str, float]:
    """Mean PSNR in dB from each place."""
    return {
        place: float(np.mean([psnr(render(original, each), render(decoded, each)) for each in cameras(*where)]))
        for place, where in PLACES.items()
    }


@pytest.fixture(scope="module")
def model() -> Gaussians:
    return make_field(COUNT, 3)


@pytest.fixture(scope="module")
def ours(model: Gaussians) -> bytes:
    """A file for 50 dB, which is reached, or refused with the ceiling of the format."""
    result = compress(model, [], CompressOptions(target_psnr=50.0), Silent())
    assert result.proof.decisive >= 50.0 or "with everything stored as finely as a SOG can" in (
        missed_target(result) or ""
    )
    return result.bundle


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ours_is_like_the_model_from_everywhere(model: Gaussians, ours: bytes) -> None:
    assert min(likeness(model, read_bundle(ours, 1 << 30)).values()) >= LEAST


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not (NODE and TOOL.exists()), reason="needs node and splat-transform in .venv/npm")
def test_ours_takes_six_tenths_of_the_peers_bytes(model: Gaussians, ours: bytes, tmp_path: Path) -> None:
    write_ply(tmp_path / "model.ply", model)
    files = [str(tmp_path / name) for name in ("model.ply", "theirs.sog")]
    subprocess.run([str(NODE), str(TOOL), "-g", "cpu", *files], check=True, capture_output=True, timeout=3000)
    theirs = (tmp_path / "theirs.sog").stat().st_size
    seen = likeness(model, read_sog(tmp_path / "theirs.sog"))
    print(f"ours {len(ours):,} bytes, theirs {theirs:,} at {seen}")
    assert len(ours) <= SHARE * theirs
