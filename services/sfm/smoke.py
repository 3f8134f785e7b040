"""The image's smoke test, its last build step: `python -m services.sfm.smoke`.

Eight made photos go through the whole stage, so a library that is missing, or that the user may not load, fails the
build instead of the first job.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from services.sfm.stage import run
from spaceport.pipeline.options import SfmOptions
from spaceport.progress import Silent

WIDTH, HEIGHT, FOCAL = 480, 360, 400.0  # pixels
TEXELS: Final = 1024  # a side of the texture
SHIFTS: Final = [(east, north) for north in (0.0, 1.2) for east in (0.0, 0.8, 1.6, 2.4)]
"""Of the camera over the ground, in metres; it points straight down from 5 m."""


def main() -> int:
    """Run the stage. Returns the exit code: 0 when every photo has been registered."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_photos(folder / "photos")
        outcome = run(folder / "photos", folder / "job", SfmOptions(), Silent())
        sparse = folder / "job/colmap/sparse/points3D.bin"
        print(f"sfm: {outcome.message}; {sparse.stat().st_size} bytes of points")
        return 0 if outcome.counts.get("registered") == len(SHIFTS) else 1


def _write_photos(folder: Path) -> None:
    folder.mkdir()
    texture = _texture()
    for number, shift in enumerate(SHIFTS):
        Image.fromarray(_photo(texture, *shift)).save(folder / f"{number}.png")


def _texture() -> npt.NDArray[np.uint8]:
    """Blobs of several sizes, [TEXELS, TEXELS, 3]."""
    random = np.random.default_rng(7)
    texture = np.zeros((TEXELS, TEXELS, 3))
    for cell in (4, 8, 16, 32):
        noise = random.uniform(0, 255, (TEXELS // cell, TEXELS // cell, 3))
        texture += np.kron(noise, np.ones((cell, cell, 1))) / 4
    return texture.astype(np.uint8)


def _photo(texture: npt.NDArray[np.uint8], east: float, north: float) -> npt.NDArray[np.uint8]:
    """What a camera over a ground with two flat roofs sees, [HEIGHT, WIDTH, 3]."""
    v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    rays = np.stack([(u - WIDTH / 2) / FOCAL, (v - HEIGHT / 2) / FOCAL], -1)
    camera = np.array([east, -north])
    seen = camera + rays * 5.0
    for height, corner in ((1.0, (-1.0, -2.0)), (1.8, (1.5, -1.0))):  # metres; the higher roof hides the lower one
        above = camera + rays * (5.0 - height)
        on_roof = np.all((above >= corner) & (above <= np.add(corner, 1.6)), -1)
        seen = np.where(on_roof[..., None], above + 10 * height, seen)
    texels = np.floor(seen * 110).astype(int) % TEXELS
    photo: npt.NDArray[np.uint8] = texture[texels[..., 1], texels[..., 0]]
    return photo


if __name__ == "__main__":
    sys.exit(main())
