"""The image's smoke test, its last build step: `python -m services.train.smoke [--kernels]`.

A few photos are trained on, by the CPU's rasteriser and with torch's fused Adam, as on a card; and with `--kernels`
gsplat's own are loaded, compiled as they must be here. So what is missing fails the build instead of the first job.
"""

from __future__ import annotations

import struct
import sys
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image

from services.train.initialise import gaussians_from_points
from services.train.optimiser import Optimiser
from services.train.rasterisers.cpu import CpuRasteriser
from services.train.rasterisers.protocol import TrainingView
from services.train.stage import run
from spaceport.pipeline.options import TrainOptions
from spaceport.progress import Silent
from spaceport.splats.cameras import Camera

WIDTH, HEIGHT, FOCAL = 64, 48, 60.0  # pixels
PHOTOS, POINTS = 9, 200
STEPS: Final = 10
RATE: Final = 0.01


def main(arguments: list[str]) -> int:
    """Run a stage, some steps of fused Adam and the kernels. Returns the exit code: 0 when all of them work."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_reconstruction(folder / "colmap/dense")
        options = TrainOptions(device="cpu", max_iterations=30, max_gaussians=1000, plateau_stop=False)
        outcome = run(folder, folder, options, Silent())
        print(f"train: {outcome.message}")
    before, after = fused_adam()
    print(f"train: {STEPS} steps of fused Adam, loss {before:.3f} to {after:.3f}; torch {torch.__version__}")
    if not after < before:
        return 1
    if "--kernels" in arguments:
        from gsplat import csrc  # noqa: PLC0415  exists only where the kernels were compiled

        print(f"train: gsplat's kernels, {len([name for name in dir(csrc) if not name.startswith('_')])} functions")
    return 0


def fused_adam() -> tuple[float, float]:
    """Loss of one view before and after some steps of the optimiser that a card uses, here on the CPU."""
    random = np.random.default_rng(7)
    rasteriser = CpuRasteriser(1)
    points = random.uniform((-1, -1, 3), (1, 1, 5), (POINTS, 3))
    colours = random.integers(0, 255, (POINTS, 3)).astype(np.uint8)
    optimiser = Optimiser(gaussians_from_points(points, colours, 0, rasteriser.device))
    photo = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    neutral = torch.stack([torch.ones(3), torch.zeros(3)])
    view = TrainingView(_camera(), lambda: photo, neutral)
    losses = []
    for _ in range(STEPS):
        result = rasteriser.step(optimiser.parameters, view, 0)
        losses.append(float(result.loss))
        optimiser.step(result.grads, dict.fromkeys(optimiser.parameters, RATE))
    return losses[0], losses[-1]


def _camera() -> Camera:
    return Camera("0.png", WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, np.eye(4))


def _write_reconstruction(dense: Path) -> None:
    """COLMAP's undistorted workspace: a row of cameras before coloured points, each photo a gradient."""
    (dense / "sparse").mkdir(parents=True)
    (dense / "images").mkdir()
    images = struct.pack("<Q", PHOTOS)
    ramp = np.linspace(0, 255, WIDTH).astype(np.uint8)
    photo = np.ascontiguousarray(np.broadcast_to(ramp[None, :, None], (HEIGHT, WIDTH, 3)))
    for number in range(PHOTOS):
        images += struct.pack("<i7di", number, 1, 0, 0, 0, -0.1 * number, 0, 0, 1)
        images += f"{number}.png".encode() + b"\0" + struct.pack("<Q", 0)
        Image.fromarray(photo).save(dense / "images" / f"{number}.png")
    random = np.random.default_rng(7)
    points = b"".join(
        struct.pack("<Q3d3BdQ", number, *random.uniform((-1, -1, 3), (2, 1, 5)), 99, 99, 99, 0.5, 0)
        for number in range(POINTS)
    )
    camera = struct.pack("<QiiQQ4d", 1, 1, 1, WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2)
    (dense / "sparse/cameras.bin").write_bytes(camera)
    (dense / "sparse/images.bin").write_bytes(images)
    (dense / "sparse/points3D.bin").write_bytes(struct.pack("<Q", POINTS) + points)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
