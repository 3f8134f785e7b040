"""The proof that a compressed model looks like the one it was made from: the file, read back and rendered beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.compress.codec.blocks import by_blocks
from spaceport.pipeline.progress import Progress
from spaceport.splats.cameras import Camera
from spaceport.splats.metrics import psnr
from spaceport.splats.model import Gaussians
from spaceport.splats.render import Rasteriser

EQUAL_DB = 100.0  # reported for pictures that differ less than this, equal ones among them: JSON has no infinity
COLOUR_OF_SH0 = 0.28209479177387814

Picture = NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """How alike the two models look from one camera."""

    name: str
    held_out: bool
    psnr: float


@dataclass(frozen=True)
class Proof:
    """All views, and the pictures of the first one: [H,W,3] of the original and of the decoded model."""

    views: list[View]
    pictures: tuple[Picture, Picture]

    @property
    def mean(self) -> float:
        """Mean PSNR over the views, dB."""
        return float(np.mean([view.psnr for view in self.views]))

    @property
    def worst(self) -> float:
        """Lowest PSNR of a view, dB."""
        return min(view.psnr for view in self.views)


class Prover:
    """Renders the original once, and any number of decoded models against it.

    Raises:
        ValueError: without cameras there is nothing to compare.
    """

    def __init__(self, original: Gaussians, cameras: list[Camera], progress: Progress) -> None:
        if not cameras:
            raise ValueError("no cameras to compare from")
        self.cameras, self._progress = cameras, progress
        self._rasterisers = {way: Rasteriser(antialiased=way) for way in (False, True)}
        self.originals = [self._picture(original, camera) for camera in cameras]

    def compare(self, decoded: Gaussians) -> Proof:
        """Render `decoded` from every camera and measure PSNR against the original, values clipped to 0..1."""
        pictures = [self._picture(decoded, camera) for camera in self.cameras]
        views = [
            View(camera.name, camera.held_out, min(EQUAL_DB, psnr(before, after)))
            for camera, before, after in zip(self.cameras, self.originals, pictures, strict=True)
        ]
        return Proof(views, (self.originals[0], pictures[0]))

    def _picture(self, gaussians: Gaussians, camera: Camera) -> Picture:
        self._progress.check()
        picture = self._rasterisers[gaussians.antialiased].render(gaussians.arrays(), camera)
        return np.clip(picture, 0, 1, out=picture)


def attribute_errors(stored: Gaussians, decoded: Gaussians) -> dict[str, float]:
    """Root mean square error of each attribute; the models hold the same Gaussians in the same order.

    Positions in scene units, log-scales in ln, rotations in degrees, opacity and colours in units of full white.
    """
    angles = by_blocks(_angles, stored.quats, decoded.quats)
    pairs: dict[str, tuple[Any, Any]] = {
        "position": (stored.means, decoded.means),
        "log_scale": (stored.scales, decoded.scales),
        "rotation_degrees": (angles, np.zeros_like(angles)),
        "opacity": (_sigmoid(stored.opacities), _sigmoid(decoded.opacities)),
        "colour": (stored.sh0 * COLOUR_OF_SH0, decoded.sh0 * COLOUR_OF_SH0),
    }
    if stored.shN.shape[1]:
        missing = stored.shN.shape[1] - decoded.shN.shape[1]  # bands that were left out are decoded as zeros
        shn = np.pad(decoded.shN, ((0, 0), (0, missing), (0, 0))) if missing else decoded.shN
        pairs["sh_coefficient"] = (stored.shN, shn)
    return {name: float(np.sqrt(np.mean(by_blocks(_squares, a, b)))) for name, (a, b) in pairs.items()}


def _squares(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean squared difference of each row."""
    squares: NDArray[np.float64] = np.square(a - b, dtype=np.float64).reshape(len(a), -1)
    return np.asarray(squares.mean(axis=1))


def _angles(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Degrees from one rotation to the other; quaternions of any length but zero."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    squares = np.einsum("ij,ij->i", a, a) * np.einsum("ij,ij->i", b, b)
    cosine = np.abs(np.einsum("ij,ij->i", a, b)) / np.sqrt(squares)
    return np.asarray(np.degrees(2 * np.arccos(np.minimum(cosine, 1))))


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -50, 50))))
