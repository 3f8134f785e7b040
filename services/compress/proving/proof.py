"""The proof that a compressed model looks like the one it was made from: the file, read back and rendered beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.compress.proving.views import View
from services.compress.rate_control.allocation import WORST_BELOW
from spaceport.pipeline.reports.compress import PsnrOfViews, ViewKind
from spaceport.progress import Progress
from spaceport.splats.cameras import Camera
from spaceport.splats.metrics import psnr
from spaceport.splats.model import Gaussians
from spaceport.splats.render import SimdRasteriser
from spaceport.splats.scratch import free_pages
from spaceport.splats.sh import C0
from spaceport.splats.sog.attributes import opacity
from spaceport.splats.sog.attributes.rows import row_slices
from spaceport.splats.sog.codec.decode import PackedGaussians

PSNR_CAP = 100.0  # reported for equal pictures too: JSON has no infinity

Picture = NDArray[np.float32]


@dataclass(frozen=True)
class ViewPsnr:
    """PSNR of the decoded model's render from one camera, dB."""

    kind: ViewKind
    name: str
    held_out: bool
    psnr: float


@dataclass(frozen=True)
class Proof:
    """PSNR from all cameras."""

    views: list[ViewPsnr]
    pictures: tuple[Picture, Picture]
    """The first view [H,W,3], of the original and of the decoded model."""

    @property
    def mean(self) -> float:
        """Mean PSNR over the views, dB."""
        return float(np.mean([view.psnr for view in self.views]))

    @property
    def worst(self) -> float:
        """Lowest PSNR of a view, dB."""
        return min(view.psnr for view in self.views)

    @property
    def decisive(self) -> float:
        """What targets are compared with, dB: the mean, or less where a view lies over 4 dB below it."""
        return min(self.mean, self.worst + WORST_BELOW)

    @property
    def kinds(self) -> dict[ViewKind, PsnrOfViews]:
        """The views by where they look from."""
        groups: dict[ViewKind, list[float]] = {}
        for view in self.views:
            groups.setdefault(view.kind, []).append(view.psnr)
        return {kind: PsnrOfViews(mean=float(np.mean(psnr)), worst=min(psnr)) for kind, psnr in groups.items()}


class Prover:
    """Renders the original once, and any number of decoded models against it.

    Raises:
        ValueError: without views there is nothing to compare.
    """

    def __init__(self, original: Gaussians, views: Sequence[View], progress: Progress) -> None:
        if not views:
            raise ValueError("no views to compare from")
        self._kinds = [view.kind for view in views]
        self.cameras = [view.camera for view in views]
        self._progress = progress
        self._rasterisers = {antialiased: SimdRasteriser(antialiased=antialiased) for antialiased in (False, True)}
        self.originals = self._render_all(original)

    def compare(self, decoded: Gaussians) -> Proof:
        """Render `decoded` from every camera and measure PSNR against the original, values clipped to 0..1."""
        pictures = self._render_all(decoded)
        views = [
            ViewPsnr(kind, camera.name, camera.held_out, min(PSNR_CAP, psnr(original, picture)))
            for kind, camera, original, picture in zip(self._kinds, self.cameras, self.originals, pictures, strict=True)
        ]
        return Proof(views, (self.originals[0], pictures[0]))

    def _render_all(self, gaussians: Gaussians) -> list[Picture]:
        pictures = [self.render(gaussians, camera) for camera in self.cameras]
        self._rasterisers[gaussians.antialiased].free_large_buffers()
        return pictures

    def render(
        self, gaussians: Gaussians, camera: Camera, background: tuple[float, float, float] = (0, 0, 0)
    ) -> Picture:
        """A model from one camera [H,W,3], clipped to 0..1."""
        self._progress.check()
        rasteriser = self._rasterisers[gaussians.antialiased]
        picture = rasteriser.render(gaussians.arrays(), camera, background=background)
        return np.clip(picture, 0, 1, out=picture)


def attribute_errors(stored: Gaussians, decoded: Gaussians | PackedGaussians) -> dict[str, float]:
    """Root mean square error of each attribute; the models hold the same Gaussians in the same order.

    Positions in scene units, log-scales in ln, rotations in degrees, opacity and colours in units of full white.
    """
    totals, counts = dict.fromkeys(_DISTANCES, 0.0), dict.fromkeys(_DISTANCES, 0)
    for rows in row_slices(len(stored)):
        ours, theirs = stored.subset(rows), decoded.subset(rows)
        free_pages(stored.shN[rows])
        for name, distance in _DISTANCES.items():
            distances = distance(ours, theirs)
            totals[name] += float(np.square(distances, dtype=np.float64).sum())
            counts[name] += distances.size
    return {name: float(np.sqrt(total / counts[name])) for name, total in totals.items() if counts[name]}


def _sh_difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """[N,K,3]; bands that were left out of `b` are zeros."""
    kept = b.shape[1]
    return np.concatenate([a[:, :kept] - b, a[:, kept:]], axis=1)


def _angle_degrees(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Degrees from one rotation to the other; quaternions of any length but zero."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    squares = np.einsum("ij,ij->i", a, a) * np.einsum("ij,ij->i", b, b)
    cosine = np.abs(np.einsum("ij,ij->i", a, b)) / np.sqrt(squares)
    return np.asarray(np.degrees(2 * np.arccos(np.minimum(cosine, 1))))


_DISTANCES: Final[dict[str, Callable[[Gaussians, Gaussians], NDArray[np.floating]]]] = {
    "position": lambda a, b: a.means - b.means,
    "log_scale": lambda a, b: a.scales - b.scales,
    "rotation_degrees": lambda a, b: _angle_degrees(a.quats, b.quats),
    "opacity": lambda a, b: opacity.alpha(a.opacities) - opacity.alpha(b.opacities),
    "colour": lambda a, b: C0 * (a.sh0 - b.sh0).astype(np.float64),
    "sh_coefficient": lambda a, b: _sh_difference(a.shN, b.shN),
}
"""How far the rows of two models lie apart."""
