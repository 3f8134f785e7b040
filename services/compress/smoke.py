"""The image's smoke test, its last build step: `python -m services.compress.smoke`.

A tiny model goes through the whole stage, and a picture into a video, which a job would do without and not fail. So a
library that is missing, or that the user may not load, fails the build instead of the first job.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from services.compress.stage import run
from services.compress.viewing.video import SIZE, write_video
from spaceport.pipeline.options import CompressOptions
from spaceport.progress import Silent
from spaceport.splats.formats.ply import write_ply
from spaceport.splats.model import Gaussians

GAUSSIANS: Final = 2_000


def main() -> int:
    """Run the stage and write a video. Returns the exit code: 0 when there are a SOG and a video."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "job/gaussian").mkdir(parents=True)
        write_ply(folder / "job/gaussian/model.ply", _ball())
        outcome = run(folder / "job", folder / "job", CompressOptions(), Silent())
        bundle = folder / "job/compressed/model.sog"
        video = write_grey_video(folder / "grey.mp4")
        print(f"compress: {outcome.message}; {video} bytes of video")
        return 0 if bundle.exists() and video else 1


def write_grey_video(path: Path) -> int:
    """One grey picture as a video. Returns its bytes.

    Raises:
        VideoError: PyAV is missing, or cannot encode.
    """
    width, height = SIZE
    with write_video(path) as writer:
        writer.write(np.full((height, width, 3), 128, np.uint8))
    return path.stat().st_size


def _ball() -> Gaussians:
    """Small Gaussians around the origin, with one band of colour that depends on the view."""
    random = np.random.default_rng(7)
    rows = GAUSSIANS
    return Gaussians(
        means=random.normal(0, 1, (rows, 3)).astype(np.float32),
        quats=random.normal(0, 1, (rows, 4)).astype(np.float32),
        scales=random.normal(-3, 0.3, (rows, 3)).astype(np.float32),
        opacities=random.normal(1, 1, rows).astype(np.float32),
        sh0=random.normal(0, 0.7, (rows, 1, 3)).astype(np.float32),
        shN=random.normal(0, 0.1, (rows, 3, 3)).astype(np.float32),
    )


if __name__ == "__main__":
    sys.exit(main())
