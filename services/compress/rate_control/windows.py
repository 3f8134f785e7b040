"""What the search measures on: some Gaussians, and windows in the middle of a few views that show them.

A render costs in proportion to the Gaussians that it shows, and so does quantising them. The choice between levels
needs only their proportions, so a part of a large model is as good as the whole: the work of the search is bounded,
however large the model. The result is proven on whole pictures (`proof.py`).
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
from spaceport.splats.sog.attributes.quantise import Prepared
from spaceport.splats.sog.attributes.rows import map_rows, row_max

VIEWS = 4  # the first ones, that windows are cut from
CENTRES = (0.3, 0.5, 0.7)  # that a window may have, across and down
LARGEST_SHARE = 0.5  # share of a picture's sides that a window has at most
SHOWN_GAUSSIANS = 32768  # that a window of a large model shows, nearly: its area shrinks as the model grows
REACH_SIGMAS = 3.0  # standard deviations that a Gaussian is taken to reach
NEAR = 0.01  # scene units, the renderer's
SMALLEST_SIDE = 64  # pixels

Errors = NDArray[np.float64]


class Windows:
    """Renders of the Gaussians that a few windows show, against renders of the same Gaussians changed."""

    def __init__(self, prepared: Prepared, prover: Prover, progress: Progress) -> None:
        self._progress = progress
        share = min(LARGEST_SHARE, float(np.sqrt(SHOWN_GAUSSIANS / len(prepared.stored))))
        views = list(zip(prover.cameras, prover.originals, strict=True))[:VIEWS]
        self._cameras = [choose_window(camera, original, share) for camera, original in views]
        seen = map_rows(partial(_mask_shown, self._cameras), prepared.stored.means, prepared.stored.scales)
        self.index = np.flatnonzero(seen if seen.any() else ~seen)
        """Rows of the whole model that the windows show."""
        self.prepared = prepared.subset(self.index)
        """These rows."""
        self._rasteriser = SimdRasteriser(antialiased=prepared.stored.antialiased)
        self._originals = [self._render(self.prepared.stored, camera) for camera in self._cameras]
        self._ratios = np.array(
            [
                mean_gradient(whole) / max(mean_gradient(part), 1e-9)
                for (_, whole), part in zip(views, self._originals, strict=True)
            ]
        )

    @property
    def no_errors(self) -> Errors:
        """The errors of a model that is left as it is."""
        return np.zeros(len(self._cameras))

    def squared_errors(self, changed: Gaussians) -> Errors:
        """Mean squared error [V] of each window's picture, as that of its whole view.

        `changed` holds the Gaussians of `prepared`, in its order.
        """
        pairs = zip(self._cameras, self._originals, strict=True)
        errors = [_mean_squared_difference(self._render(changed, camera), original) for camera, original in pairs]
        return np.asarray(errors * self._ratios)

    def _render(self, gaussians: Gaussians, camera: Camera) -> Floats:
        self._progress.check()
        picture = self._rasteriser.render(gaussians.arrays(), camera)
        return np.clip(picture, 0, 1, out=picture)


def _mean_squared_difference(picture: Floats, original: Floats) -> float:
    """`picture` is overwritten."""
    picture -= original
    return float(np.square(picture, out=picture).mean(dtype=np.float64))


def mean_gradient(picture: Floats) -> float:
    """Mean squared difference of neighbours: errors show where there is something to see."""
    return float(np.mean(np.square(np.diff(picture, axis=1)))) if picture.shape[1] > 1 else 0.0


def choose_window(camera: Camera, picture: Floats, share: float) -> Camera:
    """The part of a view in which there is as much to be seen as in all of it, nearly: `share` of it on each side."""
    whole = mean_gradient(picture)
    windows = [crop_camera(camera, share, across, down) for down in CENTRES for across in CENTRES]

    def difference(window: Camera) -> float:
        left, top = round(camera.cx - window.cx), round(camera.cy - window.cy)
        part = mean_gradient(picture[top : top + window.height, left : left + window.width])
        return abs(float(np.log(max(part, 1e-12) / max(whole, 1e-12))))

    return min(windows, key=difference)


def crop_camera(camera: Camera, share: float, across: float, down: float) -> Camera:
    """A part of a view, `share` of it on each side, but at least 64 pixels or all there are. Its middle lies at
    `across` and `down`, 0 to 1, of the view, or as near to that as fits."""
    width, height = (min(side, max(SMALLEST_SIDE, round(side * share))) for side in (camera.width, camera.height))
    left = min(camera.width - width, max(0, round(camera.width * across - width / 2)))
    top = min(camera.height - height, max(0, round(camera.height * down - height / 2)))
    return replace(camera, width=width, height=height, cx=camera.cx - left, cy=camera.cy - top)


def _mask_shown(cameras: Sequence[Camera], means: Floats, scales: Floats) -> NDArray[np.bool_]:
    """Which Gaussians reach into one of the pictures [N]; roughly, since each is taken for a sphere."""
    shown = np.zeros(len(means), bool)
    with np.errstate(all="ignore"):  # far ones overflow, and are not shown
        radius = REACH_SIGMAS * np.exp(row_max(scales))
        for camera in cameras:
            pose = camera.world_to_camera.astype(np.float32)
            x, y, z = pose[:3, :3] @ means.T + pose[:3, 3:]
            reach = radius / z
            across = np.abs(camera.fx * x / z + (camera.cx - camera.width / 2)) < camera.width / 2 + camera.fx * reach
            down = np.abs(camera.fy * y / z + (camera.cy - camera.height / 2)) < camera.height / 2 + camera.fy * reach
            shown |= (z > NEAR) & across & down
    return shown
