"""The cameras and photos of one training, and which of them are trained on, validated and evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.train.dataset import Photos
from spaceport.splats.cameras import Camera, sample_evenly

VALIDATION_PHOTOS: Final = 6
"""Photos whose PSNR is followed during training."""
MAX_EVALUATED_TRAINING_PHOTOS: Final = 32


@dataclass(frozen=True)
class TrainingSet:
    """Cameras in the training frame at the finest level (held-out ones are marked), and their photos."""

    cameras: list[Camera]
    photos: Photos

    @property
    def training(self) -> list[Camera]:
        """The photos that are trained on."""
        return [camera for camera in self.cameras if not camera.held_out]

    @property
    def held_out(self) -> list[Camera]:
        """The photos that are only evaluated."""
        return [camera for camera in self.cameras if camera.held_out]

    @property
    def validation(self) -> list[Camera]:
        """The photos whose PSNR decides: held-out ones, or of those trained on when none is held out."""
        return sample_evenly(self.held_out or self.cameras, VALIDATION_PHOTOS)

    @property
    def evaluation(self) -> list[Camera]:
        """The photos that are evaluated in the end: some that were trained on, and all that were held out."""
        return sample_evenly(self.training, MAX_EVALUATED_TRAINING_PHOTOS) + self.held_out
