"""What the search measures on: some Gaussians, and windows in the middle of a few views that show them.

A render costs in proportion to the Gaussians that it shows, and so does quantising them. The choice between levels
needs only their proportions, so a part of a large model tells it as well as the whole: the work of the search is
bounded, however large the model. What comes out is proven on whole pictures (`proof.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.compress.proving.proof import Prover
from spaceport.progress import Progress
from spaceport.splats.cameras import Camera
from spaceport.splats.model import Floats, Gaussians
from spaceport.splats.render import SimdRasteriser
from spaceport.splats.sog.attributes.blocks import by_blocks, row_max
from spaceport.splats.sog.attributes.quantise import Prepared

PLACES = ((0.3, 0.3), (0.7, 0.3), (0.3, 0.7), (0.7, 0.7))  # of the windows of the first views
LARGEST = 0.5  # share of a picture's sides that a window has at most
SHOWN = 32768  # Gaussians behind a window of a large model, nearly: its area goes with one over all there are
REACH = 3.0  # standard deviations that a Gaussian is taken to reach
NEAR = 0.01  # scene units, the renderer's
LEAST_SIDE = 64  # pixels

Errors = NDArray[np.float64]


class Windows:
    """Renders of the Gaussians that a few windows show, against renders of the same Gaussians changed."""

    def __init__(self, prepared: Prepared, prover: Prover, progress: Progress) -> None:
        self._progress = progress
        share = min(LARGEST, float(np.sqrt(SHOWN / len(prepared.stored))))
        self._cameras = [window(camera, share, *place) for camera, place in zip(prover.cameras, PLACES, strict=False)]
        seen = by_blocks(partial(_shown, self._cameras), prepared.stored.means, prepared.stored.scales)
        self.index = np.flatnonzero(seen if seen.any() else ~seen)
        """Rows of the whole model that are looked at."""
        self.prepared = prepared.subset(self.index)
        """These rows."""
        self._rasteriser = SimdRasteriser(antialiased=prepared.stored.antialiased)
        self._originals = [self._picture(self.prepared.stored, camera) for camera in self._cameras]
        whole, parts = prover.originals[: len(self._originals)], self._originals
        self._ratio = sum(map(detail, whole)) / max(sum(map(detail, parts)), 1e-9)

    @property
    def nothing(self) -> Errors:
        """The errors of what is left as it is."""
        return np.zeros(1)

    def squared_errors(self, changed: Gaussians) -> Errors:
        """Mean squared error of each window's picture. `changed` holds the Gaussians of `prepared`, in its order."""
        pairs = zip(self._cameras, self._originals, strict=True)
        found = [_mean_square(self._picture(changed, camera), before) for camera, before in pairs]
        return np.array([np.mean(found) * self._ratio])

    def _picture(self, gaussians: Gaussians, camera: Camera) -> Floats:
        self._progress.check()
        picture = self._rasteriser.render(gaussians.arrays(), camera)
        return np.clip(picture, 0, 1, out=picture)


def _mean_square(picture: Floats, before: Floats) -> float:
    """Of the difference; `picture` is not needed any more."""
    picture -= before
    return float(np.square(picture, out=picture).mean(dtype=np.float64))


def detail(picture: Floats) -> float:
    """Mean squared difference of neighbours: errors show where there is something to see."""
    return float(np.mean(np.square(np.diff(picture, axis=1)))) if picture.shape[1] > 1 else 0.0


def window(camera: Camera, share: float, across: float, down: float) -> Camera:
    """A part of a view, `share` of it on each side, but at least 64 pixels or all there are; its middle lies `across`
    and `down` the view, 0 to 1, or as near to it as fits."""
    width, height = (min(side, max(LEAST_SIDE, round(side * share))) for side in (camera.width, camera.height))
    left = min(camera.width - width, max(0, round(camera.width * across - width / 2)))
    top = min(camera.height - height, max(0, round(camera.height * down - height / 2)))
    return replace(camera, width=width, height=height, cx=camera.cx - left, cy=camera.cy - top)


def _shown(cameras: Sequence[Camera], means: Floats, scales: Floats) -> NDArray[np.bool_]:
    """Which Gaussians reach into one of the pictures [N]; nearly, for their spread is taken as that of a sphere."""
    found = np.zeros(len(means), bool)
    with np.errstate(all="ignore"):  # far ones overflow, and are not shown
        radius = REACH * np.exp(row_max(scales))
        for camera in cameras:
            pose = camera.world_to_camera.astype(np.float32)
            x, y, z = pose[:3, :3] @ means.T + pose[:3, 3:]
            reach = radius / z
            across = np.abs(camera.fx * x / z + (camera.cx - camera.width / 2)) < camera.width / 2 + camera.fx * reach
            down = np.abs(camera.fy * y / z + (camera.cy - camera.height / 2)) < camera.height / 2 + camera.fy * reach
            found |= (z > NEAR) & across & down
    return found
